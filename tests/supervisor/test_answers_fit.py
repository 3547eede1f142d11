"""What is long is cut so that it fits into an answer, whatever applications and their clients call things."""

from __future__ import annotations

from midair.control import words
from midair.control.framing import encode_answer
from midair.observe.holding import Connection, Holding, fitting
from midair.supervisor import control, holding

HOSTILE = "\x01" * 160
"""Six bytes each as JSON."""


def test_what_keeps_hundreds_of_workers_fits() -> None:
    row = Connection(peer="10.0.0.7:1", kind="request", age_s=1.0, request=HOSTILE, stack=(HOSTILE,) * 6)
    held = fitting(Holding(kinds={"request": 40}, connections=(row,) * 40))
    one = words.WorkerHolding(id=1, slot=0, pid=7, state="leaving", holding=held)
    hung = words.WorkerHolding(id=1, slot=0, pid=7, state="leaving", stacks="x" * 256 * 1024)
    told = holding.fitting([one, hung] * 100)
    encode_answer(words.WhyAliveReport(generation=7, workers=told))
    assert len(told) == 200
    assert told[0] == one
    assert told[-2].holding == Holding(kinds={"request": 40}), "counted in any case"
    assert told[-1].stacks


def test_the_last_lines_fit_and_it_is_told_how_many_are_left_out() -> None:
    lines = [words.LogLine(time_s=0, generation=7, slot=0, text="\x01" * 16_000, number=n) for n in range(200)]
    answer = control.fitting(lines)
    encode_answer(answer)
    assert answer.lines[-1].number == 199
    assert answer.dropped == 200 - len(answer.lines) > 100
    assert control.fitting(lines[:3]).dropped == 0
