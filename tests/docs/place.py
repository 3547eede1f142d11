"""A machine of its own for a reader: this one's files, of which no change is seen outside, and a network where every port is free.

Not imported. ``terminal.py`` runs it with

    unshare --mount --pid --net --fork --kill-child --mount-proc python place.py USER PATH… -- PROGRAM…

USER: ``root``, or ``you``, an ordinary user whose are ``/srv`` and ``/home/you``. PATH: folders that have to be there even if they
are not on the file system of ``/``, and that everybody has to be able to reach. PROGRAM is process 1 of it all: when it
ends, so does every process that was started in there. Addresses, paths and users are so what a page says, to the letter.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

PLACE = Path("/run/place")
"""On a tmpfs of our own, where all changes go. An overlay cannot lie on another one, which a container's root often is."""
EMPTY = {"run": "755", "tmp": "1777", "srv": "755", "home": "755", "var/lib/midair": "755"}
"""Folders with nothing in them, and their modes."""
UID = 4711
"""Of an ordinary user, whom this machine does not have."""
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


def main(user: str, paths: list[Path], program: list[str]) -> None:
    _mount_memory("/run", "755")
    root = PLACE / "root"
    root.mkdir(parents=True)
    _lay_over("/", root)
    for name, mode in EMPTY.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        _mount_memory(str(root / name), mode)
    for path in paths:
        _show(path, root)
        _open_the_way(path, root)
    for name in ("dev", "sys", "proc"):
        subprocess.run(["mount", "--rbind", f"/{name}", str(root / name)], check=True)
    _raise_loopback()
    os.chroot(root)
    os.chdir("/")
    if user != "root":
        _become(user)
    os.execvp(program[0], program)


def _show(path: Path, root: Path) -> None:
    """The overlay of ``/`` shows no other file systems; nor does it show what lies below something empty."""
    inside = root / path.relative_to("/")
    if path.stat().st_dev != Path("/").stat().st_dev or not inside.exists():
        inside.mkdir(parents=True, exist_ok=True)
        _lay_over(str(path), inside)


def _open_the_way(path: Path, root: Path) -> None:
    """Others may come to ``path``: an interpreter often lies in the home of root."""
    for folder in (path, *path.parents):
        inside = root / folder.relative_to("/")
        mode = inside.stat().st_mode
        if not mode & 0o001:
            inside.chmod(mode & 0o7777 | 0o011)


def _become(user: str) -> None:
    with open("/etc/passwd", "a") as passwd, open("/etc/group", "a") as group:
        passwd.write(f"{user}:x:{UID}:{UID}::/home/{user}:/bin/bash\n")
        group.write(f"{user}:x:{UID}:\n")
    for folder in (f"/home/{user}", f"/run/user/{UID}"):
        Path(folder).mkdir(parents=True)
    for folder in (f"/home/{user}", f"/run/user/{UID}", "/srv"):
        os.chown(folder, UID, UID)
    os.setgroups([])
    os.setgid(UID)
    os.setuid(UID)


def _mount_memory(target: str, mode: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", target], check=True)


def _lay_over(lower: str, target: Path) -> None:
    changes = PLACE / "changes" / str(len(list(PLACE.glob("changes/*"))))
    for name in ("upper", "work"):
        (changes / name).mkdir(parents=True)
    layers = f"lowerdir={lower},upperdir={changes}/upper,workdir={changes}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(target)], check=True)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


if __name__ == "__main__":
    divided = sys.argv.index("--")
    main(sys.argv[1], [Path(path) for path in sys.argv[2:divided]], sys.argv[divided + 1 :])
