"""A value is changed by what changes its kind: a struct by ``msgspec.structs.replace``, a dataclass by ``dataclasses.replace``.

mypy takes the one for the other, since both kinds of class say that they have fields; the mistake would be met by whoever comes by.
So the names of the fields are compared with those that classes of either kind have.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import midair

SOURCE = Path(midair.__file__).parent
DATACLASSES, STRUCTS = "dataclasses", "msgspec.structs"


def calls(text: str) -> Iterator[tuple[str, int, frozenset[str]]]:
    """Every call of either ``replace``: whose it is, its line, and the fields that it gives."""
    if "replace" not in text:
        return
    tree = ast.parse(text)
    owners = {"dataclasses.replace": DATACLASSES, "msgspec.structs.replace": STRUCTS, "structs.replace": STRUCTS}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in (DATACLASSES, STRUCTS):
            owners |= {each.asname or each.name: node.module for each in node.names if each.name == "replace"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (owner := owners.get(ast.unparse(node.func))):
            yield owner, node.lineno, frozenset(each.arg for each in node.keywords if each.arg)


def classes() -> dict[str, list[frozenset[str]]]:
    """The fields of every class of ours, by what changes its values."""
    found: dict[str, set[frozenset[str]]] = {DATACLASSES: set(), STRUCTS: set()}
    for module in pkgutil.walk_packages(midair.__path__, "midair."):
        if ".templates" in module.name or module.name.endswith("__main__"):
            continue
        for each in vars(importlib.import_module(module.name)).values():
            if isinstance(each, type) and issubclass(each, msgspec.Struct):
                found[STRUCTS].add(frozenset(each.__struct_fields__))
            elif isinstance(each, type) and dataclasses.is_dataclass(each):
                found[DATACLASSES].add(frozenset(field.name for field in dataclasses.fields(each)))
    return {kind: list(fields) for kind, fields in found.items()}


def wrong(text: str, known: dict[str, list[frozenset[str]]]) -> list[int]:
    """The lines on which no class of the kind that is meant has these fields."""
    return [line for owner, line, given in calls(text) if not any(given <= fields for fields in known[owner])]


def test_every_value_is_changed_by_what_changes_its_kind() -> None:
    known, texts = classes(), {path: path.read_text() for path in SOURCE.rglob("*.py") if "templates" not in path.parts}
    assert sum(len(list(calls(text))) for text in texts.values()) > 40, "the search finds nothing any more"
    assert {str(path): lines for path, text in texts.items() if (lines := wrong(text, known))} == {}


@pytest.mark.parametrize(
    ("line", "is_wrong"),
    [
        ("from dataclasses import replace; replace(it, only_dataclasses=1)", False),
        ("from dataclasses import replace; replace(it, only_structs=1)", True),
        ("import dataclasses; dataclasses.replace(it, only_structs=1)", True),
        ("from msgspec import structs; structs.replace(it, only_structs=1)", False),
        ("import msgspec; msgspec.structs.replace(it, only_dataclasses=1)", True),
        ("'a'.replace('b', 'c')", False),
    ],
)
def test_the_wrong_one_is_seen(line: str, is_wrong: bool) -> None:
    known = {DATACLASSES: [frozenset({"only_dataclasses", "x"})], STRUCTS: [frozenset({"only_structs", "x"})]}
    assert wrong(line, known) == ([1] if is_wrong else [])
