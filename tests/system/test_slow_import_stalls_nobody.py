"""A version that takes seconds to import keeps nobody waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("zygote", ["auto", "never"])
def test_the_old_version_answers_throughout_a_slow_import(tmp_path: Path, zygote: str) -> None:
    """gunicorn's HUP leaves clients 1.0 to 1.5 s without an answer for a 1.5 s import."""
    with Service(tmp_path, settings={"zygote": zygote}) as service:
        with service.asked(Load(connections=10, keep_alive=False, rate_per_s=50)) as client:
            done = service.update("2", "import_slow")
        report = client.report
        assert report.failed == 0, report.summary() + service.log()
        assert list(report.versions) == ["1", "2"]
        assert done.data["duration_s"] >= 3.0
        assert report.longest_gap_s < 0.5, report.summary()
        assert report.percentile_s(99) < 0.5, report.summary()
