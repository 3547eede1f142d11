"""Twenty updates, each to really new code, while clients ask in every way: nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service
from tests.support.toml import Setting

EVERY_WAY = (
    Load(connections=4, keep_alive=False, think_s=0.02),
    Load(connections=10, think_s=0.1),
    Load("/slow?s=2", connections=6, keep_alive=False),
    Load.posts(connections=2),
)

# A slow request lasts longer than two updates here; the default would hurry the fourth oldest generation.
PATIENT: dict[str, Setting] = {"drain": {"max_generations": 20}, "bake": {"for": "0.1s"}}


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("updates", [6, pytest.param(20, marks=pytest.mark.soak)])
def test_updates_to_new_code_lose_nothing(tmp_path: Path, updates: int) -> None:
    with Service(tmp_path, settings=PATIENT) as service:
        with service.asked(*EVERY_WAY) as client:
            for number in range(2, updates + 2):
                service.update(str(number))
                assert service.serving_version() == str(number)
        report = client.report
        assert report.failed == 0, report.summary() + service.log()
        assert list(report.versions) == [str(number) for number in range(1, updates + 2)], report.summary()


@pytest.mark.slow
def test_a_unix_socket_is_updated_like_a_port(tmp_path: Path) -> None:
    # Its path is no Host: a probe that said it would be refused before the application, and the update with it.
    with Service(tmp_path, unix=True, settings={"health": {"path": "/health"}}) as service:
        with service.asked(
            Load(connections=4, keep_alive=False, think_s=0.02), Load(connections=4, think_s=0.05)
        ) as client:
            for number in (2, 3, 4):
                service.update(str(number))
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert list(client.report.versions) == ["1", "2", "3", "4"]


@pytest.mark.slow
def test_two_versions_of_equal_length_saved_in_one_second_are_told_apart(tmp_path: Path) -> None:
    """A time-stamped .pyc would answer with the first of them; PYTHONDONTWRITEBYTECODE, which hides it, is unset."""
    with Service(tmp_path, settings={"bake": {"for": "0s"}}) as service:
        for version in "23456":
            service.update(version)
            assert service.serving_version() == version
