"""What ``midair new`` makes: a project of one of the templates, as files with their text. The templates lie beside this file.

In a template ``{{name}}`` stands for the project's name; ``gitignore`` becomes ``.gitignore`` (a real one would hide parts of the
template from git and from whoever builds the wheel).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable

from midair.errors import UsageError

NAME_MAX = 64
"""As long as a service's name may be."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a kind of project is and needs."""

    summary: str
    modules: tuple[str, ...] = ()
    """Python modules without which it does not run."""
    programs: tuple[str, ...] = ()
    """Programs without which it does not run."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What else stands in double braces."""


MODULE_GIN = {
    "prepare": "[ -f go.sum ] || go mod tidy",
    "test": "go test",
    "parts": "Needs Go 1.19 or newer; the first build downloads Gin.",
}
DEBIAN_GIN = {
    "prepare": "export GO111MODULE=off GOPATH=/usr/share/gocode",
    "test": "GO111MODULE=off GOPATH=/usr/share/gocode go test",
    "parts": "Needs Debian's packages `golang-go` and `golang-github-gin-gonic-gin-dev`; nothing is downloaded.",
}
TEMPLATES = {
    "fastapi": Template("a FastAPI application (ASGI)", modules=("fastapi",)),
    "flask": Template("a Flask application (WSGI)", modules=("flask",)),
    "django": Template("a Django project (ASGI)", modules=("django",)),
    "gin": Template("a Go program with Gin", programs=("go",), words=MODULE_GIN),
    "typescript": Template("a TypeScript program on Node", programs=("node", "npm")),
}
RENAMED = {"gitignore": ".gitignore"}
ROOM = "templates"


class BadProjectName(UsageError):
    """The name cannot be a folder's, a package's and a service's at once."""

    code = "bad-project-name"


def check_name(name: str) -> None:
    """Raises BadProjectName unless ``name`` is good for everything that is called by it: npm's rules are the narrowest."""
    if re.fullmatch(r"[a-z][a-z0-9_-]*", name) and len(name) <= NAME_MAX:
        return
    near = re.sub(r"[^a-z0-9_-]+", "-", name.lower())[:NAME_MAX].strip("-_0123456789")
    hint = "lower-case letters, digits, - and _, a letter first" + (f"; such as {near}" if near else "")
    raise BadProjectName(f"{name!r} cannot be a project's name", hint=hint)


def project_files(kind: str, name: str, *, debian: bool = False) -> dict[str, str]:
    """The files of a new project: path with slashes, text. debian: Gin from Debian's packages, without modules of Go.

    Raises BadProjectName.
    """
    check_name(name)
    words = {"name": name, **(DEBIAN_GIN if debian else TEMPLATES[kind].words)}
    found = {}
    for path, text in _texts(files("midair.scaffold").joinpath(ROOM, kind), ""):
        if not (debian and path == "go.mod"):
            found[path] = _filled(text, words)
    return found


def _texts(folder: Traversable, below: str) -> list[tuple[str, str]]:
    """All files in ``folder``, in the order of their names; what Python left there when it was installed is no part of it."""
    found: list[tuple[str, str]] = []
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir() and entry.name != "__pycache__":
            found += _texts(entry, f"{below}{entry.name}/")
        elif entry.is_file():
            found.append((below + RENAMED.get(entry.name, entry.name), entry.read_text("utf-8")))
    return found


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace("{{" + word + "}}", value)
    return text
