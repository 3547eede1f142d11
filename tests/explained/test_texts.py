"""What the explanations tell people to type and to write is there: commands, flags, keys, findings, events, pages.

Each test looks at all of them, and names those that are wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import midair
from midair.config.keys import all_keys
from midair.config.load import load, sources_for_run
from midair.errors import MidairError
from midair.explained.book import explanations, find
from midair.explained.explanation import Explanation
from midair.observe.events import EVENTS
from tests.explained.texts import codes, mentioned, of_midair, refusal, sentences, typed

DOCS = Path(__file__).parent.parent.parent / "docs"
ALL = list(explanations())
KEYS = {name for key in all_keys().values() for name in (key.name, ".".join(key.path))}
TABLES = {".".join(key.path[:depth]) for key in all_keys().values() for depth in range(1, len(key.path))} | {
    key.name for key in all_keys().values()
}


def test_every_explanation_is_whole() -> None:
    parts = ("summary", "happened", "serves", "causes", "do", "see")
    assert [(each.code, part) for each in ALL for part in parts if not getattr(each, part)] == []


def test_explanations_are_sentences() -> None:
    wrong = [
        (each.code, text)
        for each in ALL
        for text in sentences(each)
        if text.count("`") % 2 or text[-1] not in ".:)?`" or "  " in text
    ]
    assert wrong == []


def test_the_command_line_takes_every_command() -> None:
    lines = [(each.code, line, True) for each in ALL for line in typed(each)]
    lines += [(each.code, line, False) for each in ALL for line in mentioned(each)]
    wrong = {
        (code, line): why
        for code, line, is_whole in lines
        if (words := of_midair(line)) is not None and (why := refusal(words, is_whole=is_whole))
    }
    assert len(lines) > 300, "the search finds nothing any more"
    assert wrong == {}


@pytest.mark.parametrize(
    "line",
    ["relod", "reload --forse", "reload --expect", "scale none", "alerts tset", "hold --for '2 weeks'", "run -- "],
)
def test_a_command_that_is_not_there_is_noticed(line: str) -> None:
    words = of_midair(f"sudo -u shop midair {line} && true")
    assert words is not None
    assert refusal(words)


def keys_named(explained: Explanation) -> Iterator[str]:
    """What is a key by its form: dots between the words, the first of which is a table."""
    for code in codes(explained):
        if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", code) and code.partition(".")[0] in TABLES - KEYS:
            yield code


def test_every_key_that_is_named_is_one() -> None:
    named = {(each.code, key) for each in ALL for key in keys_named(each)}
    assert len({key for _, key in named}) > 30, "the search finds nothing any more"
    assert [(code, key) for code, key in sorted(named) if key not in KEYS] == []


ASSIGNED = re.compile(
    r"`([a-z_]+ = (?:\"[^`]*\"|\[[^`]*\]|true|false|\d+))`(?:[^`]*? under `(\[{1,2}[a-z_.]+\]{1,2})`)?"
)


def test_what_is_to_be_written_can_be_loaded(tmp_path: Path) -> None:
    found = [(each.code, *written) for each in ALL for text in sentences(each) for written in ASSIGNED.findall(text)]
    wrong = {}
    for code, line, table in found:
        (tmp_path / "midair.toml").write_text(f"{table}\n{line}\n")
        try:
            load(sources_for_run(folder=str(tmp_path), environ={}), needs_target=False)
        except MidairError as error:
            wrong[code, line, table] = str(error)
    assert len(found) > 15, "the search finds nothing any more"
    assert wrong == {}


def test_every_table_that_is_named_is_one() -> None:
    named = [
        (each.code, table)
        for each in ALL
        for text in sentences(each)
        for table in re.findall(r"`\[{1,2}([a-z_.]+)\]{1,2}`", text)
    ]
    assert [(code, table) for code, table in named if table not in TABLES | {"tool.midair"}] == []


def test_events_and_functions_that_are_named_are_there() -> None:
    known = EVENTS.keys() | {key.path[-1] for key in all_keys().values()} | set(midair.__all__)
    words = [(each.code, code) for each in ALL for code in codes(each) if re.fullmatch(r"[a-z]+(_[a-z]+)+", code)]
    assert [(code, word) for code, word in words if word not in known] == []
    called = [(each.code, code) for each in ALL for code in codes(each) if re.fullmatch(r"midair\.\w+(\(.*\))?", code)]
    assert [(code, name) for code, name in called if re.split(r"\W", name)[1] not in midair.__all__] == []


def test_what_the_doctor_is_said_to_find_is_on_its_page() -> None:
    page = (DOCS / "doctor.md").read_text()
    said = [
        (each.code, finding)
        for each in ALL
        for text in each.prevent
        for finding in re.findall(r"`midair doctor`[^.]*\(`([a-z-]+)`\)", text)
    ]
    assert len(said) > 3, "the search finds nothing any more"
    assert [(code, finding) for code, finding in said if f"\n| `{finding}` |" not in page] == []


def test_codes_that_are_named_are_explained() -> None:
    seen = [(each.code, target) for each in ALL for target in each.see if ".md" not in target]
    assert [(code, target) for code, target in seen if target == code or not find(target)] == []
    pages = [(each.code, target) for each in ALL for target in each.see if ".md" in target]
    assert [(code, page) for code, page in pages if not (DOCS / page.partition("#")[0]).exists()] == []


def test_what_is_shown_begins_with_a_command_and_ends_with_its_code() -> None:
    shown = {each.code: each.shown for each in ALL if each.shown}
    assert len(shown) >= 20
    for code, lines in shown.items():
        assert lines[0].startswith("$ midair ")
        assert lines[-1] == f"more: midair explain {code}"
