"""docs/tutorial.md is what happens, from a clean environment on: each command as it stands, each line that it prints.

Here pip finds what it installs in a folder, and the machine is this one. As ``soak`` the machine is an empty Debian, and pip asks
its registry.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.terminal import ROOT, Terminal
from tests.docs.walking import Walk

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
    with Terminal("/home/you", environment=environment) as terminal:
        terminal.prepare(f"ln -s {shlex.quote(str(ROOT))} midair")
        WALK.whole(terminal)
