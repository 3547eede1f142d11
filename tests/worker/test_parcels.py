"""State as it travels: what an application carries comes out as it went in, or it is said why not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair import carried
from midair.carried import Carried, CarriedTwice, CarriedWrongly, Item, carry
from midair.worker import parcels
from midair.worker.parcels import ExportFailed, Parcel, RestoreFailed, StatesMeet, StateTooLarge, VersionNotAccepted

MAX = 1 << 20


@pytest.fixture(autouse=True)
def _nothing_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "_registry", carried._Registry())


def _add(mine: int, theirs: int, before: int) -> int:
    return mine + theirs - before


class Rooms:
    """An application's own structure, with two functions."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.restored: list[list[Any]] = []

    def dump(self) -> list[str]:
        return self.names

    def load(self, states: list[list[str]]) -> None:
        self.restored.append(states)
        self.names = [name for state in states for name in state]


def _parcel(*items: Item) -> Parcel:
    return parcels.unpack(parcels.pack(items, MAX))


def _begun(*items: Item) -> list[Item]:
    parcels.begin(items)
    return list(items)


# --- without midair -----------------------------------------------------------------------------------------------


def test_without_midair_a_value_is_a_value_and_functions_are_never_called() -> None:
    rooms = Rooms()
    hits = carry("hits", 0)
    carry("rooms", export=rooms.dump, restore=rooms.load)
    hits.value += 1
    assert hits.value == 1
    assert rooms.restored == []


def test_a_name_is_carried_once() -> None:
    carry("hits", 0)
    with pytest.raises(CarriedTwice):
        carry("hits", 1)


def test_what_makes_no_sense_is_said_at_once() -> None:
    with pytest.raises(CarriedWrongly):
        carry("a")  # type: ignore[call-overload]
    with pytest.raises(CarriedWrongly):
        carry("a", export=list)  # type: ignore[call-overload]
    with pytest.raises(CarriedWrongly):
        carry("a", 0, export=list, restore=print)  # type: ignore[call-overload]


def test_none_is_a_value_like_others() -> None:
    assert carry("nothing", None).value is None


def test_after_the_start_up_nothing_more_is_carried() -> None:
    carried.close()
    with pytest.raises(CarriedWrongly, match="after the start-up"):
        carry("late", 0)


# --- there and back -----------------------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_data_comes_out_as_it_went_in(value: Any) -> None:
    old, new = _item(value), _item(type(value)())
    _begun(old), _begun(new)
    parcels.take([new], [_parcel(old)], is_strict=True)
    assert new.value == value
    assert type(new.value) is type(value)


def _item(value: Any) -> Carried[Any]:
    return Carried("value", value, 1, (), None, None)


@dataclass
class Point:
    x: int
    y: int


@pytest.mark.parametrize("value", [{1, 2}, frozenset({"a"}), (1, "b"), Point(1, 2)])
def test_sets_tuples_and_dataclasses_keep_their_type(value: Any) -> None:
    old, new = _item(value), _item(value)
    _begun(old), _begun(new)
    new.value = None
    parcels.take([new], [_parcel(old)], is_strict=True)
    assert new.value == value
    assert type(new.value) is type(value)


def test_what_is_restored_shares_nothing_with_the_beginning() -> None:
    item = _item({"list": []})
    _begun(item)
    item.value["list"].append(1)
    parcels.begin_anew([item])
    item.value["list"].append(2)
    parcels.begin_anew([item])
    assert item.value == {"list": []}


def test_a_file_is_read_as_it_was_written() -> None:
    item = _item([0] * 100_000)
    fd = os.memfd_create("test")
    try:
        parcels.write(fd, parcels.pack([item], MAX))
        assert parcels.read(fd) == _parcel(item)
    finally:
        os.close(fd)


# --- one state or several -----------------------------------------------------------------------------------------


def test_functions_get_the_states_of_all_slots_that_meet_the_slots_own_first() -> None:
    one, other, new = Rooms(), Rooms(), Rooms()
    one.names, other.names = ["a"], ["b", "c"]
    parts = [_parcel(_pair(one)), _parcel(_pair(other))]
    parcels.take(_begun(_pair(new)), parts, is_strict=True)
    assert new.restored == [[], [["a"], ["b", "c"]]]


def _pair(rooms: Rooms, merge: Any = None) -> Item:
    return carried.CarriedPair("rooms", rooms.dump, rooms.load, 1, (), None, merge)


def test_values_that_meet_are_merged_or_refused() -> None:
    parts = [_parcel(_item(3)), _parcel(_item(4))]
    summed = Carried("value", 0, 1, (), None, _add)
    parcels.take(_begun(summed), parts, is_strict=True)
    assert summed.value == 7
    with pytest.raises(StatesMeet, match="2 values of 'value'"):
        parcels.take(_begun(_item(0)), parts, is_strict=True)


