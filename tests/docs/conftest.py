"""For pages on which something is installed: where the network leads nowhere, pip and uv find it in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.terminal import ROOT

LOCK = ROOT / "requirements-dev.txt"
BUILT_WITH = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
WANTED = (*BUILT_WITH, "fastapi", str(ROOT))
"""What builds midair, what the pages install, and what that needs."""


@pytest.fixture(scope="session")
def from_wheels() -> dict[str, str]:
    """The environment of a terminal in which nothing of the tests is installed, and all of it can be."""
    folder = _fetched()
    programs = [f"{sys.base_prefix}/bin", *os.environ["PATH"].split(os.pathsep)]
    return {
        "PATH": os.pathsep.join(each for each in programs if not each.startswith(sys.prefix)),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_COMPILE": "1",  # of all that is installed, little is imported
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(folder),
        "UV_OFFLINE": "1",
    }


def _fetched() -> Path:
    """The packages in the lock's versions. They are fetched once for each lock."""
    lock = LOCK.read_text()
    folder = Path(sys.prefix) / f"wheels-{hashlib.sha256(repr((lock, WANTED)).encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        versions = folder.with_suffix(".txt")
        versions.write_text("\n".join(re.findall(r"^[a-z0-9][^ ]*==[^\\\n]*", lock, re.MULTILINE)))
        fetched = folder.with_suffix(f".{os.getpid()}")  # Two of the processes that test may come here at once.
        pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
        subprocess.run(
            [*pip, "--constraint", str(versions), "--dest", str(fetched), "--no-build-isolation", *WANTED],
            timeout=180,
            check=True,
        )
        with contextlib.suppress(OSError):
            fetched.rename(folder)  # Not empty: the other one has all that is needed.
    return folder
