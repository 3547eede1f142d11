"""The smaller parts: the tables over the schema are complete, places, lines, CPU quota, differences."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from midair.config import changes, convert, places
from midair.config.checks import value_at
from midair.config.keys import COMMANDS, MAIN_KEYS, MIRRORS, Kind, all_keys, arrays, table_keys, variable_name
from midair.config.lines import key_lines, line_of
from midair.config.load import load, sources_for_run
from midair.config.quota import usable_cpus
from midair.config.schema import Bake, Process, Settings
from midair.worker.settings import TlsSettings

SETTINGS = Settings(
    name="shop",
    folder="/srv/shop",
    app="m:a",
    env={"TOKEN": "hunter2", "KEY": "file:/run/key"},
    tls=TlsSettings(certfile="cert.pem", keyfile_password="hunter2"),
)


def test_every_setting_says_when_a_change_counts_and_nothing_else_does() -> None:
    tops = {field.name for field in msgspec.structs.fields(Settings)}
    assert {name for name in changes.EFFECTS if "." not in name} == tops
    assert {name for name in changes.EFFECTS if "." in name} <= set(all_keys())
    inside = {f"{array}.{name}" for array in arrays() for name in table_keys(array)}
    assert COMMANDS | set(MAIN_KEYS.values()) <= set(all_keys()) | inside


def test_no_key_ends_in_a_unit_and_no_two_share_a_variable() -> None:
    keys = all_keys()
    assert not [name for name in keys if name.endswith(("_s", "_bytes", "_per_s"))]
    variables = [key.variable for key in keys.values()] + [variable_name(table) for table in MAIN_KEYS]
    assert len(set(variables)) == len(variables)


def test_every_default_is_written_so_that_it_is_read_back() -> None:
    for key in all_keys().values():
        if key.kind not in (Kind.ENVIRONMENT, Kind.TABLES) and key.default is not msgspec.NODEFAULT:
            written = convert.write(key, key.default)
            assert convert.read(key, written, is_text=True) == key.default, key.name


def test_a_field_that_repeats_another_has_the_same_default() -> None:
    for target, source in MIRRORS.items():
        table, field = target.split(".")
        other_table, other_field = source.split(".")
        assert getattr(getattr(SETTINGS, table), field) == getattr(getattr(SETTINGS, other_table), other_field)


def test_the_difference_names_each_key_and_when_it_counts() -> None:
    after = msgspec.structs.replace(
        SETTINGS,
        name="till",
        workers=3,
        bake=Bake(for_s=5.0),
        env={"TOKEN": "hunter3", "NEW": "x"},
        tls=TlsSettings(certfile="cert.pem", keyfile_password="hunter3"),
        process=(Process(name="beat", command=("beat",)),),
    )
    found = {change.key: (change.running, change.file, change.effect) for change in changes.diff(SETTINGS, after)}
    assert found == {
        "name": ("shop", "till", "restart"),
        "workers": ("1", "3", "update"),
        "tls.keyfile_password": ("(set)", "(changed)", "update"),
        "bake.for": ("10s", "5s", "update"),
        "env.TOKEN": ("(set)", "(changed)", "update"),
        "env.NEW": ("", "(set)", "update"),
        "env.KEY": ("(from a file)", "", "update"),
        "process": ("", "beat", "update"),
    }
    assert changes.diff(SETTINGS, SETTINGS) == []


def test_what_counts_only_after_a_restart_stays_as_it_runs() -> None:
    file = msgspec.structs.replace(
        SETTINGS,
        name="till",
        workers=3,
        bind=("127.0.0.1:1",),
        log=msgspec.structs.replace(SETTINGS.log, level="error"),
    )
    taken_in = changes.taken_in(SETTINGS, file)
    assert (taken_in.name, taken_in.bind) == (SETTINGS.name, SETTINGS.bind)
    assert (taken_in.workers, taken_in.log.level) == (3, "error")
    assert {change.key for change in changes.diff(taken_in, file)} == {"name", "bind"}


def test_nothing_that_is_shown_has_a_secret_in_it() -> None:
    shown = (
        str(changes.values(SETTINGS, {}))
        + str(changes.redacted(SETTINGS))
        + str(changes.diff(SETTINGS, msgspec.structs.replace(SETTINGS, env={"TOKEN": "x"})))
    )
    assert "hunter2" not in shown
    assert "/run/key" not in shown
    assert changes.redacted(SETTINGS).env.keys() == SETTINGS.env.keys()
    assert changes.redacted(SETTINGS).tls.keyfile_password == "(set)"
    assert changes.redacted(Settings(name="shop", folder="/srv/shop")).tls.keyfile_password == ""


def test_a_configuration_that_cannot_be_read_is_a_fault_not_a_difference(tmp_path: Path) -> None:
    (tmp_path / "midair.toml").write_text("workers = ")
    found, fault = changes.compare_with_file(SETTINGS, sources_for_run(folder=str(tmp_path), environ={}))
    assert found == []
    assert fault is not None
    assert fault.code == "bad-config"


def test_values_name_their_origin(tmp_path: Path) -> None:
    (tmp_path / "midair.toml").write_text('\n\nbake = "5s"\n')
    loaded = load(sources_for_run(folder=str(tmp_path), environ={}))
    values = {value.key: value for value in changes.values(loaded.settings, loaded.origins)}
    assert (values["bake.for"].value, values["bake.for"].origin, values["bake.for"].is_default) == (
        "5s",
        "midair.toml:3",
        False,
    )
    assert values["drain.timeout"].is_default
    assert value_at(loaded.settings, "bake.for") == 5.0


def test_lines_are_found_through_headers_dots_arrays_and_long_strings() -> None:
    text = 'a = 1\nb.c = 2\n[t]\nx = """\ny = 3\n"""\nz = { q = 1 }\n[[p]]\nn = 1\n[[p]]\nn = 2\n["d e"]\n\'f\' = 1\n'
    lines = key_lines(text)
    assert lines == {
        ("a",): 1,
        ("b", "c"): 2,
        ("t",): 3,
        ("t", "x"): 4,
        ("t", "z"): 7,
        ("p", "0"): 8,
        ("p", "0", "n"): 9,
        ("p", "1"): 10,
        ("p", "1", "n"): 11,
        ("d e",): 12,
        ("d e", "f"): 13,
    }
    assert line_of(lines, ("t", "z", "q")) == 7
    assert line_of(lines, ("nowhere",)) == 0


def _tree(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
        ({"sys/fs/cgroup/cpu.max": "100000 100000"}, 1),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "80000 100000",
                "sys/fs/cgroup/a/b/cpu.max": "max 1",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/docker/x\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "10000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            1,
        ),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, None),
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"sys/fs/cgroup/cpu.max": "9999999 100000"}, None),
        ({"sys/fs/cgroup/cpu.max": "rubbish"}, None),
        ({}, None),
    ],
)
def test_auto_workers_is_the_cpu_quota_if_that_is_less_than_the_cpus(
    tmp_path: Path, files: dict[str, str], expected: int | None
) -> None:
    cpus = len(os.sched_getaffinity(0))
    assert usable_cpus(_tree(tmp_path, files)) == (expected or cpus)


@pytest.mark.parametrize(
    ("environ", "uid", "runtime", "state"),
    [
        ({}, 0, "/run/midair/shop", "/var/lib/midair/shop"),
        ({"XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/h"}, 7, "/run/user/7/midair/shop", "/h/.local/state/midair/shop"),
        ({"XDG_RUNTIME_DIR": "/run/user/7", "XDG_STATE_HOME": "/s"}, 0, "/run/midair/shop", "/var/lib/midair/shop"),
        ({"XDG_STATE_HOME": "/s"}, 7, "/tmp/midair-7/shop", "/s/midair/shop"),
        ({"XDG_RUNTIME_DIR": "relative"}, 7, "/tmp/midair-7/shop", "/tmp/midair-7/shop/state"),
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b", "STATE_DIRECTORY": "/var/lib/a"}, 7, "/run/a", "/var/lib/a"),
    ],
)
def test_places_by_user_and_environment(environ: dict[str, str], uid: int, runtime: str, state: str) -> None:
    assert places.runtime_dir("shop", environ, uid)[0] == runtime
    assert places.state_dir("shop", environ, uid)[0] == state


def test_a_folder_under_tmp_that_others_may_enter_is_not_private(tmp_path: Path) -> None:
    uid = os.geteuid()
    tmp_path.chmod(0o700)
    assert places.is_private(str(tmp_path), uid)
    assert not places.is_private(str(tmp_path), uid + 1)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert not places.is_private(str(link), uid)
    tmp_path.chmod(0o755)
    assert not places.is_private(str(tmp_path), uid)
    assert not places.is_private(str(tmp_path / "missing"), uid)


def test_the_last_resort_is_made_private_and_not_taken_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, uid = tmp_path / "midair-7", os.geteuid()
    monkeypatch.setattr(places, "private_base", lambda uid: str(base))
    places.make_private_base("/run/midair/shop", uid)
    assert not base.exists()
    places.make_private_base(f"{base}/shop", uid)
    assert places.is_private(str(base), uid)
    base.chmod(0o755)  # As an earlier midair made it: its commands did not trust it.
    places.make_private_base(f"{base}/shop", uid)
    assert places.is_private(str(base), uid)
    base.chmod(0o777)
    with pytest.raises(PermissionError, match="not only ours"):
        places.make_private_base(f"{base}/shop", uid)
