"""From where an import starts: from as far on as a fresh import would have come to in the same way, and no further."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from midair.release.starting import CHECKPOINTS_MAX, HOT_MAX, Kept, changes, choose, heat, likely, surplus

NAMES = st.sampled_from(["a.py", "b.py", "c.py", "d.py", "e.yaml"])
FILES = st.dictionaries(NAMES, st.binary(min_size=1, max_size=1))


def kept(number: int, before: str, **relied: bytes) -> Kept:
    return Kept(number, before, {f"{name}.py": digest for name, digest in relied.items()})


def test_the_checkpoint_that_has_seen_most_of_what_is_unchanged_is_taken() -> None:
    early, late = kept(1, "b.py", a=b"1"), kept(2, "c.py", a=b"1", b=b"1")
    now = {"a.py": b"1", "b.py": b"1", "c.py": b"2"}
    start = choose([early, late], now, hot=("c.py",), changed=["c.py"])
    assert (start.origin, start.stops, start.stale) == (2, (), {})


def test_a_checkpoint_that_has_executed_the_edited_file_is_stale_by_its_name() -> None:
    early, late = kept(1, "b.py", a=b"1"), kept(2, "c.py", a=b"1", b=b"1")
    start = choose([early, late], {"a.py": b"1", "b.py": b"2", "c.py": b"1"}, hot=("b.py",), changed=["b.py"])
    assert (start.origin, start.stale) == (1, {2: "b.py"})


def test_a_file_that_was_removed_makes_a_checkpoint_stale() -> None:
    start = choose([kept(1, "b.py", a=b"1")], {"b.py": b"1"}, hot=(), changed=["a.py"])
    assert (start.origin, start.stale) == (None, {1: "a.py"})


def test_an_import_from_the_beginning_stops_before_each_file_under_edit() -> None:
    assert choose([], {"a.py": b"1"}, hot=("b.py", "a.py"), changed=["b.py"]).stops == ("b.py", "a.py")


def test_an_import_from_a_checkpoint_stops_before_what_was_saved_now_alone() -> None:
    first = kept(1, "b.py", a=b"1")
    now = {"a.py": b"1", "b.py": b"1", "c.py": b"2", "d.py": b"1"}
    assert choose([first], now, hot=("c.py", "d.py", "b.py"), changed=["c.py"]).stops == ("c.py",)
    assert choose([first], now, hot=("b.py", "c.py"), changed=["b.py"]).stops == ()


def test_the_likely_start_is_the_one_before_the_file_that_was_edited_last() -> None:
    now = {"app.py": b"1", "a.py": b"1", "b.py": b"1"}
    before_a = Kept(1, "a.py", {"app.py": b"1"})
    before_b = Kept(2, "b.py", {"app.py": b"1", "a.py": b"1"})
    assert likely([before_a, before_b], now, ("b.py", "a.py")) == 2
    assert likely([before_a, before_b], now, ("a.py", "b.py")) == 1
    assert likely([before_b], now, ("app.py",)) is None
    assert likely([before_b], now, ()) is None


def test_a_checkout_says_nothing_of_what_is_edited_next() -> None:
    many = [f"{number}.py" for number in range(HOT_MAX + 1)]
    assert heat(("a.py",), many) == ("a.py",)
    assert heat(("a.py", "b.py"), ["b.py"]) == ("b.py", "a.py")


def test_of_two_checkpoints_before_one_file_the_newer_stays() -> None:
    assert surplus([kept(1, "a.py"), kept(2, "b.py"), kept(3, "a.py")]) == [1]


@given(before=FILES, now=FILES)
def test_changes_are_what_differs(before: dict[str, bytes], now: dict[str, bytes]) -> None:
    assert set(changes(before, now)) == {
        name for name in ["a.py", "b.py", "c.py", "d.py", "e.yaml"] if before.get(name) != now.get(name)
    }


@given(relied=st.lists(FILES, max_size=8), now=FILES, hot=st.lists(NAMES, unique=True, max_size=HOT_MAX))
def test_nothing_starts_where_something_seen_has_changed(
    relied: list[dict[str, bytes]], now: dict[str, bytes], hot: list[str]
) -> None:
    checkpoints = [Kept(number, "", files) for number, files in enumerate(relied)]
    start = choose(checkpoints, now, hot, hot)
    good = [
        number for number, files in enumerate(relied) if all(now.get(name) == digest for name, digest in files.items())
    ]
    assert (start.origin is None) == (not good)
    assert start.origin is None or start.origin in good
    assert set(start.stale) == set(range(len(relied))) - set(good)


@given(places=st.lists(NAMES, max_size=20))
def test_no_more_are_kept_than_the_bound(places: list[str]) -> None:
    checkpoints = [Kept(number, place, {}) for number, place in enumerate(places)]
    given_up = surplus(checkpoints)
    left = [each for each in checkpoints if each.id not in given_up]
    assert len(left) <= CHECKPOINTS_MAX
    assert not checkpoints or checkpoints[-1] in left
