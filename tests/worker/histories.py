"""Random histories of edits, and what an import of their outcome must give. Knows nothing of midair: its model is its own.

A project is an application and a few modules. A module is a list of statements; what executing them leaves behind (an order of
entries, and who is there in which version) is what two processes are compared by.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from pathlib import Path

NAMES = [f"m{number}" for number in range(6)]
REGISTRY = "ENTRIES = []\n"


@dataclass(frozen=True)
class Module:
    """``statements``: ("import", name), ("try", name), ("entry", ""), ("call", name), ("raise", "")."""

    version: int
    body: int
    statements: tuple[tuple[str, str], ...]
    is_package: bool = False
    is_broken: bool = False

    def text(self, name: str) -> str:
        lines = ["import registry, sys", f"VERSION = {self.version}", "", "def body():", f"    return {self.body}", ""]
        for kind, other in self.statements:
            lines += {
                "import": [f"import {other}"],
                "try": [
                    "try:",
                    f"    import {other}",
                    "except Exception as problem:",
                    f"    registry.ENTRIES.append([__name__, 'without', {other!r}])",
                ],
                "entry": ["registry.ENTRIES.append([__name__, 'is', VERSION])"],
                "call": [f"registry.ENTRIES.append([__name__, 'called', sys.modules[{other!r}].body()])"],
                "raise": ["raise RuntimeError(__name__)"],
            }[kind]
        return "\n".join(lines) + ("\nVERSION = (\n" if self.is_broken else "\n")


Modules = dict[str, Module]


class ImportFails(Exception):
    """In the model."""


@dataclass
class Imported:
    """What an import leaves behind."""

    entries: list[list[object]] = field(default_factory=list)
    there: dict[str, Module] = field(default_factory=dict)


def model(modules: Modules) -> object:
    """What the application tells after a fresh import; None: the import fails."""
    outcome = Imported()
    try:
        for name in NAMES[:2]:
            _import(name, modules, outcome)
    except ImportFails:
        return None
    versions = {name: [module.version, module.body] for name, module in sorted(outcome.there.items())}
    return [outcome.entries, versions]


def _import(name: str, modules: Modules, outcome: Imported) -> None:
    if name in outcome.there:
        return
    module = modules.get(name)
    if module is None or module.is_broken:
        raise ImportFails(name)
    outcome.there[name] = module
    try:
        for kind, other in module.statements:
            _execute(name, module, kind, other, modules, outcome)
    except ImportFails:
        del outcome.there[name]
        raise


def _execute(name: str, module: Module, kind: str, other: str, modules: Modules, outcome: Imported) -> None:
    if kind == "import":
        _import(other, modules, outcome)
    elif kind == "try":
        try:
            _import(other, modules, outcome)
        except ImportFails:
            outcome.entries.append([name, "without", other])
    elif kind == "entry":
        outcome.entries.append([name, "is", module.version])
    elif kind == "call":
        if other not in outcome.there:
            raise ImportFails(other)
        outcome.entries.append([name, "called", outcome.there[other].body])
    else:
        raise ImportFails(name)


APPLICATION = f"""
import registry, sys
import {NAMES[0]}
import {NAMES[1]}
def said():
    there = {{name: module for name, module in sorted(sys.modules.items()) if name in {NAMES!r}}}
    return [registry.ENTRIES, {{name: [module.VERSION, module.body()] for name, module in there.items()}}]
"""


class History:
    """A project on the disk, edited at random. ``seed`` makes it the same again."""

    def __init__(self, seed: int, folder: Path, tells: str) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        folder.mkdir()
        (folder / "registry.py").write_text(REGISTRY)
        (folder / "app.py").write_text(APPLICATION + tells)
        self.modules: Modules = {}
        for name in NAMES:
            if self.random.random() < 0.9:
                self._put(name, self._new(name))

    def save(self) -> list[str]:
        """Some edits at once, as a developer or a checkout makes them; what was done."""
        # Mostly to the file that was edited before: that is what a checkpoint is for.
        count = self.random.choice([1, 1, 1, 1, 2, 5])
        focus = self.random.choice(NAMES)
        return [self._edit(focus if self.random.random() < 0.7 else self.random.choice(NAMES)) for _ in range(count)]

    def _edit(self, name: str) -> str:
        module = self.modules.get(name)
        if module is None:
            self._put(name, self._new(name))
            return f"{name} made"
        what = self.random.choice(["version", "body", "body", "statements", "broken", "package", "removed", "touched"])
        if what == "removed":
            self._remove(name)
        elif what == "broken" or module.is_broken:
            self._put(name, replace(module, is_broken=not module.is_broken))
        elif what == "package":
            self._remove(name)
            self._put(name, replace(module, is_package=not module.is_package))
        elif what == "statements":
            self._put(name, replace(module, statements=self._statements(name)))
        elif what == "touched":
            self._put(name, module)
        else:
            number = self._number()
            self._put(name, replace(module, version=number) if what == "version" else replace(module, body=number))
        return f"{name} {what}"

    def _new(self, name: str) -> Module:
        return Module(self._number(), self._number(), self._statements(name))

    def _number(self) -> int:
        return self.random.randrange(
            1000, 2000
        )  # All of one length: what a save changes shows in nothing but the content.

    def _statements(self, name: str) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        for _ in range(self.random.randrange(1, 5)):
            kind = self.random.choice(["import", "try", "try", "entry", "entry", "call"])
            other = self.random.choice([each for each in NAMES if each != name])
            if kind == "call":
                found.append(("import", other))
            found.append((kind, other if kind != "entry" else ""))
        if self.random.random() < 0.05:
            found.append(("raise", ""))
        return tuple(found)

    def _put(self, name: str, module: Module) -> None:
        self.modules[name] = module
        path = self._path(name, module)
        path.parent.mkdir(exist_ok=True)
        path.write_text(module.text(name))

    def _remove(self, name: str) -> None:
        path = self._path(name, self.modules.pop(name))
        path.unlink()
        if path.parent != self.folder:
            path.parent.rmdir()

    def _path(self, name: str, module: Module) -> Path:
        return self.folder / name / "__init__.py" if module.is_package else self.folder / f"{name}.py"
