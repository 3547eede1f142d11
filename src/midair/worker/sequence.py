"""In which order an import executed installed modules, as far as they can be imported before the project's in the same way.

What an installed module finds when it is executed must be the same: from the first one on that came after the project had changed
the environment, the import path, the folder or the like, or had put something of its own into a library, they are left out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType

MODULES_MAX = 5_000
PATCHED = ("socket", "ssl", "select", "threading", "_thread", "queue", "subprocess", "time", "os", "signal", "builtins")
"""What green threads are put into: by a library's function, at the word of the project."""


class Sequence:
    """``modules``: those that project code imported (what they import in turn goes with them), in order."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self.own: dict[str, int] = {}
        """Modules of the project, with how many installed ones were there when it began to be executed."""
        self.left_out = ""
        """From which on they are left out, and why."""
        self.seconds = 0.0
        """Spent in installed modules."""
        self.refused: Callable[[str], None] = lambda name: None
        """Told of a module of the project that is about to be executed on behalf of an installed one."""
        self._executing = ""
        """The installed module that the project asked for."""
        self._before: dict[str, object] | None = None

    def began(self) -> None:
        """Project code is about to be executed for the first time."""
        if self._before is None:
            self._before = _surroundings()

    @contextlib.contextmanager
    def executing(self, name: str, *, is_own: bool) -> Iterator[None]:
        if is_own:
            self.began()
            self._own_begins(name)
            yield
        elif self._executing:
            yield
        else:
            with self._outermost(name):
                yield

    def _own_begins(self, name: str) -> None:
        self.own.setdefault(name, len(self.modules))
        if self._executing:
            self.refused(name)
            self._leave_out(self._executing, f"it imports {name}")

    @contextlib.contextmanager
    def _outermost(self, name: str) -> Iterator[None]:
        if not self.left_out and self._before is not None:
            self._compare(name)
        began_s, self._executing = time.perf_counter(), name
        try:
            yield
        finally:
            self._executing = ""
            self.seconds += time.perf_counter() - began_s
        if not self.left_out and len(self.modules) < MODULES_MAX:
            self.modules.append(name)
            self._before = _surroundings() if self._before is not None else None

    def _compare(self, name: str) -> None:
        now = _surroundings()
        changed = next((what for what, value in now.items() if self._before and value != self._before[what]), "")
        if changed:
            self._leave_out(name, f"the project has changed {changed}")

    def _leave_out(self, name: str, why: str) -> None:
        if not self.left_out:
            self.left_out = f"{name} and what follows: {why}"

    def importable_first(self, owns: Callable[[str], bool]) -> tuple[list[str], str]:
        """The modules that can be imported before the project's, and what is left out. Looks at all that is imported: to
        be called when nobody waits."""
        count, where = len(self.modules), ""
        for place, module in _patches(owns, self.own):
            if self.own[module] < count:
                count, where = self.own[module], f"{module} has changed {place}"
        if not where:
            return self.modules, self.left_out
        return self.modules[:count], f"{self.modules[count]} and what follows: {where}"


def _surroundings() -> dict[str, object]:
    """What an installed module may look at while it is executed, by its name for people."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("MIDAIR_")}
    return {
        "the environment (os.environ)": variables,
        "the import path (sys.path)": tuple(sys.path),
        "the folder (os.chdir)": os.getcwd(),
        "how modules are found (sys.meta_path)": tuple(map(id, [*sys.meta_path, *sys.path_hooks])),
        "which warnings are shown": tuple(warnings.filters),
        "what loggers are made of (logging)": (logging.getLoggerClass(), logging.root.manager.loggerClass),
        "the standard library (gevent, eventlet)": tuple(
            id(value) for name in PATCHED for value in vars(sys.modules.get(name, os)).values() if callable(value)
        ),
    }


def _patches(owns: Callable[[str], bool], own: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Where installed modules and their classes hold something of the project, and whose it is."""
    for name, module in list(sys.modules.items()):
        if name in own or name == "__main__" or not isinstance(module, ModuleType):
            continue
        members = dict(vars(module))  # Not getattr: a lazy module would be imported by it.
        file = members.get("__file__")
        if not isinstance(file, str) or owns(file):
            continue
        for key, value in members.items():
            if (found := _owner(value, owns, own)) is not None:
                yield f"{name}.{key}", found
            elif isinstance(value, type) and value.__module__ == name:
                for inner, member in list(vars(value).items()):
                    if (found := _owner(member, owns, own)) is not None:
                        yield f"{name}.{key}.{inner}", found


def _owner(value: object, owns: Callable[[str], bool], own: dict[str, int]) -> str | None:
    value = getattr(value, "__func__", value) if isinstance(value, classmethod | staticmethod) else value
    if isinstance(value, FunctionType) and not owns(value.__code__.co_filename):
        return None
    if isinstance(value, FunctionType | type):
        module = getattr(value, "__module__", None)
        return module if isinstance(module, str) and module in own else None
    return None
