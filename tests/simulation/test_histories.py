"""The core in a simulated outside where everything goes wrong: safe at every moment, and well again once it heals.

A failure names its seed; ``python -m tests.simulation SEED SCENE`` tells that history turn by turn.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.scenes import SCENES, heals

SEEDS = (*range(120), 233, 1118, 1763, 3958)
"""The last ones are of histories that once showed something: a version that has its last slot and starts what is missing before it
says so; one that goes by slot and waits for a room that is never made; one that is kept for a rollback and has only workers that
leave; a state that is refused on the way from slot to slot where there is no way back."""
SOAK_BLOCKS = range(100)
SOAK_BLOCK = 500


@pytest.mark.timeout(20)
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_holds_in_every_history(seed: int, scene: str) -> None:
    SCENES[scene](seed)


@pytest.mark.soak
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("block", SOAK_BLOCKS)
def test_every_promise_holds_in_very_many_histories(block: int, scene: str) -> None:
    for seed in range(1000 + block * SOAK_BLOCK, 1000 + (block + 1) * SOAK_BLOCK):
        try:
            SCENES[scene](seed)
        except AssertionError as broken:
            raise AssertionError(f"seed {seed}, scene {scene}: {broken}") from broken


def test_the_histories_are_worth_something() -> None:
    """Every way in which an update can end, and every rare turn, comes up in the seeds that always run."""
    results: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    for seed in range(60):
        history = heals(seed)
        results += history.watch.results
        notes += history.watch.notes
    assert {"committed", "refused", "rolled-back", "superseded"} <= set(results), results
    rare = {
        "runs_short",
        "zygote_lost",
        "worker_replaced",
        "worker_held_back",
        "drain_hurried",
        "files_changed_during_import",
    }
    assert rare <= set(notes), notes


def test_the_same_seed_gives_the_same_history() -> None:
    assert heals(7).world.history == heals(7).world.history
