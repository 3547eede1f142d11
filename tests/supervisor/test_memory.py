"""Is there room for a second set of workers? Asked of a machine made of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from midair.observe.footprint import proportional_bytes
from midair.supervisor.memory import MIB, Killings, Lack, kills, lack_of_room, left_bytes


class Machine:
    """``/proc`` and ``/sys`` of a machine with so much memory available."""

    def __init__(self, root: Path, available_mib: int) -> None:
        self.root = str(root)
        self.write("proc/meminfo", f"MemTotal: 999999999 kB\nMemAvailable: {available_mib * 1024} kB\n")

    def write(self, path: str, text: str) -> None:
        full = Path(self.root) / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)

    def process(self, pid: int, mib: int) -> int:
        self.write(f"proc/{pid}/smaps_rollup", f"55d0-7ffd ---p 0 00:00 0 [rollup]\nRss: 9 kB\nPss: {mib * 1024} kB\n")
        return pid

    def lack(self, workers: list[int], zygotes: list[int], count: int) -> Lack | None:
        return lack_of_room(workers, zygotes, count, self.root)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, 1000)


def test_a_second_set_that_fits_is_no_lack(machine: Machine) -> None:
    workers = [machine.process(pid, 100) for pid in (1, 2, 3, 4)]
    assert machine.lack(workers, [], 4) is None


def test_a_second_set_that_does_not_fit_is_told_with_the_figures(machine: Machine) -> None:
    workers = [machine.process(pid, 400) for pid in (1, 2, 3, 4)]
    lack = machine.lack(workers, [], 4)
    assert lack is not None
    assert lack.fits_by_slot
    assert lack.why == (
        "4 new workers need about 1680 MiB beside the 4 that serve, one by one 420 MiB, and 1000 MiB are left"
    )


def test_where_not_even_one_fits_going_slot_by_slot_does_not_help(machine: Machine) -> None:
    lack = machine.lack([machine.process(1, 990)], [], 1)
    assert lack is not None
    assert not lack.fits_by_slot


def test_more_workers_than_before_have_to_fit_in_the_end(machine: Machine) -> None:
    workers = [machine.process(pid, 300) for pid in (1, 2)]
    lack = machine.lack(workers, [], 4)
    assert lack is not None
    assert "one by one 945 MiB" in lack.why
    assert lack.fits_by_slot
    lack = machine.lack(workers, [], 5)
    assert lack is not None
    assert not lack.fits_by_slot


def test_fewer_new_workers_may_fit_where_as_many_do_not(machine: Machine) -> None:
    workers = [machine.process(pid, 300) for pid in (1, 2, 3, 4)]
    assert machine.lack(workers, [], 4) is not None
    assert machine.lack(workers, [], 3) is None


def test_what_workers_share_with_their_zygote_is_needed_once(machine: Machine) -> None:
    # 500 MiB of imports among five processes, 50 MiB more in each of four workers: 700 in all.
    zygote = machine.process(9, 100)
    workers = [machine.process(pid, 150) for pid in (1, 2, 3, 4)]
    assert machine.lack(workers, [zygote], 4) is None
    machine.write("proc/meminfo", f"MemAvailable: {600 * 1024} kB\n")
    lack = machine.lack(workers, [zygote], 4)
    assert lack is not None
    assert "need about 735 MiB" in lack.why
    assert "one by one 577 MiB" in lack.why
    assert lack.fits_by_slot


def test_the_tightest_of_the_groups_above_us_counts(machine: Machine) -> None:
    machine.write("proc/self/cgroup", "0::/system.slice/web.service\n")
    machine.write("sys/fs/cgroup/system.slice/memory.max", f"{500 * MIB}\n")
    machine.write("sys/fs/cgroup/system.slice/memory.current", f"{300 * MIB}\n")
    machine.write("sys/fs/cgroup/system.slice/web.service/memory.max", "max\n")
    machine.write("sys/fs/cgroup/system.slice/web.service/memory.current", f"{200 * MIB}\n")
    assert left_bytes(machine.root) == 200 * MIB
    # Cached files that nobody used lately are given back under pressure.
    machine.write("sys/fs/cgroup/system.slice/memory.stat", f"anon 5\ninactive_file {100 * MIB}\n")
    assert left_bytes(machine.root) == 300 * MIB


def test_the_older_kind_of_groups_counts_too_and_its_word_for_no_limit_is_known(machine: Machine) -> None:
    machine.write("proc/self/cgroup", "4:cpu,cpuacct:/\n3:memory:/docker/1\n")
    machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    machine.write("sys/fs/cgroup/memory/memory.usage_in_bytes", f"{900 * MIB}\n")
    assert left_bytes(machine.root) == 1000 * MIB
    machine.write("sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", f"{256 * MIB}\n")
    machine.write("sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes", f"{200 * MIB}\n")
    assert left_bytes(machine.root) == 56 * MIB


def test_a_group_beyond_its_limit_has_nothing_left(machine: Machine) -> None:
    machine.write("proc/self/cgroup", "0::/\n")
    machine.write("sys/fs/cgroup/memory.max", f"{100 * MIB}\n")
    machine.write("sys/fs/cgroup/memory.current", f"{130 * MIB}\n")
    assert left_bytes(machine.root) == 0


def test_what_cannot_be_read_does_not_stand_in_the_way(tmp_path: Path) -> None:
    assert left_bytes(str(tmp_path)) is None
    assert lack_of_room([1, 2], [], 2, str(tmp_path)) is None
    machine = Machine(tmp_path, 0)
    assert machine.lack([12345], [], 2) is None, "processes that are gone use nothing"
    assert machine.lack([], [], 2) is None


def test_the_real_machine_can_be_read() -> None:
    assert proportional_bytes(os.getpid()) > MIB
    left = left_bytes()
    assert left is not None
    assert left > 0


@pytest.mark.parametrize(
    ("group", "counter"),
    [
        ("0::/system.slice/shop.service\n", "sys/fs/cgroup/system.slice/shop.service/memory.events"),
        ("4:memory:/shop\n0::/\n", "sys/fs/cgroup/memory/shop/memory.oom_control"),
        ("4:memory:/seen/by/the/host/only\n", "sys/fs/cgroup/memory/memory.oom_control"),
        ("0::/\n", "proc/vmstat"),
    ],
)
def test_an_end_for_want_of_memory_is_told_from_a_kill(machine: Machine, group: str, counter: str) -> None:
    machine.write("proc/self/cgroup", group)
    machine.write(counter, "oom 9\noom_kill 3\n")
    killings = Killings(machine.root)
    assert not killings.explain_one(), "kill -9"
    machine.write(counter, "oom 9\noom_kill 5\n")
    assert [killings.explain_one() for _ in range(3)] == [True, True, False], "two were the kernel's"


def test_where_nobody_counts_no_end_is_explained(machine: Machine) -> None:
    assert kills(machine.root) == 0
