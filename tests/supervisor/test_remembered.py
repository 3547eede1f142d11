"""What a killed supervisor leaves to the next one."""

from __future__ import annotations

import msgspec
import pytest

from midair.core.effects import Effect
from midair.core.events import HoldAsked, StopAsked, UpdateAsked
from midair.core.ids import GenerationId, RequestId, UpdateId
from midair.core.machine import new_service, step
from midair.core.policy import Policy
from midair.core.state import Before, Generation, Hold, Role, Service
from midair.supervisor.ledger import Receipt
from midair.supervisor.remembered import (
    FORMAT,
    RECEIPTS_MAX,
    StateUnreadable,
    StoredListener,
    decode,
    encode,
    recall,
    remember,
)

BEFORE = Before(GenerationId(7), "1.8.2", "f7", deaths_s=[1.0, 2.0])


def served() -> Service:
    """A service in which generation 7 was committed, with numbers used up."""
    service = new_service(Policy())
    generation = Generation(GenerationId(7), Role.SERVING, Policy(), "1.8.2", "f7", deaths_s=[1.0, 2.0])
    service.generations[generation.id] = generation
    service.serving = service.committed = generation.id
    service.last_generation, service.last_worker, service.last_zygote = 9, 40, 12
    service.last_update, service.last_exchange = 11, 3
    return service


def passed_on(service: Service) -> Service:
    """What the next one has, through the record."""
    following = new_service(Policy())
    recall(decode(encode(remember(service, {}, [], []))), following)
    return following


def orders(service: Service, *asked: UpdateAsked | StopAsked | HoldAsked) -> list[Effect]:
    return [effect for event in asked for effect in step(service, event, 100.0)]


def test_numbers_go_on_where_they_were() -> None:
    following = passed_on(served())
    orders(following, UpdateAsked(RequestId(1), "start", force=True))
    assert following.candidate is not None
    assert (following.candidate.id, following.candidate.generation) == (12, 10)
    assert (following.last_worker, following.last_zygote, following.last_exchange) == (40, 12, 3)


def test_numbers_that_are_known_from_elsewhere_and_higher_stand() -> None:
    following = new_service(Policy())
    following.last_generation, following.last_update = GenerationId(20), UpdateId(20)
    recall(decode(encode(remember(served(), {}, [], []))), following)
    assert (following.last_generation, following.last_update) == (20, 20)


def test_holds_and_quarantines_go_on_and_do_not_keep_the_service_from_starting() -> None:
    service = served()
    orders(service, HoldAsked(RequestId(1), "ann", "a quiet week", for_s=60.0))
    service.quarantine["bad"] = "it failed"
    following = passed_on(service)
    assert following.hold == Hold("ann", "a quiet week")
    assert following.timers["hold"] == 160.0
    assert following.quarantine == {"bad": "it failed"}
    orders(following, UpdateAsked(RequestId(2), "start", force=True))
    assert following.candidate is not None


def test_what_served_last_is_known_until_something_else_is_committed() -> None:
    assert passed_on(served()).before == BEFORE
    # Killed again before the first start was over.
    assert passed_on(passed_on(served())).before == BEFORE


def test_after_a_stop_nothing_is_left_of_what_served() -> None:
    service = served()
    orders(service, StopAsked(RequestId(1), "SIGTERM"))
    state = remember(service, {}, [], [])
    assert (state.is_stopping, state.served) == (True, None)
    assert state.numbers.generation == 9


def test_of_receipts_that_reach_no_disk_the_newest_are_left() -> None:
    receipts = [Receipt(number=number, generation=number, by="ann", began=0.0, began_s=0.0) for number in range(1, 30)]
    state = decode(encode(remember(served(), {}, receipts, [])))
    assert [each.number for each in state.receipts] == list(range(30 - RECEIPTS_MAX, 30))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[1]", msgspec.msgpack.encode({"format": FORMAT + 1}), msgspec.msgpack.encode({"hold": 7})]
)
def test_what_makes_no_sense_is_told(data: bytes) -> None:
    with pytest.raises(StateUnreadable):
        decode(data)


def test_what_a_newer_midair_adds_is_passed_over() -> None:
    known = remember(served(), {"web": StoredListener(use="bind", name="web", typed=":80", inode=7)}, [], [])
    data = msgspec.to_builtins(known) | {"more": {"of": "it"}}
    assert decode(msgspec.msgpack.encode(data)) == known
