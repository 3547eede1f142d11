"""For pages on which something is installed: where the network leads nowhere, pip and uv find it in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.docs.terminal import ROOT

LOCK = ROOT / "requirements-dev.txt"
BUILT_WITH = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
WANTED = (*BUILT_WITH, "fastapi", "midair")
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
    """The packages, and all that they need, in the versions that are installed here. They are fetched once for each lock."""
    folder = Path(sys.prefix) / f"wheels-{hashlib.sha256(repr((LOCK.read_text(), WANTED)).encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        fetched = folder.with_suffix(f".{os.getpid()}")  # Two of the processes that test may come here at once.
        # What is needed is known already: pip would take ten seconds to find it out again.
        pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", str(fetched), *_needed(WANTED)], timeout=180, check=True)
        with contextlib.suppress(OSError):
            fetched.rename(folder)  # Not empty: the other one has all that is needed.
    return folder


def _needed(wanted: Iterable[str]) -> list[str]:
    """``NAME==VERSION`` of these and of whatever they require, ourselves aside."""
    waiting = [Requirement(each) for each in wanted]
    found: dict[str, str] = {}
    while waiting:
        requirement = waiting.pop()
        if requirement.name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[requirement.name] = metadata.version(requirement.name)
        waiting += [Requirement(each) for each in metadata.requires(requirement.name) or ()]
    del found["midair"]
    return [f"{name}=={version}" for name, version in found.items()]
