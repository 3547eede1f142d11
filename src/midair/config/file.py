"""Find and read the file of a configuration: ``midair.toml``, else ``[tool.midair]`` of ``pyproject.toml``; while a service is
developed else the one that Air or nodemon would read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from midair.config import places
from midair.config.names import AIR, INSIDE_NODEMON_SHARED, NODEMON_OWN, NODEMON_SHARED
from midair.config.problems import BadConfig, Problem
from midair.errors import ConfigError

if TYPE_CHECKING:
    from midair.config.layers import Document

OWN = "midair.toml"
SHARED = "pyproject.toml"
INSIDE_SHARED = ("tool", "midair")


class Unreadable(ConfigError):
    """The file cannot be opened."""

    code = "config-unreadable"


class NotForProduction(ConfigError):
    """A file of a development tool was given to a command that is not ``midair dev``."""

    code = "config-for-dev"
    hint = "midair dev reads it; midair init writes a midair.toml from it"

    def __init__(self, path: str, whose: str) -> None:
        super().__init__(f"{path} is {whose}'s: it says how the service is developed, not how it runs")


THEIRS = (*AIR, NODEMON_OWN, NODEMON_SHARED)
"""What is read where there is no file of ours, while a service is developed."""


def find(folder: str, config: str, *, is_dev: bool = False) -> str:
    """The file that counts: ``config`` if given (from ``folder``), else the one found in ``folder``; empty: none.

    is_dev: those of other tools count, too. Raises Unreadable if ``config`` is not there, NotForProduction.
    """
    if config:
        path = os.path.join(folder, config)
        if not os.path.isfile(path):
            raise Unreadable(f"there is no file {config}", hint=f"looked for {path}")
        if (whose := tool_of(path)) and not is_dev:
            raise NotForProduction(config, whose)
        return path
    for name in (OWN, SHARED, *(THEIRS if is_dev else ())):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and (name not in (SHARED, NODEMON_SHARED) or _has_its_table(path)):
            return path
    return ""


def tool_of(path: str) -> Literal["", "Air", "nodemon"]:
    """Whose file it is by its name; empty: ours. ``.air.toml``, ``.air.dev.toml``, ``air.toml``; ``nodemon.json``,
    ``nodemon.dev.json``, ``package.json``."""
    name = os.path.basename(path).lstrip(".")
    if name.startswith("air.") and name.endswith(".toml"):
        return "Air"
    return "nodemon" if (name.startswith("nodemon.") and name.endswith(".json")) or name == NODEMON_SHARED else ""


def typed_place(folder: str, config: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The folder of a service, and its file if one was named. folder: ``-C``; config: ``--config``; both as typed or empty.

    The folder is the typed one; without one that of ``config``; without either where we are. Another tool's file names none: its
    commands run where they were typed.
    """
    base = places.folder_as_typed(folder, environ)
    if config and not folder and not tool_of(config):
        whole = os.path.join(base, config)
        return places.folder_as_typed(os.path.dirname(whole), environ), os.path.basename(whole)
    return base, config


def is_theirs(folder: str, config: str) -> bool:
    """Whether what ``midair dev`` would read here is another tool's. Raises Unreadable."""
    return bool(tool_of(find(folder, config, is_dev=True)))


def read(path: str) -> Document:
    """The document at ``path``. Raises Unreadable, and BadConfig for what is not TOML."""
    # Here: whoever only looks for a service reads a name, and does not pay for what reads all the rest.
    from midair.config.layers import Document
    from midair.config.lines import key_lines

    name = os.path.basename(path)
    text = _text(path)
    if name.endswith(".json"):
        return _read_json(name, text)
    content = _toml(name, text)
    return Document(name, content, key_lines(text), INSIDE_SHARED if name == SHARED else ())


def _toml(name: str, text: str) -> Mapping[str, object]:
    """Our part of a TOML file. Raises BadConfig."""
    import tomllib  # Here: where nothing is configured it is not needed.

    try:
        content: object = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise BadConfig([_syntax_problem(name, str(exc))]) from exc
    inside = INSIDE_SHARED if name == SHARED else ()
    for part in inside:
        content = content.get(part, {}) if isinstance(content, Mapping) else {}
    if not isinstance(content, Mapping):
        raise BadConfig([Problem(name, "tool.midair is not a table", "write [tool.midair]")])
    return content


def _read_json(name: str, text: str) -> Document:
    from midair.config.layers import Document
    from midair.config.nodemon import json_lines

    try:
        content: object = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as exc:
        where = f"{name}:{exc.lineno}" if isinstance(exc, json.JSONDecodeError) else name
        raise BadConfig([Problem(where, f"is not JSON: {getattr(exc, 'msg', 'too deep')}")]) from exc
    inside = INSIDE_NODEMON_SHARED if name == NODEMON_SHARED else ()
    for part in inside:
        content = content.get(part, {}) if isinstance(content, Mapping) else {}
    if not isinstance(content, Mapping):
        raise BadConfig([Problem(name, "is not an object", "write {…}")])
    return Document(name, content, json_lines(text), inside)


def read_names(path: str) -> dict[str, str]:
    """``name`` and ``runtime_dir`` as far as they can be made out, from a file that may be broken otherwise.

    A service must be found and stopped although somebody is in the middle of editing its configuration.
    """
    name, text = os.path.basename(path), _text(path)
    try:
        content = _toml(name, text) if name.endswith(".toml") else read(path).content
    except BadConfig:
        return _scan_names(text, name == SHARED)
    found = {key: content.get(key) for key in ("name", "runtime_dir")}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8-sig")
    except OSError as exc:
        raise Unreadable(f"{path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise BadConfig([Problem(os.path.basename(path), f"is not UTF-8: byte {exc.start}")]) from exc


def _has_its_table(path: str) -> bool:
    """A cheap look first: most projects have a pyproject.toml or a package.json, few a part in it that counts here."""
    text = _text(path)
    if os.path.basename(path) == NODEMON_SHARED:
        return f'"{INSIDE_NODEMON_SHARED[0]}"' in text
    return "midair" in text and bool(_our_table(path))


def _our_table(path: str) -> bool:
    text = _text(path)
    try:
        return bool(_toml(os.path.basename(path), text))
    except BadConfig:
        # Broken, and perhaps ours: reading it again says what is wrong with it.
        return "tool.midair" in text


_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)$")


def _syntax_problem(name: str, text: str) -> Problem:
    match = _AT_LINE.search(text)
    where = f"{name}:{match[1]}" if match else name
    reason = _AT_LINE.sub("", text) or text
    return Problem(where, f"is not TOML: {reason[:1].lower()}{reason[1:]}")


_NAME_LINE = re.compile(r"""\s*(name|runtime_dir)\s*=\s*(?:"([^"\\]*)"|'([^']*)')\s*(?:#.*)?$""")


def _scan_names(text: str, is_shared: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    is_ours = not is_shared
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            is_ours = is_shared and line.strip().startswith("[tool.midair]")
        elif is_ours and (match := _NAME_LINE.match(line)):
            found.setdefault(match[1], match[2] if match[2] is not None else match[3])
    return found
