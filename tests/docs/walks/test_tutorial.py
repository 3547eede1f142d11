"""docs/tutorial.md is what happens, from a clean environment on: each command as it stands, each line that it prints.

Here pip finds what it installs in a folder, and the machine is this one. As ``soak`` the machine is an empty Debian, and pip asks
its registry.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
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
LOCK = ROOT / "requirements-dev.txt"
BUILDS = "hatchling"


@pytest.fixture(scope="module")
def wheels() -> Path:
    """All that pip will ask for, in the lock's versions. It is fetched once for each lock."""
    lock = LOCK.read_text()
    folder = Path(sys.prefix) / f"wheels-{hashlib.sha256(lock.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        versions = folder.with_suffix(".txt")
        versions.write_text("\n".join(re.findall(r"^[a-z0-9][^ ]*==[^\\\n]*", lock, re.MULTILINE)))
        fetched = folder.with_suffix(".fetched")
        pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
        wanted = [BUILDS, "fastapi", str(ROOT)]
        subprocess.run(
            [*pip, "--constraint", str(versions), "--dest", str(fetched), "--no-build-isolation", *wanted],
            timeout=50,
            check=True,
        )
        fetched.rename(folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(240)  # an environment is made and filled, beside whatever else runs
def test_the_page_is_what_happens(wheels: Path) -> None:
    programs = [f"{sys.base_prefix}/bin", *os.environ["PATH"].split(os.pathsep)]
    environment = {
        "MIDAIR_BAKE_FOR": "2s",  # answers are looked at each second
        "PATH": os.pathsep.join(folder for folder in programs if not folder.startswith(sys.prefix)),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_COMPILE": "1",  # of all that is installed, little is imported
    }
    with Terminal("/home/you", environment=environment, typed_within_s=120) as terminal:
        terminal.prepare(f"ln -s {shlex.quote(str(ROOT))} midair")
        WALK.whole(terminal)


# --- on an empty Debian --------------------------------------------------------------------------------------------------

RELEASE = "bookworm"
PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
"""Those of this machine: what stands between it and pip's registry may have its own."""
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
    shutil.copy(CERTIFICATES, debian / "home/certificates")
    environment = {
        "PATH": PLAIN_PATH,
        "HOME": "/home/you",
        "PIP_CERT": "/home/certificates",
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
