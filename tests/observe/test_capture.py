"""A worker's output, cut into lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from midair.observe.capture import (
    LINE_MAX_BYTES,
    TAIL_LINES,
    TAIL_MAX_BYTES,
    WORDS_LINES,
    Line,
    Splitter,
    Tail,
    last_words,
)

pieces = st.lists(st.binary(max_size=30) | st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\xff"]), max_size=20)


@given(pieces)
def test_lines_do_not_depend_on_how_they_arrive(parts: list[bytes]) -> None:
    whole, piecewise = Splitter(8, 1), Splitter(8, 1)
    expected = whole.feed(b"".join(parts)) + whole.finish()
    got = [line for part in parts for line in piecewise.feed(part)] + piecewise.finish()
    assert got == expected
    assert all("\n" not in line.text for line in got)


@given(pieces, st.integers(0, 20))
def test_a_re_execution_in_the_middle_of_a_line_loses_nothing(parts: list[bytes], at: int) -> None:
    straight, before = Splitter(8, 1), Splitter(8, 1)
    expected = [line for part in parts for line in straight.feed(part)] + straight.finish()
    got = [line for part in parts[:at] for line in before.feed(part)]
    after = Splitter(8, 1, before.export())
    got += [line for part in parts[at:] for line in after.feed(part)] + after.finish()
    assert got == expected


def test_bytes_that_are_no_text_are_shown() -> None:
    assert Splitter(8, 1).feed(b"caf\xe9\n") == [Line(8, 1, "caf\\xe9")]


def test_an_endless_line_takes_bounded_memory_and_is_counted() -> None:
    splitter = Splitter(8, 1)
    for _ in range(100):
        assert splitter.feed(b"x" * 10_000) == []
        assert len(splitter.export()) <= LINE_MAX_BYTES + 8
    splitter = Splitter(8, 1, splitter.export())
    (line, following) = splitter.feed(b"y\nnext\n")
    assert line.text == "x" * LINE_MAX_BYTES
    assert line.lost_bytes == 1_000_001 - LINE_MAX_BYTES
    assert following == Line(8, 1, "next")


def test_the_tail_keeps_the_last_lines_within_its_bounds() -> None:
    tail = Tail()
    for number in range(1000):
        tail.add(str(number))
    assert tail.export() == [str(number) for number in range(1000 - TAIL_LINES, 1000)]
    assert tail.last(2) == ["998", "999"]
    assert tail.last(0) == []
    assert Tail(tail.export()).export() == tail.export()
    for _ in range(100):
        tail.add("x" * LINE_MAX_BYTES)
    assert sum(map(len, tail.export())) <= TAIL_MAX_BYTES


FAILED = [
    ("0stdout", 'INFO: "GET / HTTP/1.1" 200 OK'),
    ("0stderr", "exception in the application: GET /orders"),
    ("1stderr", "exception in the application: GET /orders"),
    ("0stderr", "Traceback (most recent call last):"),
    ("1stderr", "Traceback (most recent call last):"),
    ("1stderr", '  File "/srv/shop/app.py", line 13, in app'),
    ("0stderr", '  File "/srv/shop/app.py", line 99, in app'),
    ("1stderr", "KeyError: 'price'"),
    ("0stderr", "KeyError: 'cost'"),
    ("1stdout", 'INFO: "GET /orders HTTP/1.1" 500'),
]


def test_a_failure_is_explained_by_the_last_traceback_of_one_worker_and_by_what_it_was_about() -> None:
    assert last_words(FAILED) == [
        "exception in the application: GET /orders",
        "Traceback (most recent call last):",
        '  File "/srv/shop/app.py", line 13, in app',
        "KeyError: 'price'",
    ]


def test_without_a_traceback_the_last_lines_are_what_there_is() -> None:
    assert last_words([("0stdout", f"line {number}") for number in range(30)])[0] == "line 20"
    assert last_words([]) == []


def test_a_long_traceback_is_quoted_with_its_beginning_and_its_end() -> None:
    frames = [("0stderr", f'  File "deep.py", line {number}') for number in range(500)]
    words = last_words([FAILED[3], *frames, ("0stderr", "RecursionError: too deep"), ("0stderr", "served on")])
    assert (words[0], words[-1]) == ("Traceback (most recent call last):", "RecursionError: too deep")
    assert len(words) == WORDS_LINES
