"""Before a candidate starts, what the serving generation takes is compared with what is left: it starts only where it fits."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.root]

MIB = 1 << 20
LARGE_MIB = 60


class Group:
    """A control group with a limit on memory, of either kind."""

    def __init__(self, top: Path, limit: str, usage: str) -> None:
        self.folder = top / f"midair-{uuid.uuid4().hex[:8]}"
        self.folder.mkdir()
        self._limit, self._usage = self.folder / limit, self.folder / usage

    @property
    def prefix(self) -> tuple[str, ...]:
        """Starts a command in this group."""
        return ("sh", "-c", f'echo $$ > {self.folder}/cgroup.procs; exec "$@"', "sh")

    def leave(self, mib: int) -> None:
        """So much, besides what is used now."""
        self._limit.write_text(str(int(self._usage.read_text()) + mib * MIB))

    def remove(self) -> None:
        wait_for((self.folder / "cgroup.procs").read_text, 5, until=lambda left: not left, what="its end")
        self.folder.rmdir()


@pytest.fixture
def group() -> Iterator[Group]:
    kinds = (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    )
    for top, limit, usage in kinds:
        try:
            made = Group(top, limit, usage)
        except OSError:
            continue
        if (made.folder / limit).exists():
            yield made
            made.remove()
            return
        made.folder.rmdir()
    if os.environ.get("CI") == "true":
        pytest.fail("no control group can be made: this test needs root, and a writable /sys/fs/cgroup")
    pytest.skip("no control group can be made here")


def _large(tmp_path: Path, group: Group, **settings: Setting) -> Service:
    env = {"LARGE_BYTES": str(LARGE_MIB * MIB)}
    return Service(tmp_path, "large", settings=settings, env=env, prefix=group.prefix)


def test_what_fits_starts_all_at_once(tmp_path: Path, group: Group) -> None:
    with _large(tmp_path, group) as service:
        group.leave(4 * LARGE_MIB)
        service.update("2")
        assert "surge by slot" not in service.log()


def test_what_does_not_fit_is_refused_with_the_figures_and_nobody_notices(tmp_path: Path, group: Group) -> None:
    with _large(tmp_path, group) as service:
        pids = service.worker_pids()
        group.leave(LARGE_MIB // 2)
        with service.asked(Load(connections=2, keep_alive=False, think_s=0.02)) as client:
            service.write("large", "2")
            refused = service.reload()
        assert (refused.code, refused.data["result"]) == (4, "refused"), refused
        assert client.report.failed == 0, client.report.summary()
        fault = service.receipt()["fault"]
        assert fault["code"] == "no-memory"
        assert "2 new workers need about" in fault["message"]
        assert "MiB are left" in fault["message"]
        assert "surge" in fault["hint"]
        assert sorted(service.worker_pids()) == sorted(pids)
        # With more room the same version is taken up.
        group.leave(4 * LARGE_MIB)
        assert service.reload().code == 0, service.log()
        assert service.serving_version() == "2"
