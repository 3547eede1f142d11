"""Every error midair raises on purpose, split by whose move it is.

    MidairError
     |- UsageError          yours: a flag or a word on the command line           exit 2
     |- ConfigError         yours: midair.toml, pyproject.toml, the environment   exit 2
     |- ApplicationError    the application's: import, start-up, health           exit 1 (4 in an update)
     |- WorldError          the machine's: port taken, no descriptors, full disk  exit 1
     |- UpdateError         an update that ended early; the earlier version serves exit 4
     |- NotRunning          no service answers under that name                    exit 5
     |- OutcomeUnknown      whoever watched stopped watching; the update goes on  exit 6
     |- Held                somebody holds updates back                           exit 7
     `- Bug                 ours: please report it                                exit 3

Each class is one cause. It carries its data, a stable ``code`` (what scripts and the documentation refer to), a hint,
and the exit code. Between processes errors travel as data (``Fault``), never as exceptions.
"""

from __future__ import annotations

from msgspec import Struct

DONE, FAILED, USAGE, BUG, REFUSED, NOT_RUNNING, UNKNOWN, HELD = range(8)


class Fault(Struct, frozen=True):
    """An error as data: what crosses a process border, stands in a receipt, and is printed by the command line."""

    code: str
    message: str
    hint: str = ""
    detail: str = ""  # a traceback or the application's last lines; may be long, never interpreted

    @property
    def more(self) -> str:
        """What to type to be told more; empty: the message and the hint say all there is."""
        return "" if self.code in SAY_ALL else f"midair explain {self.code}"


SAY_ALL = frozenset({"usage", "interrupted"})
"""Codes of errors that stand for themselves: a word typed wrong, a key pressed."""


class MidairError(Exception):
    """Root of all errors that midair raises on purpose."""

    code = "midair"
    exit_code = FAILED
    hint = ""

    def __init__(self, message: str, *, hint: str | None = None, detail: str = "") -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint
        self.detail = detail

    def fault(self) -> Fault:
        return Fault(self.code, str(self), self.hint, self.detail)


class UsageError(MidairError):
    """The command line does not say what to do."""

    code = "usage"
    exit_code = USAGE


class ConfigError(MidairError):
    """The configuration cannot be read or does not mean anything."""

    code = "config"
    exit_code = USAGE


class ApplicationError(MidairError):
    """The application could not be imported or started."""

    code = "application"


class WorldError(MidairError):
    """The machine refused something: an address, a descriptor, a disk."""

    code = "world"


class NeedsLinux(WorldError):
    """What midair does with processes and sockets, only Linux can. On other systems the rest of the command line works."""

    code = "needs-linux"

    def __init__(self, what: str, platform: str) -> None:
        """platform: as ``sys.platform`` has it."""
        name, hint = _ELSEWHERE.get(platform, (platform, "run it in a Linux container or a virtual machine"))
        super().__init__(f"{what} needs Linux, and this is {name}", hint=hint)


_ELSEWHERE = {
    "win32": (
        "Windows",
        "in WSL2 it runs as on any Linux: wsl --install, then install midair and type this inside of it",
    ),
    "darwin": (
        "macOS",
        "run it in a Linux container or a virtual machine",
    ),
}


class UpdateError(MidairError):
    """An update ended early. The earlier version serves."""

    code = "update"
    exit_code = REFUSED


class NotRunning(MidairError):
    """No service answers under that name."""

    code = "not-running"
    exit_code = NOT_RUNNING


class OutcomeUnknown(MidairError):
    """Whoever watched the update stopped watching. The update goes on."""

    code = "outcome-unknown"
    exit_code = UNKNOWN


class Held(MidairError):
    """Updates are held back by somebody."""

    code = "held"
    exit_code = HELD


class Bug(MidairError):
    """An impossible state: ours to mend."""

    code = "bug"
    exit_code = BUG
    hint = "this is a bug in midair; please report it with the lines above"
