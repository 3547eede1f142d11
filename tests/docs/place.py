"""A machine of its own for a reader: this one's files, of which no change is seen outside, and a network where every port is free.

Not imported. ``terminal.py`` runs it with

    unshare --mount --pid --net --fork --kill-child --mount-proc python place.py PATH… -- PROGRAM…

PATH: folders that have to be there even if they are not on the file system of ``/``. PROGRAM is process 1 of it all: when it ends,
so does every process that was started in there. Addresses, paths and users are so what a page says, to the letter.
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
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


def main(paths: list[str], program: list[str]) -> None:
    _mount_memory("/run", "755")
    (PLACE / "root").mkdir(parents=True)
    root = PLACE / "root"
    _lay_over("/", root)
    for name, mode in EMPTY.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        _mount_memory(str(root / name), mode)
    for path in map(Path, paths):
        if not (root / path.relative_to("/")).exists() or path.stat().st_dev != Path("/").stat().st_dev:
            (root / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
            _lay_over(str(path), root / path.relative_to("/"))
    for name in ("dev", "sys", "proc"):
        subprocess.run(["mount", "--rbind", f"/{name}", str(root / name)], check=True)
    _raise_loopback()
    os.chroot(root)
    os.chdir("/")
    os.execvp(program[0], program)


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
    main(sys.argv[1:divided], sys.argv[divided + 1 :])
