"""An import, watched while it happens: what it executes, opens, lists and looks for, in its own process.

Python tells of files opened and folders listed by audit events, of modules looked for by a finder in front of all others, which
finds nothing. Whether something exists is told by nobody: ``os.stat`` and its kin are wrapped until the import is over. Only what
is the project's counts (``project.py``). Installed once in a process, and inherited by those that are forked from it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from msgspec import Struct

from midair.release.digest import digest_of
from midair.worker.bodies import Bodies
from midair.worker.codes import Codes
from midair.worker.project import Project
from midair.worker.reliance import Reliance
from midair.worker.sequence import Sequence as Order

PASSING_VARIABLES = (b"MIDAIR_VERSION", b"MIDAIR_GENERATION")
"""They differ in each generation; an import that asked for one cannot be gone on with for the next."""

WATCHED = frozenset({"object.__getattr__", "open", "os.listdir", "os.scandir", "import", "sqlite3.connect"})
PROGRAMS = frozenset({"subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.exec"})
TEMPORARY = frozenset({"tempfile.mkdtemp", "tempfile.mkstemp"})
HEARD = WATCHED | PROGRAMS | TEMPORARY
_MACHINERY = "<frozen importlib._bootstrap_external>"
_VIEWS = ("__iter__", "copy")
"""Of a mapping that is gone through as a whole: it is not this variable that was asked for."""


class _Mine(threading.local):
    """Of a thread: an import may start some, and what they do counts."""

    is_busy = False


class Recorder:
    """Of this process's import. ``stop``: called with each file of the project before it is read to be executed."""

    def __init__(self, project: Project, stop: Callable[[str], None]) -> None:
        self.project = project
        self.stop = stop
        self.reliance = Reliance(project.owns)
        self.codes = Codes()
        self.bodies = Bodies(self.reliance.executed)
        self.late: frozenset[str] = frozenset()
        """Files under edit, as a fingerprint names them: executed without the bodies of their functions."""
        self.order = Order()
        self.executed: dict[str, None] = {}
        """Files of the project, in order."""
        self.deed = ""
        """What was done outside of this process, and must be done for each version: a program that was run need not say the
        same now; a temporary folder goes when the first version that uses it ends."""
        self.is_on = True
        self._mine = _Mine()

    @contextlib.contextmanager
    def unseen(self) -> Iterator[None]:
        """What happens meanwhile is our own doing."""
        before, self._mine.is_busy = self._mine.is_busy, True
        try:
            yield
        finally:
            self._mine.is_busy = before

    def code(self, path: str) -> CodeType:
        """Code of a file of the project, as it is now. May stop before it reads it. Raises OSError, SyntaxError, ValueError."""
        data, digest = self.source(path)
        if self.is_on and self.project.name(path) in self.late:
            with self.unseen():
                code = self._without_bodies(path, data, digest)
            if code is not None:
                return code
        return self.codes.code(path, data, digest)

    def _without_bodies(self, path: str, data: bytes, digest: bytes) -> CodeType | None:
        try:
            code = self.bodies.code(path, data, digest)
        except (SyntaxError, ValueError):
            code = None  # Whoever compiles it next says so.
        if code is None:
            self.reliance.executed(path, digest)
        return code

    def source(self, path: str) -> tuple[bytes, bytes]:
        """Content and digest of a file that is about to be executed. May stop before it reads it. Raises OSError."""
        if not self.is_on:
            with open(path, "rb") as file:
                data = file.read()
            return data, digest_of(data)
        self.order.began()
        self.stop(path)
        self.executed[path] = None
        with self.unseen():
            return self.reliance.read(path, is_late=self.project.name(path) in self.late)

    # --- what is told -----------------------------------------------------------------------------------------------

    def heard(self, event: str, args: tuple[Any, ...]) -> None:
        """An audit event."""
        if self._mine.is_busy or not self.is_on:
            return
        if event in TEMPORARY:
            self.deed = self.deed or f"a temporary file or folder was made ({args[0]})"
            return
        if event in PROGRAMS:
            self._started_program()
            return
        with self.unseen():
            if event == "open":
                if isinstance(args[2], int) and (args[2] & 3) != os.O_WRONLY and not args[2] & os.O_TRUNC:
                    self._if_owned(args[0], self._opened)
            elif event == "object.__getattr__":
                if args[1] == "__code__" and sys._getframe(2).f_code.co_filename != inspect.__file__:
                    self.bodies.looked_into(args[0])
            elif event == "import":
                self._if_owned(args[1], self._opened)
            elif event == "sqlite3.connect":
                self._if_owned(args[0], self._opened)
            elif sys._getframe(2).f_code.co_filename != _MACHINERY:  # That is a lookup.
                self._if_owned(args[0] if args[0] is not None else ".", self.reliance.listed)

    def asked(self, path: object, *, follows: bool) -> None:
        if not self._mine.is_busy and self.is_on:
            with self.unseen():
                self._if_owned(path, self._opened if follows else self.reliance.asked)

    def _opened(self, path: str) -> None:
        self.bodies.fix(path)
        self.reliance.opened(path)

    def looked_for(self, name: str, path: Sequence[str] | None) -> None:
        if self._mine.is_busy or not self.is_on:
            return
        with self.unseen():
            last = name.rpartition(".")[2]
            for folder in sys.path if path is None else path:
                # The first entry that is empty stands for the folder where we are.
                self._if_owned(folder or ".", functools.partial(self.reliance.looked_for, last))

    def asked_variable(self, name: str, value: str | None) -> None:
        if self.is_on and not self._mine.is_busy:
            self.reliance.variables[name] = value

    def _if_owned(self, path: object, then: Callable[[str], None]) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            absolute = os.path.abspath(os.fsdecode(path))
            if self.project.owns(absolute):
                then(absolute)

    def _started_program(self) -> None:
        frame = sys._getframe(2)
        while not self.project.owns(frame.f_code.co_filename):
            if f"{os.sep}site-packages{os.sep}" in frame.f_code.co_filename or frame.f_back is None:
                return  # A library's own business: what it asks of the system does not change with a save.
            frame = frame.f_back
        where = f"{self.project.name(frame.f_code.co_filename)}:{frame.f_lineno}"
        self.deed = self.deed or f"a program was run ({where})"

    # --- hooks ------------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """From now on, in this process and in all that are forked from it."""
        assert _here.recorder is None
        _here.recorder = self
        SourceFileLoader.get_code = _get_code  # type: ignore[method-assign,assignment]
        SourceFileLoader.exec_module = _exec_source  # type: ignore[method-assign,assignment]
        ExtensionFileLoader.exec_module = _exec_extension  # type: ignore[method-assign]
        sys.meta_path.insert(0, _FINDER)
        sys.addaudithook(_audit)
        for name, asked in _ASKED.items():
            setattr(os, name, asked)
            for known in _SUPPORTS:
                if asked.original in known:
                    known.add(asked)
        variables: Any = os.environ
        variables._data = _Variables(variables._data)

    def close(self) -> None:
        """The import is over. What is imported later is read from its source all the same."""
        self.is_on = False
        self.bodies.end()
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(_FINDER)
        for name, asked in _ASKED.items():
            if getattr(os, name) is asked:
                setattr(os, name, asked.original)
        variables: Any = os.environ
        variables._data = dict(variables._data)


