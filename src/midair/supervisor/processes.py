"""Making processes and learning of their end. Nobody else in the supervisor forks, signals or waits.

Every child is in a process group of its own, so that what it started can be ended with it, and gets a signal when the
supervisor dies. There is one reaper. It peeks first: a known child is told to its owner; an unknown one is left alone while a
zygote has yet to say whom it forked; any other is a stranger that became ours (we are a subreaper, maybe PID 1) and is only
reaped.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from msgspec import Struct

from midair.supervisor import signals
from midair.supervisor.memory import Killings

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Orphans below us become our children, not those of PID 1."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def signal_at_parents_death(number: int) -> None:
    """Only the thread that forked us counts as the parent: the supervisor has just one."""
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def describe(status: int) -> str:
    """A wait status for people: ``exit 3``, ``SIGKILL``."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return signal.Signals(number).name
        except ValueError:
            return f"signal {number}"
    return f"exit {os.waitstatus_to_exitcode(status)}"


class Program(Struct, frozen=True):
    """What to execute. ``fds`` maps a number in the child to a descriptor of ours; everything else is closed there."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    fds: Mapping[int, int]
    listen_names: Sequence[str] = ()
    """With names, LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES are set as systemd does, the PID being the child's."""
    death_signal: int = signal.SIGKILL


class Processes:
    """All children by PID, each with who wants to hear of its end."""

    def __init__(self) -> None:
        self._owners: dict[int, Callable[[str], None]] = {}
        self.owed = 0
        """Processes that a zygote may have forked already and not named yet."""
        self._killings = Killings()

    def adopt(self, pid: int, on_exit: Callable[[str], None]) -> None:
        """This child is known from now on (forked by a zygote, or kept over a re-execution)."""
        self._owners[pid] = on_exit

    @property
    def pids(self) -> list[int]:
        return list(self._owners)

    def start(self, program: Program, on_exit: Callable[[str], None]) -> int:
        """Fork and execute; return the PID. Raises OSError when no process can be made. That the program could not be
        executed is seen as exit 127 with the reason on its standard error."""
        pid = os.fork()
        if pid == 0:
            _execute(program)
        self.adopt(pid, on_exit)
        return pid

    def fork(self, function: Callable[[], None], on_exit: Callable[[str], None]) -> int:
        """Run ``function`` in a forked child. It ends with the function, whatever happens in it."""
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                signals.reset_in_child()
                signal_at_parents_death(signal.SIGKILL)
                os.setpgid(0, 0)
                function()
                code = 0
            finally:
                os._exit(code)
        self.adopt(pid, on_exit)
        return pid

    def reap(self) -> None:
        """Take in every end that has happened. Called at SIGCHLD, and when a zygote has paid what it owed."""
        while True:
            try:
                seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if seen is None or (seen.si_pid not in self._owners and self.owed > 0):
                return
            _, status = os.waitpid(seen.si_pid, os.WNOHANG)
            owner = self._owners.pop(seen.si_pid, None)
            if owner:
                owner(self._describe(status))

    def _describe(self, status: int) -> str:
        how = describe(status)
        return f"{how}, out of memory" if how == "SIGKILL" and self._killings.explain_one() else how

    def signal(self, pid: int, number: int) -> None:
        """To the process alone. Safe against reuse of the PID: it is ours until we have reaped it."""
        if pid in self._owners:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def signal_group(self, pid: int, number: int) -> None:
        """To the process and to all that it started and that stayed in its group."""
        if pid in self._owners:
            try:
                os.killpg(pid, number)
            except (ProcessLookupError, PermissionError):
                self.signal(pid, number)

    def kill_left(self, pid: int) -> None:
        """SIGKILL to what a child of ours left in its group. Only right after its end, from its ``on_exit``: as long as
        somebody is in the group its number is not given to another, and an empty one has not been reused so soon."""
        if pid and pid not in self._owners:
            try:
                os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass  # Nobody is left.

    def signal_left(self, pid: int, number: int) -> bool:
        """To what a child of ours left in its group; whether somebody is there. As ``kill_left``, or as long as somebody of
        the group is known to live."""
        if not pid or pid in self._owners:
            return False
        try:
            os.killpg(pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def kill(self, pid: int) -> None:
        """SIGKILL to the process and to its group."""
        if pid in self._owners:
            try:
                os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self.signal(pid, signal.SIGKILL)


def _execute(program: Program) -> NoReturn:
    """In the child: set the stage and become the program."""
    try:
        signals.reset_in_child()
        os.setpgid(0, 0)
        signal_at_parents_death(program.death_signal)
        _place(program.fds)
        environment = dict(program.environment)
        if program.listen_names:
            environment |= {
                "LISTEN_PID": str(os.getpid()),
                "LISTEN_FDS": str(len(program.listen_names)),
                "LISTEN_FDNAMES": ":".join(program.listen_names),
            }
        os.chdir(program.folder)
        os.execvpe(program.argv[0], list(program.argv), environment)
    except BaseException as exc:  # noqa: BLE001 - nothing may get back into the supervisor's code
        why = f"{exc.strerror}: {exc.filename}" if isinstance(exc, OSError) else str(exc)
        os.write(2, f"midair: {program.argv[0]} could not be started: {why}\n".encode())
    finally:
        os._exit(127)


def _place(fds: Mapping[int, int]) -> None:
    """Put each descriptor at its number. Sources are first moved out of the way of the targets."""
    above = max(fds, default=0) + 1
    moved = {target: _dup_above(source, above) for target, source in fds.items()}
    for target, source in moved.items():
        os.dup2(source, target, inheritable=True)
        os.close(source)


def _dup_above(fd: int, least: int) -> int:
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, least)
