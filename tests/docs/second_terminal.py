"""Runs a command in a terminal of its own, and prints what is printed there. Not imported: ``terminal.py`` has the machine's own
Python run what stands in here, as

    python3 -c TEXT COMMAND

SIGTERM to it is Ctrl-C in that terminal: how a reader ends what goes on.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import sys
import termios

ROWS, COLUMNS = 40, 160
CTRL_C = b"\x03"


def main(command: str) -> int:
    pid, terminal = pty.fork()
    if pid == 0:
        attributes = termios.tcgetattr(0)
        attributes[1] &= ~termios.OPOST  # lines end as they do in a file
        termios.tcsetattr(0, termios.TCSANOW, attributes)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
        os.execvp("bash", ["bash", "-c", command])
    signal.signal(signal.SIGTERM, lambda *_: os.write(terminal, CTRL_C))
    while printed := _read(terminal):
        os.write(1, printed)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: nobody has it open any more
        return b""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
