"""Programs that are not Python packages, so that a machine may be without them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent.parent / ".venv/container-tools/bin"


def needs(program: str) -> None:
    """Skip the test where the program is not installed; a run that has to show everything (CI=true) fails instead."""
    if shutil.which(program) is None:
        _is_missing(program)


def _is_missing(part: str, way_out: str = "make system-parts") -> None:
    said = f"{part} is not here ({way_out})"
    if os.environ.get("CI") == "true":
        pytest.fail(said)
    pytest.skip(said)


def container_tool(name: str) -> str:
    """The path of a program that reads containers' files; skips, or fails with CI=true, where it is not installed."""
    path = TOOLS / name
    if not path.exists():
        _is_missing(name, "make container-tools")
    return str(path)


def needs_root() -> None:
    """Skip, or fail with CI=true, without the rights of root: to mount, to boot."""
    if os.geteuid() != 0:
        _is_missing("uid 0", "run it as root")


def needs_gin() -> None:
    """Skip, or fail with CI=true, without Go and Debian's Gin."""
    needs("go")
    if not Path("/usr/share/gocode/src/github.com/gin-gonic/gin").is_dir():
        _is_missing("Debian's golang-github-gin-gonic-gin-dev")


def needs_npm(package: str) -> None:
    """Skip, or fail with CI=true, without npm or a registry that has ``package`` (asked once, by npm's own client)."""
    needs("npm")
    asked = subprocess.run(["npm", "view", package, "version"], capture_output=True, timeout=30, check=False)
    if asked.returncode != 0:
        _is_missing(f"npm's package {package}")
