"""A control group with a limit on memory, for a service that is to run short of it."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_for

MIB = 1 << 20


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

    def peak(self) -> int:
        """The most that was ever used, in bytes."""
        names = ("memory.max_usage_in_bytes", "memory.peak")
        return max(int((self.folder / name).read_text()) for name in names if (self.folder / name).exists())

    def limit(self) -> int:
        return int(self._limit.read_text())

    def kills(self) -> int:
        """Processes that the kernel has ended for want of memory."""
        for name in ("memory.oom_control", "memory.events"):
            if (self.folder / name).exists():
                words = dict(line.split() for line in (self.folder / name).read_text().splitlines())
                return int(words["oom_kill"])
        return 0

    def remove(self) -> None:
        wait_for((self.folder / "cgroup.procs").read_text, until=lambda left: not left, what="its end")
        self.folder.rmdir()


@contextlib.contextmanager
def memory_group() -> Iterator[Group]:
    """One for a test; where none can be made the test is skipped, except where everything must be there."""
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
            try:
                yield made
            finally:
                made.remove()
            return
        made.folder.rmdir()
    if os.environ.get("CI") == "true":
        pytest.fail("no control group can be made: this test needs root, and a writable /sys/fs/cgroup")
    pytest.skip("no control group can be made here")


@pytest.fixture
def group() -> Iterator[Group]:
    with memory_group() as made:
        yield made
