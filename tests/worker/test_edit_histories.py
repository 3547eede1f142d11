"""Whatever is edited, what is served is the newest version that is good, whole: never a mixture of old and new modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from midair.sockets import words
from tests.worker.histories import History, model
from tests.worker.hosts import TELLS, Base, Nest

SAVES = 5


@pytest.fixture(scope="module")
def base() -> Iterator[Base]:
    base = Base()
    yield base
    base.close()


def go_through(base: Base, folder: Path, seed: int) -> Counter[str]:
    """A history; from where its imports started."""
    folder.mkdir()
    history = History(seed, folder / "project", TELLS)
    nest = Nest(base, folder / "project")
    starts: Counter[str] = Counter()
    good: object = None
    try:
        for number in range(SAVES):
            done = history.save() if number else ["begun"]
            expected = model(history.modules)
            outcome = nest.update()
            starts[outcome.start] += 1
            seen = (
                f"seed {seed}, save {number} ({', '.join(done)}), from {outcome.start or 'the end'} {outcome.stopped}"
            )
            assert isinstance(outcome.word, words.Imported) == (expected is not None), f"{seen}: {outcome.word}"
            good = expected if expected is not None else good
            if good is not None:
                assert nest.served() == good, seen
            if number == 1 and nest.zygote is not None:
                nest.preload()
        # The model itself, now and then, against Python.
        if seed % 5 == 0 and model(history.modules) is not None:
            assert nest.fresh() == model(history.modules), f"seed {seed}: the model is wrong"
    finally:
        nest.close()
    return starts


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_histories(base: Base, tmp_path: Path) -> None:
    starts: Counter[str] = Counter()
    for seed in range(60):
        starts += go_through(base, tmp_path / str(seed), seed)
    # From everywhere: else this shows less than it seems to.
    assert starts["base"] > 50
    assert starts["third-party"] > 20
    assert starts[""] > 6
    assert starts.total() - starts["base"] - starts["third-party"] - starts[""] > 20, starts


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_thousand_histories(base: Base, tmp_path: Path) -> None:
    for seed in range(1000):
        go_through(base, tmp_path / str(seed), 10_000 + seed)
