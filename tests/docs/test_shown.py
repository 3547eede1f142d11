"""What a page shows is compared word by word; figures differ from run to run."""

from __future__ import annotations

from tests.docs.shown import ANYTHING, fits, is_shown, says_nothing, without_figures


def test_a_shown_line_that_is_not_printed_is_noticed() -> None:
    assert fits(["a", ANYTHING, "d"], ["a", "b", "c", "d"])
    assert fits([ANYTHING, "d"], ["d"])
    assert not fits(["a", ANYTHING, "e"], ["a", "b", "c", "d"])
    assert not fits(["a"], ["a", "b"])
    assert not fits([], ["a"])


def test_figures_and_the_widths_of_columns_may_be_others() -> None:
    assert without_figures(["bake        10.00 s"]) == without_figures(["bake         0.30 s"])
    assert is_shown(["20261126-081500 serves (version 431e7978)"], ["20250101-000000 serves (version 01234567)"])
    assert is_shown(["Nov 26 20:51:35 web-1 shop[412]: update done"], ["Jan  2 00:00:00 vm shop[1]: update done"])
    assert is_shown(["at 2026-11-26T20:51:35.123Z, 5 s"], ["at 2025-01-01T00:00:00.001Z, 0.3 s"])


def test_process_ids_sizes_and_columns_of_figures_may_be_others() -> None:
    row = "                       1.1     {}  serving     {}       0         0  {} MiB  {}"
    assert is_shown([row.format(4104, 360, "64.0", "2 h")], [row.format(37, 0, "25.5", "0.3 s")])
    assert not is_shown(
        [row.format(4104, 360, "64.0", "2 h")], [row.format(4104, 360, "64.0", "2 h").replace("serv", "leav")]
    )
    assert is_shown(["2.0 | no customer"], ["2.1 | no customer"])
    assert is_shown(["7 workers within a minute; worker 9 ended"], ["1 worker within a minute; worker 2 ended"])
    assert is_shown(["127.0.0.1:38976  GET /"], ["127.0.0.1:51234  GET /"])
    assert not is_shown(["127.0.0.1:8000"], ["127.0.0.1:8001"])
    assert is_shown(["in use by python3 (pid 812)", "kill 812"], ["in use by python3 (pid 9)", "kill 9"])


def test_words_and_counts_may_not() -> None:
    assert not is_shown(["generation 2 serves"], ["generation 3 serves"])
    assert not is_shown(["2 workers"], ["3 workers"])


def test_a_page_that_shows_only_an_ellipsis_shows_no_word() -> None:
    assert says_nothing([])
    assert says_nothing([ANYTHING])
    assert not says_nothing([ANYTHING, "error: no"])
