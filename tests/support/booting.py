"""Boots this machine's own systemd beside the one that runs it, and takes it down again. Not imported: ``systemd.py`` runs it with

    unshare --mount --pid --fork --kill-child --mount-proc python booting.py NAME PATH…

so that whatever ends it, a SIGKILL too, ends all that it has started: it is process 1 of a namespace of its own, and what it mounts
is seen in there alone. NAME is that of its control groups, the only things outside. PATH: what users of the new system have to be
able to reach. It says ``ready`` on standard output once the system is up, and ends at the end of its standard input.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PLACE = Path("/run/place")
"""On a tmpfs of our own, where all that the new system writes goes. An overlay cannot lie on another one, which a container's root
often is."""
UNITS = "etc/systemd/system"
BOOT_WITHIN_S = 30.0
TARGET = """\
[Unit]
Requires=basic.target
After=basic.target
AllowIsolate=yes
"""


def main(name: str, paths: list[str]) -> int:
    root = _lay_over()
    for path in paths:
        _open_the_way(root, Path(path))
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(PLACE / "notify"))
    heard.settimeout(BOOT_WITHIN_S)
    groups = _make_groups(name)
    container = _boot(root, groups, [path for path in paths if not _is_under_root(Path(path))])
    try:
        leader = _wait_until_ready(heard)
        heard.close()  # The new system goes on to tell its status: with a queue that nobody empties it would stand still.
        print("ready", flush=True)
        sys.stdin.read()
        # Without its process 1 the kernel ends all others at once.
        os.kill(leader, signal.SIGKILL)
        container.wait(10)
    finally:
        container.kill()
        container.wait()
        remove_groups(name)
    return 0


def _lay_over() -> Path:
    """The new system's root: all that is here, with changes that nobody else sees."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    for folder in ("upper", "work", "root"):
        (PLACE / folder).mkdir(parents=True)
    root = PLACE / "root"
    layers = f"lowerdir=/,upperdir={PLACE}/upper,workdir={PLACE}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    units = root / UNITS
    shutil.rmtree(units)  # None of this machine's own services.
    units.mkdir()
    (units / "tested.target").write_text(TARGET)
    for needless in ("dev-hugepages.mount", "systemd-journald-audit.socket", "systemd-tmpfiles-clean.timer"):
        (units / needless).symlink_to("/dev/null")
    shutil.rmtree(root / "var/log/journal", ignore_errors=True)  # Its own journal alone.
    return root


def _open_the_way(root: Path, path: Path) -> None:
    """Other users may come to ``path``: an interpreter often lies in the home of root."""
    for folder in (path, *path.parents):
        inside = root / folder.relative_to("/")
        mode = inside.stat().st_mode
        if not mode & 0o001:
            inside.chmod(mode & 0o7777 | 0o011)


def _is_under_root(path: Path) -> bool:
    """Does an overlay of the root show it? The new system has its own /tmp and /run."""
    return path.stat().st_dev == Path("/").stat().st_dev and path.parts[1] not in ("tmp", "run")


def _boot(root: Path, groups: list[Path], bound: list[str]) -> subprocess.Popen[bytes]:
    def enter_groups() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text("0")

    return subprocess.Popen(
        [
            *("systemd-nspawn", "--quiet", f"--directory={root}", "--register=no", "--keep-unit", "--link-journal=no"),
            *("--console=pipe", "--private-network", "--notify-ready=yes"),
            # A machine lets a process look into its children; a container does not by default.
            "--system-call-filter=@debug @process",
            *(f"--bind-ro={path}" for path in bound),
            *("--boot", "--", "--unit=tested.target"),
        ],
        env={**os.environ, "NOTIFY_SOCKET": str(PLACE / "notify")},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=enter_groups,  # noqa: PLW1509 - there is one thread
    )


def _wait_until_ready(heard: socket.socket) -> int:
    """The process that is the new system's first one, once that has said it is up."""
    leader = 0
    while True:
        for line in heard.recv(4096).decode().splitlines():
            key, _, value = line.partition("=")
            if key == "X_NSPAWN_LEADER_PID":
                leader = int(value)
            elif key == "READY" and leader:
                return leader


# --- control groups ------------------------------------------------------------------------------------------------


def _make_groups(name: str) -> list[Path]:
    """One in each hierarchy that systemd uses: its own and the unified one, or the only one."""
    bases = [base for base in (CGROUPS / "systemd", CGROUPS / "unified") if base.is_dir()] or [CGROUPS]
    for base in bases:
        (base / name).mkdir()
    return [base / name for base in bases]


def remove_groups(name: str) -> None:
    """Remove all control groups of this name, if nobody is in there."""
    for top in (CGROUPS / name, *CGROUPS.glob(f"*/{name}")):
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:  # somebody is; whoever boots next tries again
                pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
