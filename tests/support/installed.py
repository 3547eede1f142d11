"""Programs that are not Python packages, so that a machine may be without them."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(program: str) -> None:
    """Skip the test where the program is not installed; a run that has to show everything (CI=true) fails instead."""
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is not installed (make system-parts)")
        pytest.skip(f"{program} is not installed (make system-parts)")
