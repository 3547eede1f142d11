"""A loop that feeds itself ends; whoever saves by hand is never held up for good."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from midair.dev.feeding import ROUNDS_OF_BUILDS, ROUNDS_OF_SOURCES, ROUNDS_OF_UPDATES, Feeding


def rounds(feeding: Feeding, path: str, *, is_built: bool = True) -> int:
    """How many rounds our own work leads to that writes ``path`` each time."""
    for number in range(100):
        if not feeding.took([path], is_working=True, is_built=is_built).paths:
            return number
    return 100


def test_what_a_build_writes_each_time_is_left_alone_after_few_rounds() -> None:
    feeding = Feeding()
    assert feeding.took(["src/a.ts"], is_working=False).paths == ("src/a.ts",)
    assert rounds(feeding, "dist/a.js") == ROUNDS_OF_BUILDS - 1


def test_what_an_application_writes_each_time_is_left_alone_after_some_more() -> None:
    assert rounds(Feeding(), "data.json", is_built=False) == ROUNDS_OF_UPDATES - 1


def test_it_is_named_once_when_it_is_found_out() -> None:
    feeding = Feeding()
    told = [feeding.took(["dist/a.js"], is_working=True, is_built=True).written for _ in range(ROUNDS_OF_BUILDS + 2)]
    assert told == [(), (), ("dist/a.js",), (), ()]


def test_files_with_another_name_each_time_are_found_out_too() -> None:
    feeding = Feeding()
    feeding.took(["src/a.ts"], is_working=False)
    counted = [bool(feeding.took([f"dist/a.{n}.js"], is_working=True, is_built=True).paths) for n in range(30)]
    assert counted.count(True) < 3 * ROUNDS_OF_BUILDS
    assert not any(counted[3 * ROUNDS_OF_BUILDS :])


def test_a_source_may_be_saved_again_and_again_while_a_slow_build_runs() -> None:
    feeding = Feeding()
    feeding.took(["src/a.ts"], is_working=False)
    assert rounds(feeding, "src/a.ts") == ROUNDS_OF_SOURCES - 1


def test_what_is_changed_while_nothing_runs_counts_again() -> None:
    feeding = Feeding()
    assert rounds(feeding, "new.py") == ROUNDS_OF_BUILDS - 1
    assert feeding.took(["new.py"], is_working=False).paths == ("new.py",)
    assert feeding.took(["new.py"], is_working=True).paths == ("new.py",), "it is a source now"


def test_a_save_beside_what_the_build_writes_counts() -> None:
    feeding = Feeding()
    feeding.took(["src/a.ts"], is_working=False)
    rounds(feeding, "dist/a.js")
    fed = feeding.took(["dist/a.js", "src/a.ts"], is_working=True, is_built=True)
    assert fed.paths == ("src/a.ts",)


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True), max_size=200), st.booleans())
def test_no_work_of_ours_leads_to_itself_for_ever(batches: list[list[str]], is_built: bool) -> None:
    feeding = Feeding()
    feeding.took(["a"], is_working=False)
    row = 0
    for batch in batches:
        others = [path for path in batch if path != "a"]
        row = row + 1 if feeding.took(others, is_working=True, is_built=is_built).paths else 0
        assert row < 3 * ROUNDS_OF_UPDATES


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_a_change_while_nothing_runs_always_counts(history: list[tuple[str, bool]]) -> None:
    feeding = Feeding()
    for path, is_working in history:
        fed = feeding.took([path], is_working=is_working)
        assert is_working or fed.paths == (path,)
