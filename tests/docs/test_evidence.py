"""A page that says which test shows a thing is believed only if that test is there, and would run."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if NAMED.search(page.read_text())]


@cache
def functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_a_page_names_are_there(page: Path) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in NAMED.findall(page.read_text())
        if not (ROOT / file).is_file() or (name and name not in functions(ROOT / file))
    ]
    assert missing == []


def test_each_kind_of_thing_that_survives_has_tests_that_show_it() -> None:
    _, *parts = re.split(r"^## ", (ROOT / "docs" / "survives.md").read_text(), flags=re.MULTILINE)
    shown = {part.splitlines()[0]: len(NAMED.findall(part)) for part in parts if part.count("\n| ") > 1}
    assert len(shown) == 5
    assert [title for title, count in shown.items() if count < 5] == []


def test_a_test_that_is_not_there_is_found_out() -> None:
    assert "test_nobody_notices" not in functions(ROOT / "tests" / "system" / "test_kills.py")
    assert NAMED.findall("`tests/system/test_kills.py::test_nobody_notices`") == [
        ("tests/system/test_kills.py", "test_nobody_notices")
    ]


def test_a_table_of_figures_that_stands_on_two_pages_is_the_same() -> None:
    rows = re.findall(r"^\| .+SIGHUP \|.+\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == 3
    compared = (ROOT / "docs" / "comparison.md").read_text()
    assert [row for row in rows if row not in compared] == []
