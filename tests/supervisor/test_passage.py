"""How the moving went, added up look by look."""

from __future__ import annotations

import msgspec

from midair.core.ids import WorkerId
from midair.core.pace import Pace
from midair.core.strain import Before, Brake
from midair.supervisor.moving import State
from midair.supervisor.passage import Trip
from midair.supervisor.restraint import State as Restraint


def trip(*looks: tuple[float, int]) -> Trip:
    """100 connections, from second 10 on; looks: when, and how many have moved by then."""
    made = Trip(generation=2, is_update=True, of=100, began_s=10.0, base=0)
    for at_s, moved in looks:
        made.look(moved, 100 - moved, at_s)
    return made


def test_it_lasts_until_the_last_one_moved() -> None:
    made = trip((10.5, 5), (11.0, 10), (15.0, 10))
    assert (made.moved, made.left, made.last_s) == (10, 90, 11.0)


def test_the_fewest_in_a_second_are_those_of_whole_seconds_before_the_last_move() -> None:
    """A halt counts. The seconds after the last one do not, nor does the one in which it was over."""
    made = trip((10.5, 3), (11.0, 6), (12.0, 10), (13.1, 10), (14.0, 16), (14.5, 18))
    assert made.least == 0
    assert trip((10.5, 3), (11.0, 6), (12.0, 10), (13.0, 15), (13.2, 17), (14.0, 17), (20.0, 17)).least == 4


def test_what_is_under_way_gets_over_an_upgrade() -> None:
    pace, brake = Pace(0.05, 100, 10.0), Brake()
    pace.grant(10.5, [(WorkerId(3), 90)])
    brake.set(0.4, 11.0)
    before = Before(error_share=0.01, slow_over=6, slow_share=0.02)
    state = State(pace=pace, trip=trip((10.5, 3), (12.0, 6)), restraint=Restraint(before=before, brake=brake), target=2)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State) == state
    assert msgspec.msgpack.decode(msgspec.msgpack.encode({"target": 2}), type=State) == State(target=2)


def test_without_a_whole_second_there_is_no_fewest() -> None:
    assert trip((10.2, 50), (10.4, 100)).least is None
