"""The pages of the reference say what the code says: every key, flag, event, metric and error is on its page."""

from __future__ import annotations

import re
from collections import Counter

import pytest

import midair
from docs import explaining, reference
from midair.config.keys import MIRRORS, all_keys

OF_ERRORS = explaining.pages().keys()


@pytest.mark.parametrize("name", [*sorted(reference.PAGES.keys() - OF_ERRORS), *reference.PARTS])
def test_a_page_of_the_reference_is_what_the_code_makes(name: str) -> None:
    committed = (reference.FOLDER / name).read_text()
    assert committed == reference.page(name), f"docs/{name} is stale: python -m docs.reference writes it"


def test_the_pages_of_the_errors_are_what_the_code_makes() -> None:
    stale = [name for name in OF_ERRORS if (reference.FOLDER / name).read_text() != reference.page(name)]
    assert stale == [], "python -m docs.reference writes them"


def test_no_page_is_left_of_a_code_that_is_gone() -> None:
    assert reference.gone() == []


def test_every_key_says_what_it_means() -> None:
    meanings = reference._meanings()
    paths = [".".join(key.path) for key in all_keys().values()]
    assert [path for path in paths if not meanings[path]] == [], "give the field a docstring"


def test_every_error_class_says_what_it_means() -> None:
    assert [code for code, error in reference.error_classes().items() if not reference._doc(error)] == []


def test_the_keys_without_effect_are_those_that_nothing_reads() -> None:
    code = "\n".join(
        path.read_text()
        for path in sorted(reference.SOURCE.rglob("*.py"))
        if path.relative_to(reference.SOURCE).parts[0] not in ("config", "scaffold", "testing")
    )
    # In a chain ``a.b.c`` both ``a.b`` and ``b.c`` are looked up.
    looked_up = set(re.findall(r"\b(\w+)\.(?=(\w+))", code))
    anywhere = {field for _, field in looked_up}
    fields = Counter(key.path[-1] for key in all_keys().values())
    unread = set()
    for key in all_keys().values():
        table, field = key.path[0], key.path[-1]
        is_read = field in anywhere if fields[field] == 1 else {("settings", field), (table, field)} & looked_up
        if not is_read:
            unread.add(key.name)
    assert unread - READ_ANOTHER_WAY == reference.NOT_IN_EFFECT


READ_ANOTHER_WAY = {f"signals.{name}" for name in ("hup", "usr1", "usr2", "term", "int", "quit", "ttin", "ttou")} | {
    name for name, field in ((key.name, ".".join(key.path)) for key in all_keys().values()) if field in MIRRORS.values()
}
"""Read by name, which a search for an attribute does not see, and those that the worker is told under another name."""


def test_what_an_application_may_import_is_there() -> None:
    assert {"before_fork", "after_fork", "worker_exited"} <= set(midair.__all__)
    assert all(hasattr(midair, name) for name in midair.__all__)
    with pytest.raises(AttributeError, match="no attribute 'befor_fork'"):
        midair.befor_fork  # noqa: B018  # looking it up is the test
