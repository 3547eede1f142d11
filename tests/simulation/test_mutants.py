"""The core's tests notice the faults that are planted in it (``mutants.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, copy_to, run_tests

FEW = (
    "files that changed are not noticed",
    "the new do not wait for the old",
)
"""One found by an example, one by the watch over everything. ``make soak`` plants all."""


def named(mutant: Mutant) -> str:
    return f"{mutant.room}: {mutant.says}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=named)
def test_a_planted_fault_fits_the_code(mutant: Mutant) -> None:
    assert mutant.fits(), f"{mutant.path} does not have exactly once: {mutant.old!r}"


def test_every_planted_fault_says_what_it_does_and_no_two_say_the_same() -> None:
    assert len({named(mutant) for mutant in MUTANTS}) == len(MUTANTS)
    assert set(FEW) <= {mutant.says for mutant in MUTANTS}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.says in FEW], ids=named)
def test_a_planted_fault_is_noticed(mutant: Mutant, tmp_path: Path) -> None:
    check(mutant, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.says not in FEW], ids=named)
def test_each_planted_fault_is_noticed(mutant: Mutant, tmp_path: Path) -> None:
    check(mutant, tmp_path)


@pytest.mark.soak
def test_a_copy_without_a_fault_passes(tmp_path: Path) -> None:
    """Otherwise the others would prove nothing."""
    holds, output = run_tests(copy_to(tmp_path))
    assert holds, output


def check(mutant: Mutant, folder: Path) -> None:
    copy = copy_to(folder)
    mutant.plant(copy)
    holds, _ = run_tests(copy)
    assert not holds, f"nobody noticed that {mutant.says}"