def test_where_nothing_can_be_refused_the_slots_own_value_stays_and_the_other_is_named() -> None:
    item = _item(0)
    assert parcels.take(_begun(item), [_parcel(_item(3)), _parcel(_item(4))], is_strict=False) == ["value"]
    assert item.value == 3


def test_state_that_nobody_carries_any_more_is_named() -> None:
    rooms = Rooms()
    assert parcels.take(_begun(_item(0)), [_parcel(_pair(rooms), _item(1))], is_strict=True) == ["rooms"]


def test_a_worker_that_serves_adds_what_another_slot_had() -> None:
    mine, theirs = Rooms(), Rooms()
    mine.names, theirs.names = ["a"], ["b"]
    value = Carried("value", 0, 1, (), None, _add)
    items = [value, _pair(mine)]
    parcels.begin([value])
    value.value = 5
    assert parcels.join(items, [_parcel(_item(2), _pair(theirs))]) == []
    assert (value.value, mine.names) == (7, ["a", "b"])


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_what_went_on_side_by_side_is_counted_once(before: int, here: int, there: int) -> None:
    value, old = Carried("value", 0, 1, (), None, _add), _item(before)
    _begun(value)
    began = _parcel(old)
    parcels.take([value], [began], is_strict=True)
    value.value += here
    old.value += there
    parcels.merge([value], _parcel(old), began)
    assert value.value == before + here + there


def test_what_comes_back_is_taken_with_what_changed_here_meanwhile() -> None:
    value = Carried("value", 0, 1, (), None, _add)
    _begun(value)
    value.value = 10
    before = _parcel(value)
    value.value = 12
    assert parcels.take_back([value], [_parcel(_item(15))], before) == []
    assert value.value == 17


def test_what_cannot_be_taken_back_leaves_everything_as_it_was() -> None:
    fine, strict = _item(1), Carried("strict", 1, 1, (), None, None)
    _begun(fine, strict)
    newer = [_parcel(_item(5), Carried("strict", 5, 2, (), None, None))]
    with pytest.raises(VersionNotAccepted):
        parcels.take_back([fine, strict], newer, None)
    assert (fine.value, strict.value) == (1, 1)


# --- versions -----------------------------------------------------------------------------------------------------


def test_another_version_is_refused_by_name_and_number() -> None:
    new = Carried("value", 0, 3, (2,), None, None)
    with pytest.raises(VersionNotAccepted, match="'value' has version 1, the new code accepts 2, 3"):
        parcels.take(_begun(new), [_parcel(_item(1))], is_strict=True)


def test_an_earlier_version_is_upgraded() -> None:
    new = Carried("value", {"count": 0}, 2, (1,), lambda state, version: {"count": state * 10 + version}, None)
    parcels.take(_begun(new), [_parcel(_item(4))], is_strict=True)
    assert new.value == {"count": 41}


# --- what goes wrong ----------------------------------------------------------------------------------------------


def _raise(*_: Any) -> Any:
    raise KeyError("the application's own")


def test_what_the_application_raises_is_told_with_its_traceback() -> None:
    broken = carried.CarriedPair("rooms", _raise, lambda states: _raise() if states else None, 1, (), None, None)
    with pytest.raises(ExportFailed, match="'rooms' cannot be exported: KeyError") as export:
        parcels.pack([broken], MAX)
    assert "in _raise" in export.value.fault().detail
    with pytest.raises(RestoreFailed, match="'rooms' cannot be restored: KeyError") as restore:
        parcels.take(_begun(broken), [_parcel(_pair(Rooms()))], is_strict=True)
    assert "in _raise" in restore.value.fault().detail


def test_what_is_no_plain_data_is_refused() -> None:
    with pytest.raises(ExportFailed, match="is no plain data"):
        parcels.pack([_item(object())], MAX)


def test_more_than_the_bound_is_refused() -> None:
    with pytest.raises(StateTooLarge, match=r"carry\.max_size is 100"):
        parcels.pack([_item("x" * 200)], 100)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_parcel_are_said_to_be_none(data: bytes) -> None:
    try:
        parcels.unpack(data)
    except parcels.StateUnreadable:
        pass


def test_carries_nothing_something_or_what_can_be_merged() -> None:
    assert parcels.carries([]) == ""
    assert parcels.carries([_item(0), Carried("sum", 0, 1, (), None, _add)]) == "moves"
    assert parcels.carries([Carried("sum", 0, 1, (), None, _add)]) == "merges"
