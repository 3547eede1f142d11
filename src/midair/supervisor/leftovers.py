"""Processes of a supervisor that was killed. They end by themselves; one that does not is ended by the next supervisor.

A worker leaves within seconds, also one that hangs (``worker/host.py``). A command is told by SIGTERM, and one that does not
listen to it would accept beside the new version for ever. Its number may be another process's by then: what is killed is known by
the moment when it began as well.
"""

from __future__ import annotations

import contextlib
import os
import signal

from midair.supervisor.remembered import Left


def began(pid: int) -> int:
    """When a process began, in ticks since the machine booted; 0: there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in brackets may hold spaces and brackets.
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def end(left: Left) -> bool:
    """Kill it and what it started; whether it was still there."""
    try:
        pidfd = os.pidfd_open(left.pid)
    except OSError:
        return False
    try:
        # Looked at after it was opened: what is signalled is what was looked at.
        if began(left.pid) != left.began:
            return False
        leads_a_group = os.getpgid(left.pid) == left.pid
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    if leads_a_group:
        # A number is not given away as long as somebody is in its group, and that of an empty one not so soon.
        with contextlib.suppress(OSError):
            os.killpg(left.pid, signal.SIGKILL)
    return True
