"""Finding a service that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.control.client import UNIT_DIRS, WANTED_DIR, unit_of


def test_without_systemd_no_unit_is_named(tmp_path: Path) -> None:
    (tmp_path / UNIT_DIRS[0].lstrip("/")).mkdir(parents=True)
    (tmp_path / UNIT_DIRS[0].lstrip("/") / "shop.service").touch()
    assert unit_of("shop", f"{tmp_path}/") == ""


@pytest.mark.parametrize(
    ("file", "unit"),
    [
        *((f"{folder}/shop.service", "shop") for folder in UNIT_DIRS),
        (f"{WANTED_DIR}/midair@shop.service", "midair@shop"),
        (f"{UNIT_DIRS[0]}/shop-worker.service", ""),
        (f"{UNIT_DIRS[0]}/midair@.service", ""),
    ],
)
def test_the_unit_that_is_to_run_the_service_is_found(tmp_path: Path, file: str, unit: str) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    path = tmp_path / file.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert unit_of("shop", f"{tmp_path}/") == unit
