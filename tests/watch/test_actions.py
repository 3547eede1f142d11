"""Which actions a batch is for, and how a path reaches them: as an argument, never as a part of a line."""

from __future__ import annotations

import json

from midair.config.schema import Watch, WatchAction
from midair.watch.actions import ARGUMENTS_MAX_BYTES, match, wants_chmod
from midair.watch.words import Change

UPLOAD = WatchAction(name="upload", on=("create",), paths=("/incoming/",), run=("./handle", "--now"), update=False)
SYNC = WatchAction(on=("write", "move"), paths=("*.md", "!draft.md"), run=("tools/sync",))
AUDIT = WatchAction(on=("chmod",), run=("audit",), update=False)
WATCH = Watch(action=(UPLOAD, SYNC, AUDIT))


def test_an_action_gets_the_changes_of_its_kinds_and_paths() -> None:
    changes = [
        Change("create", "incoming/2026/a.bin"),
        Change("write", "incoming/b.bin"),
        Change("write", "docs/a.md"),
        Change("write", "draft.md"),
        Change("create", "new.md"),
    ]
    matched = match(changes, WATCH)
    assert [(due.name, [change.path for change in due.changes]) for due in matched.due] == [
        ("upload", ["incoming/2026/a.bin"]),
        ("sync", ["docs/a.md"]),
    ]
    assert [change.path for change in matched.left] == ["incoming/b.bin", "docs/a.md", "draft.md", "new.md"]


def test_an_action_is_not_for_what_its_expressions_find() -> None:
    watch = Watch(action=(WatchAction(run=("x",), paths=("*.sql",), ignore_regex=("_old", "^tmp/")),))
    changes = [Change("write", "a.sql"), Change("write", "a_old.sql"), Change("write", "tmp/a.sql")]
    (due,) = match(changes, watch).due
    assert [change.path for change in due.changes] == ["a.sql"]


def test_a_move_is_for_whoever_names_either_end() -> None:
    away = Change("move", "old/a.txt", "a.md")
    assert match([away], WATCH).due[0].changes == (away,)


def test_a_change_that_is_for_two_actions_updates_if_one_of_them_says_so() -> None:
    both = Watch(action=(WatchAction(run=("one",), update=False), WatchAction(run=("two",))))
    matched = match([Change("write", "app.py")], both)
    assert (len(matched.due), len(matched.left)) == (2, 1)


def test_changes_of_permission_bits_are_for_those_who_ask_and_lead_to_no_update() -> None:
    changes = [Change("chmod", "run.sh")]
    matched = match(changes, WATCH)
    assert [due.name for due in matched.due] == ["audit"]
    assert matched.left == ()
    assert match(changes, Watch()).left == ()
    assert (wants_chmod(WATCH), wants_chmod(Watch(action=(SYNC,)))) == (True, False)


def test_a_path_is_an_argument_of_its_own_whatever_its_name_is() -> None:
    names = ["$(touch x).txt", "a b; rm -rf c", "-rf", "`id`", "two\nlines"]
    (due,) = match([Change("create", name) for name in names], Watch(action=(WatchAction(run=("cat", "--")),))).due
    assert due.argv() == ["cat", "--", "$(touch x).txt", "a b; rm -rf c", "./-rf", "`id`", "two\nlines"]
    assert [each["path"] for each in json.loads(due.standard_input())["changes"]] == names


def test_the_json_tells_kinds_and_where_a_file_was_moved_from() -> None:
    changes = [Change("move", "b", "a", b"12"), Change("remove", "c")]
    (due,) = match(changes, Watch(action=(WatchAction(run=("x",)),))).due
    assert json.loads(due.standard_input()) == {
        "changes": [{"kind": "move", "path": "b", "before": "a"}, {"kind": "remove", "path": "c"}]
    }


def test_more_paths_than_a_command_line_holds_stand_in_the_json_alone() -> None:
    changes = [Change("create", f"{place:04}" + "x" * 1000) for place in range(1000)]
    (due,) = match(changes, Watch(action=(WatchAction(run=("x",)),))).due
    assert sum(len(argument) + 1 for argument in due.argv()) < ARGUMENTS_MAX_BYTES + 100
    assert len(json.loads(due.standard_input())["changes"]) == 1000
