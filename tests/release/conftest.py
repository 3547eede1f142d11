"""A project folder that tests fill."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from midair.config.schema import Settings

AMBIENT: dict[str, str] = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
"""An outer environment that does not depend on who runs the tests."""

MakeSettings = Callable[..., Settings]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a small application in it."""
    folder = tmp_path / "shop"
    write(folder / "app.py", "app = 1\n")
    write(folder / "views" / "cart.py", "def cart(): ...\n")
    write(folder / "views" / "cart.html", "<h1>Cart</h1>\n")
    return folder


@pytest.fixture
def make_settings(project: Path) -> MakeSettings:
    """Settings of the project, in this interpreter if nothing else is said."""

    def make(**values: Any) -> Settings:
        given: dict[str, Any] = {"name": "shop", "folder": str(project), "app": "app:app", "python": sys.executable}
        return Settings(**(given | values))

    return make


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path