class _Here(Struct):
    """Of this process, where the hooks find it."""

    recorder: Recorder | None = None


_here = _Here()


def current() -> Recorder | None:
    """The recorder of this process, if its import is watched."""
    return _here.recorder


def _audit(event: str, args: tuple[Any, ...]) -> None:
    # For the rest of the process's life, at each of a great many events: nothing but the look in a set.
    if event in HEARD and _here.recorder is not None:
        with contextlib.suppress(Exception):
            _here.recorder.heard(event, args)


class _Lookups:
    """A finder that finds nothing, and hears what is looked for."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _here.recorder is not None:
            _here.recorder.looked_for(name, path)
        return None


_FINDER: Any = _Lookups()


class _Asked:
    """``os.stat`` or one of its kin. No function: it may be kept in a class, as the built-in one may, and gets no ``self``."""

    def __init__(self, original: Callable[..., Any], *, follows: bool) -> None:
        functools.update_wrapper(self, original)
        self.original = original
        self._follows = follows

    def __call__(self, *args: Any, **options: Any) -> Any:
        path = args[0] if args else options.get("path")
        if _here.recorder is not None and options.get("dir_fd") is None:
            _here.recorder.asked(path, follows=self._follows and options.get("follow_symlinks", True))
        return self.original(*args, **options)


_ASKED = {
    "stat": _Asked(os.stat, follows=True),
    "lstat": _Asked(os.lstat, follows=False),
    "access": _Asked(os.access, follows=True),
    "readlink": _Asked(os.readlink, follows=False),
}
_SUPPORTS: tuple[set[Any], ...] = (
    os.supports_dir_fd,
    os.supports_fd,
    os.supports_follow_symlinks,
    os.supports_effective_ids,
)


class _Variables(dict[bytes, bytes]):
    """What ``os.environ`` keeps: hears which of our own variables are asked for."""

    def __getitem__(self, key: bytes) -> bytes:
        # Asked by os.environ's own __getitem__, which somebody has called.
        if key in PASSING_VARIABLES and _here.recorder is not None and sys._getframe(2).f_code.co_name not in _VIEWS:
            value = self.get(key)
            _here.recorder.asked_variable(os.fsdecode(key), None if value is None else os.fsdecode(value))
        return super().__getitem__(key)


# --- in the place of the loaders' methods ---------------------------------------------------------------------------

_source_get_code = SourceFileLoader.get_code
_source_exec_module = SourceFileLoader.exec_module
_extension_exec_module = ExtensionFileLoader.exec_module
_source_to_code = SourceFileLoader.source_to_code


def _get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
    path = self.get_filename(fullname)
    if _here.recorder is None or not _here.recorder.project.owns(path):
        return _source_get_code(self, fullname)
    if type(self).source_to_code is _source_to_code:
        return _here.recorder.code(path)
    return self.source_to_code(
        _here.recorder.source(path)[0], path
    )  # Somebody else's loader, which makes other code of it.


def _exec_source(self: SourceFileLoader, module: ModuleType) -> None:
    if _here.recorder is None or not _here.recorder.is_on:
        return _source_exec_module(self, module)
    with _here.recorder.order.executing(module.__name__, is_own=_here.recorder.project.owns(self.path)):
        return _source_exec_module(self, module)


def _exec_extension(self: ExtensionFileLoader, module: ModuleType) -> None:
    if _here.recorder is None or not _here.recorder.is_on:
        return _extension_exec_module(self, module)
    with _here.recorder.order.executing(module.__name__, is_own=_here.recorder.project.owns(self.path)):
        return _extension_exec_module(self, module)


def _is_of_the_machinery(function: Any) -> None:
    """Python leaves the import system's own frames out of tracebacks, by this name."""
    function.__code__ = function.__code__.replace(co_filename=_MACHINERY)


for _function in (_get_code, _exec_source, _exec_extension, Recorder.code, Recorder.source, Codes.code):
    _is_of_the_machinery(_function)
