"""The line of a save."""

from __future__ import annotations

from midair.dev.line import Saved, duration, named, save_line, times_of
from midair.supervisor.ledger import Event, PhaseTime, Receipt


def test_it_says_what_changed_what_was_done_how_long_it_took_and_who_was_told() -> None:
    times = (("import", 0.0121), ("start", 0.008), ("live", 0.031))
    assert save_line(Saved("app/main.py", "fork", times=times, told=2)) == (
        "app/main.py  fork  import 12 ms  start 8 ms  live 31 ms  2 tabs refreshed"
    )
    assert save_line(Saved("site.css", "asset", told=1)) == "site.css  asset  1 tab told"
    assert save_line(Saved("app.py", "spawn", "a thread runs")) == "app.py  spawn (a thread runs)"
    assert save_line(Saved("app.py", "fork", "from the base: x")) == "app.py  fork from the base: x"


def test_of_many_files_the_first_are_named_and_the_rest_counted() -> None:
    assert named(["a.py", "b.py"]) == "a.py, b.py"
    assert named(["a.py", "b.py", "c.py", "d.py"]) == "a.py, b.py and 2 more"


def test_the_name_of_a_file_does_not_drive_the_terminal() -> None:
    assert named(["a\x1b[2Jb.py"]) == "a\\x1b[2Jb.py"


def test_times_are_short() -> None:
    assert [duration(seconds) for seconds in (0.0004, 0.0124, 0.9994, 1.26)] == ["0 ms", "12 ms", "999 ms", "1.3 s"]


def test_times_are_those_of_the_receipt_and_the_last_is_from_the_save_to_the_first_answer() -> None:
    receipt = Receipt(number=1, generation=2, by="save", began=0.0, began_s=0.0)
    receipt.events = [
        Event(at_s=0.02, event="imported", fields={"seconds": 0.012}),
        Event(at_s=0.03, event="worker_started", fields={"seconds": 0.004}),
        Event(at_s=0.03, event="probed", fields={"seconds": 1.0}),
    ]
    receipt.phases = [PhaseTime(phase="ready", at_s=0.04), PhaseTime(phase="cut-over", at_s=0.05)]
    assert times_of(receipt, 0.01) == (("import", 0.012), ("start", 0.004), ("live", 0.060000000000000005))
