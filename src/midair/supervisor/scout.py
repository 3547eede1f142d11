"""Who looks at the disk for the supervisor: a child that is forked for each look, or one that stays.

In production a look is rare, and a fork costs nothing while nobody looks. In ``midair dev`` every save waits for one: there a
child stays that has imported what looking takes and remembers the digests of all files, so that a look reads what was saved.
Should it die, a child is forked as elsewhere; only its speed is lost.

A message is its length in four bytes, and msgpack: a question to the child, an answer or a fault back, in the order of the
questions. Before them the child says that it is there: until then others look, so that nobody waits for its start.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import NoReturn, TypeVar

import msgspec
from msgspec import Struct

import midair
from midair.errors import Fault
from midair.release.environment import NEVER_PASSED
from midair.release.values import Digests
from midair.supervisor import looking
from midair.supervisor.estate import Estate
from midair.supervisor.loop import Timer
from midair.supervisor.offload import LIMIT_S, RESULT_MAX_BYTES, pack, unpack
from midair.supervisor.processes import Program

T = TypeVar("T")
LINK_FD = 3
LENGTH_BYTES = 4
DEATHS_MAX = 3
"""After so many, it is not started again: something here ends it each time."""
NAME = "disk"
THERE = f"midair {midair.__version__}".encode()
"""What it says first. One of another midair, installed meanwhile, is not asked."""


class _Asked(Struct):
    """A question that is with the child. ``told`` takes what came back for it, None: nothing will."""

    told: Callable[[bytes | None], None]
    timer: Timer


class Scout:
    """Looks at the disk, and tells in a later turn of the loop."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._link: socket.socket | None = None
        self._is_there = False
        self._pid = 0
        self._deaths = 0
        self._out = bytearray()
        self._in = bytearray()
        self._asked: deque[_Asked] = deque()

    def ask(self, what: str, question: looking.Question, result: type[T], done: Callable[[T | Fault], None]) -> None:
        """``done`` gets the answer, or a Fault. As ``Offload.begin``, which see, in everything else."""
        if self._estate.settings.is_dev:
            self._ensure()
        if not self._is_there:
            self._fork(what, question, result, done)
            return

        def told(data: bytes | None) -> None:
            if data is None:
                self._fork(what, question, result, done)
            else:
                done(unpack(what, data, result))

        def late() -> None:
            asked.told = lambda data: None
            self._end()
            done(Fault("too-slow", f"{what} took over {LIMIT_S:g} s"))

        asked = _Asked(told, self._estate.loop.call_later(LIMIT_S, late))
        self._asked.append(asked)
        self._out += framed(msgspec.msgpack.encode(question))
        self._write()

    def _fork(self, what: str, question: looking.Question, result: type[T], done: Callable[[T | Fault], None]) -> None:
        ambient = self._estate.ambient
        # What comes back over the pipe is read as ``result``; in the child the type is the question's own.
        self._estate.offload.begin(what, lambda: looking.answer(question, ambient), result, done)  # type: ignore[arg-type,return-value]

    # --- over an upgrade ------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return "a file is being read" if self._asked else ""

    def freeze(self) -> tuple[bytes, list[int]]:
        return b"", []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        """It knows nothing that another one would not find out: the one before ended with its link."""

    # --- the child that stays -------------------------------------------------------------------------------------

    def _ensure(self) -> None:
        """Start one if there is none."""
        if self._link or self._deaths >= DEATHS_MAX:
            return
        estate = self._estate
        ours, theirs = socket.socketpair()
        fds: list[int] = []
        try:
            stdout, stderr = estate.outputs.open(0, -1, name=NAME)
            fds += [stdout, stderr]
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            fds.append(null)
            argv = [sys.executable, "-P", "-m", "midair.supervisor.scout", str(LINK_FD)]
            environment = {key: value for key, value in estate.ambient.items() if key not in NEVER_PASSED}
            places = {0: null, 1: stdout, 2: stderr, LINK_FD: theirs.fileno()}
            self._pid = pid = estate.processes.start(
                Program(argv, environment, "/", places), lambda how: self._exited(pid)
            )
        except OSError:
            ours.close()
            self._deaths += 1
            return
        finally:
            theirs.close()
            for fd in fds:
                os.close(fd)
        ours.setblocking(False)
        self._link = ours
        estate.loop.on_readable(ours.fileno(), self._read)

    def _write(self) -> None:
        if self._link is None:
            return
        try:
            sent = self._link.send(self._out, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # It is gone; its end of file says so.
        del self._out[:sent]
        self._estate.loop.on_writable(self._link.fileno(), self._write if self._out else None)

    def _read(self) -> None:
        assert self._link is not None
        try:
            data = self._link.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._in += data
        if not data or len(self._in) > RESULT_MAX_BYTES:
            self._end()
            return
        if not self._is_there:
            self._is_there = taken(self._in) == THERE
        while self._asked and (message := taken(self._in)) is not None:
            asked = self._asked.popleft()
            asked.timer.cancel()
            asked.told(message)

    def _exited(self, pid: int) -> None:
        if pid == self._pid:
            self._pid = 0
            self._end()

    def _end(self) -> None:
        """It is gone or of no use. Whoever waits for it gets the answer from somebody else."""
        if self._link is None:
            return
        self._estate.loop.forget(self._link.fileno())
        self._link.close()
        self._link, self._is_there = None, False
        self._estate.processes.kill(self._pid)
        self._deaths += 1
        self._out.clear()
        self._in.clear()
        waiting, self._asked = self._asked, deque()
        for asked in waiting:
            asked.timer.cancel()
            asked.told(None)


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def taken(buffer: bytearray) -> bytes | None:
    """The first whole message, taken out of the buffer; None: it is not there yet."""
    end = LENGTH_BYTES + int.from_bytes(buffer[:LENGTH_BYTES], "big")
    if len(buffer) < max(end, LENGTH_BYTES + 1):
        return None
    message = bytes(buffer[LENGTH_BYTES:end])
    del buffer[:end]
    return message


def main() -> NoReturn:
    """``python -m midair.supervisor.scout FD``: answer until the link ends."""
    link = socket.socket(fileno=int(sys.argv[1]))
    ambient, known, buffer = dict(os.environ), Digests(), bytearray()
    looking.prepare_to_look()
    # Each look makes thousands of small values: no collection that they set off goes through all that was imported.
    gc.freeze()
    link.sendall(framed(THERE))
    while data := link.recv(1 << 20):
        buffer += data
        while (message := taken(buffer)) is not None:
            link.sendall(framed(pack(lambda: _answer(message, ambient, known))))
    os._exit(0)


def _answer(message: bytes, ambient: dict[str, str], known: Digests) -> object:
    return looking.answer(msgspec.msgpack.decode(message, type=looking.Question), ambient, known)


if __name__ == "__main__":
    main()
