"""Who takes over whose connections, in every phase."""

from __future__ import annotations

from typing import Any

from midair.core.ids import WorkerId
from midair.core.state import Stopping, WorkerState
from midair.core.succession import Succession, successor
from midair.testing.world import Faults
from tests.core.play import Play

KIND = Faults(delay_max_s=0.001)


def of(play: Play, worker: WorkerId, **loads: int) -> Succession:
    known = {WorkerId(int(name[1:])): load for name, load in loads.items()}
    service = play.history.service
    return successor(service, service.workers[worker], known)


def updated(**settings: Any) -> tuple[Play, list[WorkerId], list[WorkerId]]:
    """A service of two workers in the bake of its second version: the play, the old workers and the new ones."""
    play = Play(faults=settings.pop("faults", KIND), **({"bake_s": 10.0} | settings))
    play.serve()
    old = [play.worker(0), play.worker(1)]
    play.until_phase(play.update(), "bake")
    play.wait(0.2)
    return play, old, [play.worker(0), play.worker(1)]


def test_a_slot_passes_its_connections_to_its_own_successor() -> None:
    play, old, new = updated()
    assert [of(play, worker) for worker in old] == new


def test_who_accepts_keeps_what_it_has() -> None:
    play, _, new = updated()
    assert {of(play, worker) for worker in new} == {"wait"}


def test_with_fewer_slots_the_least_loaded_takes_over() -> None:
    play, old, new = updated()
    play.history.service.workers[old[1]].slot = 7
    assert of(play, old[1], **{f"w{new[0]}": 5, f"w{new[1]}": 3}) == new[1]
    assert of(play, old[1], **{f"w{new[0]}": 1, f"w{new[1]}": 3}) == new[0]


def test_it_goes_straight_to_the_newest_version() -> None:
    play, old, _ = updated(drain_s=100.0, faults=Faults(delay_max_s=0.001, leave_ignored=1.0))
    play.until_phase(play.update(), "bake")
    play.wait(0.2)
    assert of(play, old[0]) == play.worker(0)


def test_after_a_rollback_it_goes_back() -> None:
    play, old, new = updated(faults=Faults(delay_max_s=0.001, leave_ignored=1.0))
    play.rollback()
    play.wait(0.2)
    assert {of(play, worker) for worker in old} == {"wait"}
    assert [of(play, worker) for worker in new] == old


def test_without_anybody_who_serves_it_waits_and_at_a_stop_it_ends() -> None:
    play, old, _ = updated(drain_s=100.0)
    service = play.history.service
    for worker in service.workers.values():
        if worker.state is WorkerState.ACCEPTING:
            worker.state = WorkerState.READY
    assert of(play, old[0]) == "wait"
    service.stopping = Stopping()
    assert of(play, old[0]) == "drain"


def test_what_cannot_move_is_let_come_to_an_end() -> None:
    play, old, _ = updated(migrates=False)
    assert of(play, old[0]) == "drain"


def test_a_canarys_slots_keep_what_they_have() -> None:
    play = Play(faults=KIND, canary_workers=1, canary_s=10.0)
    play.serve()
    old = play.worker(0)
    play.until_phase(play.update(), "canary")
    play.wait(0.2)
    assert of(play, old) == "wait"
