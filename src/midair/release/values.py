"""What a look at the disk yields: an interpreter, an environment, a fingerprint, all of it together.

Values only, so that the supervisor can hold and read them: hashing, starting interpreters and the libraries for that
are imported in the child that looks.
"""

from __future__ import annotations

import msgspec

Digests = dict[str, tuple[int, int, int, int, bytes]]
"""Digests by path, each good for one size, mtime_ns, ctime_ns and inode: hand the same one to each look, or none."""


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python that can run workers."""

    path: str
    """What is executed. Not resolved: a virtual environment is known by the link."""
    real: str
    chosen_by: str
    """``python``, ``.venv``, ``VIRTUAL_ENV`` or ``midair``."""
    version: str
    implementation: str
    midair: str
    """Version of midair that is installed there."""
    import_path: tuple[str, ...]
    """Folders of its sys.path outside the standard library, in order."""
    prefix: str
    stamp: str
    """State of its files when it was asked; while it is the same, the answer holds."""


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """``variables`` is complete. The other fields hold names only, sorted, and may be shown."""

    variables: dict[str, str]
    shadowed: tuple[str, ...] = ()
    """Names set by ``[env]`` or a file to something else than the outer environment has; the outer value holds."""
    secrets: tuple[str, ...] = ()
    """Names whose values must never be shown."""
    dropped: tuple[str, ...] = ()
    """Names left out because the outer value is no text in UTF-8."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    digest: str
    """Hexadecimal."""
    count: int
    items: bytes = b""
    """Packed names and digests, to name what differs; empty if there are more than ITEMS_MAX."""


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    value: str
    """32 hexadecimal digits over all parts. Equal means equal."""
    code: str
    """The same over ``files`` and ``program`` alone: what ``version_from = "auto"`` is made of."""
    parts: tuple[Part, ...]
    gaps: tuple[str, ...] = ()
    """What was not looked at, in words."""

    @property
    def short(self) -> str:
        return self.value[:12]


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What a generation would be if it started now."""

    home: str = ""
    """Where the configuration was found, links resolved: a release's own folder, even when ``current`` names another by now."""
    folder: str
    """The application's folder, links resolved; under ``midair dev`` as typed."""
    version: str
    fingerprint: Fingerprint
    environment: Environment
    interpreter: Interpreter | None
    """None for a command child."""
    warnings: tuple[str, ...] = ()

    def shown(self) -> dict[str, object]:
        """What may be logged: names, no value of the environment."""
        return {
            "folder": self.folder,
            "version": self.version,
            "fingerprint": self.fingerprint.short,
            "interpreter": self.interpreter.path if self.interpreter else "",
            "python": self.interpreter.version if self.interpreter else "",
            "shadowed": list(self.environment.shadowed),
            "warnings": list(self.warnings),
        }
