"""What ``midair init`` finds in a folder, as values: applications, how they were started before, and what each setting became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Files: TypeAlias = Mapping[str, str]
"""The folder as the detectors see it: path with slashes, relative to it; text."""
Value: TypeAlias = str | int | bool | tuple[str, ...]
"""A value of a key as midair.toml has it."""
NOWHERE = "/project"
"""Stands for the folder where only the shape of a path counts: nothing here looks at the disk."""
Interface: TypeAlias = Literal["asgi", "wsgi"]


@dataclass(frozen=True, slots=True)
class Application:
    """An application object, or a function that makes one, that stands in a file."""

    target: str
    """``module:attribute``"""
    framework: str
    interface: Interface
    where: str
    """``file:line``"""
    chdir: str = ""
    """The folder that the module is imported from, if it is not the project's own."""
    is_factory: bool = False
    is_named: bool = False
    """Something that starts or configures the project names it."""


@dataclass(frozen=True, slots=True)
class Old:
    """One setting of before, and what became of it: a key with its value, or an answer in words."""

    written: str
    """As it stands there: ``--timeout 30``."""
    key: str = ""
    value: Value = ""
    answer: str = ""
    """If there is no key: why, or what stands in its place. With a key: what differs."""


@dataclass(frozen=True, slots=True)
class Process:
    """A program that ran beside the web server."""

    name: str
    command: tuple[str, ...]
    where: str
    cwd: str = ""
    """The folder inside the project where it runs."""


@dataclass(frozen=True, slots=True)
class Start:
    """A way in which the project was started before."""

    by: str
    """``gunicorn``, ``uvicorn.run()``, ``node``; what people call it."""
    where: str
    target: str = ""
    """``module:attribute``; empty: not an application, or not said."""
    is_factory: bool = False
    command: tuple[str, ...] = ()
    """A program, if it is no server of applications that midair takes the place of."""
    chdir: str = ""
    config: str = ""
    """A configuration file that it names."""
    olds: tuple[Old, ...] = ()
    processes: tuple[Process, ...] = ()

    @property
    def is_server(self) -> bool:
        return not self.command


@dataclass(frozen=True, slots=True)
class Project:
    """A program that is built or run by its own tools: a module of Go, a package of Node."""

    kind: str
    where: str
    command: tuple[str, ...] = ()
    """Empty: there is nothing that midair could run, and ``notes`` say why."""
    build: str = ""
    """The shell line that makes the program; empty: it needs none."""
    package: str = ""
    """What of the module is built, if it is one of Go."""
    olds: tuple[Old, ...] = ()
    notes: tuple[str, ...] = field(default=())
