"""docs/tutorial.md is what happens, from a clean environment on: each command as it stands, each line that it prints.

Here pip finds what it installs in a folder, and the machine is this one. As ``soak`` the machine is an empty Debian, and pip asks
its registry.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.docs.terminal import ROOT, Terminal
from tests.docs.walking import Walk
from tests.support.installed import needs

RUN = "midair run"
PACKAGES = "sudo apt-get update && sudo apt-get install -y python3 python3-venv curl"
WALK = Walk(
    "docs/tutorial.md",
    goes_on={RUN: "update done"},
    not_typed={PACKAGES: "this machine has them, and its network leads nowhere"},
    figures=(r"^\d+ times|\d+ of its first \d+ answers|^\d\d+ failed",),
)


@pytest.mark.slow
@pytest.mark.timeout(400)  # an environment is made and filled, beside whatever else runs
def test_the_page_is_what_happens(from_wheels: dict[str, str]) -> None:
    environment = {**from_wheels, "MIDAIR_BAKE_FOR": "2s"}  # answers are looked at each second
    with Terminal("/home/you", environment=environment, typed_within_s=120) as terminal:
        terminal.prepare(f"ln -s {shlex.quote(str(ROOT))} midair")
        WALK.whole(terminal)


# --- on an empty Debian --------------------------------------------------------------------------------------------------

RELEASE = "bookworm"
PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
OF_THIS_MACHINE = "usr/local/share/ca-certificates"
"""Certificates that a Debian adds to its own: what stands between this machine and pip's registry may have one."""
ENTER = """
set -e
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
exec chroot "$0" env --unset=PIP_FIND_LINKS "$@"
"""


@pytest.mark.soak
@pytest.mark.root
@pytest.mark.timeout(1800)
def test_the_page_is_what_happens_on_an_empty_debian(tmp_path: Path) -> None:
    needs("debootstrap")
    debian = tmp_path / "debian"
    subprocess.run(["debootstrap", "--variant=minbase", RELEASE, debian], stdout=subprocess.DEVNULL, check=True)
    clone(debian / "home/you/midair")
    (debian / OF_THIS_MACHINE).mkdir(parents=True, exist_ok=True)
    shutil.copy(CERTIFICATES, debian / OF_THIS_MACHINE / "here.crt")
    environment = {
        "PATH": PLAIN_PATH,
        "HOME": "/home/you",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
    }
    enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, str(debian)]
    with Terminal("/home/you", user="root", within=enter, environment=environment, typed_within_s=600) as terminal:
        assert terminal.type("command -v python3 pip curl").lines == [], "it is not empty"
        began_s = time.monotonic()
        replace(WALK, not_typed={}).whole(terminal)
        print(f"typed in {time.monotonic() - began_s:.0f} s")
    shutil.rmtree(debian)  # half a gigabyte


def clone(folder: Path) -> None:
    """What a clone of the repository has in it, and what is new here and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
