"""What the doctor asks: of this machine, and of one that is made of files."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from midair.config.schema import Settings
from midair.control.words import GenerationStatus, StatusReport
from midair.doctor.examination import examine
from midair.doctor.facts import Application
from midair.doctor.gather import gather, unit_of
from tests.release.conftest import write


def settings_in(folder: Path, **more: object) -> Settings:
    given: dict[str, object] = {
        "name": "shop",
        "folder": str(folder),
        "app": "app:app",
        "bind": (),
        "runtime_dir": str(folder / "run"),
        "state_dir": str(folder / "state"),
    }
    return Settings(**(given | more))  # type: ignore[arg-type]  # a test's own names


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    facts = gather(settings_in(tmp_path), Application(), None, None, environ={})
    kernel, limits = facts.machine.kernel, facts.machine.limits
    assert (kernel.has_pidfd, kernel.has_memfd) == (True, True), "the tests could not run without"
    assert limits.open_files > 0
    assert limits.usable_cpus >= 1
    assert facts.machine.state.free_bytes > 0
    assert facts.machine.runtime.is_writable
    assert examine(facts)


def test_who_has_the_port_of_a_service_that_does_not_run_is_told(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        settings = settings_in(tmp_path, bind=(address, "127.0.0.1:0", "unix:web.sock", "nonsense"))
        ((what, fix),) = gather(settings, Application(), None, None, environ={}).application.taken
    assert what.startswith(f"{address} is in use by ")
    assert what.endswith(f"(pid {os.getpid()})")
    assert "--bind" in fix or "midair stop" in fix
    assert gather(settings, Application(), None, None, environ={}).application.taken == ()


def test_limits_are_those_of_the_control_groups(tmp_path: Path) -> None:
    group = tmp_path / "sys/fs/cgroup/system.slice/shop.service"
    write(tmp_path / "proc/812/cgroup", "0::/system.slice/shop.service\n")
    write(
        tmp_path / "proc/812/limits", "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   524288   files\n"
    )
    write(tmp_path / "proc/sys/net/core/somaxconn", "128\n")
    write(group / "memory.oom.group", "1\n")
    write(group / "pids.max", "20\n")
    write(group / "pids.current", "15\n")
    write(group.parent / "pids.max", "max\n")
    report = StatusReport(
        name="shop", folder=str(tmp_path), target="app:app", pid=812, midair="0.1.0", uptime_s=1, serving=1
    )
    facts = gather(settings_in(tmp_path), Application(), report, None, environ={}, root=str(tmp_path))
    limits = facts.machine.limits
    assert (limits.open_files, limits.pids_left, limits.kills_group, limits.somaxconn) == (1024, 5, True, 128)
    assert (facts.unit, unit_of(812, str(tmp_path))) == ("shop.service", "shop.service")


def test_a_container_sees_its_own_control_group_at_the_top(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    write(tmp_path / "sys/fs/cgroup/memory.oom.group", "1\n")  # as a kubelet sets it
    variables = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    facts = gather(settings_in(tmp_path), Application(), None, None, environ=variables, root=str(tmp_path))
    assert (facts.machine.is_kubernetes, facts.machine.limits.kills_group) == (True, True)
    write(tmp_path / "sys/fs/cgroup/memory.oom.group", "0\n")  # singleProcessOOMKill
    facts = gather(settings_in(tmp_path), Application(), None, None, environ=variables, root=str(tmp_path))
    assert not facts.machine.limits.kills_group


def test_bytecode_without_a_source_is_found_where_it_is_imported_from(tmp_path: Path) -> None:
    write(tmp_path / "old.pyc", "")
    write(tmp_path / "app.py", "")
    write(tmp_path / "app.pyc", "")
    write(tmp_path / "__pycache__" / "gone.cpython-311.pyc", "")
    write(tmp_path / ".venv" / "x.pyc", "")
    write(tmp_path / "env" / "pyvenv.cfg", "")
    write(tmp_path / "env" / "y.pyc", "")
    facts = gather(settings_in(tmp_path), Application(), None, None, environ={})
    assert facts.application.stray_bytecode == (str(tmp_path / "old.pyc"),)


def test_files_of_secrets_and_folders_of_sockets_are_looked_at(tmp_path: Path) -> None:
    write(tmp_path / ".env", "A=1").chmod(0o644)
    write(tmp_path / "key", "x").chmod(0o600)
    wanted = settings_in(
        tmp_path,
        env_files=(".env", "-gone"),
        env={"KEY": "file:key", "PLAIN": "x"},
        bind=("unix:nowhere/web.sock", f"unix:{tmp_path}/web.sock", "127.0.0.1:0"),
    )
    found = gather(wanted, Application(), None, None, environ={}).application
    assert found.open_secrets == (str(tmp_path / ".env"),)
    assert found.missing_folders == (str(tmp_path / "nowhere"),)


def test_a_release_that_serves_beside_current_is_noticed(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "releases" / name).mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/b")
    current = tmp_path / "current"
    report = StatusReport(
        name="shop",
        folder=str(current),
        target="app:app",
        pid=os.getpid(),
        midair="0.1.0",
        uptime_s=1,
        serving=1,
        generations=(
            GenerationStatus(
                number=1, version="1", role="serving", folder=str(tmp_path / "releases" / "a"), mode="fork"
            ),
        ),
    )
    facts = gather(settings_in(current), Application(), report, None, environ={})
    assert facts.releases is not None
    assert (facts.releases.current, facts.releases.serves) == ("b", "a")
    assert facts.running is not None
    assert facts.running.supervisor.endswith(Path(sys.executable).name)
