"""A service with all that ``midair dev`` sets, but updated only when it is told to: nothing watches its files."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.service import Service
from tests.support.toml import Setting

RUN = """
import os, sys
from midair.config.load import Override, sources_for_run
from midair.supervisor.main import run

runtime_dir, state_dir, *bind = sys.argv[1:]
typed = {"bind": tuple(bind), "runtime_dir": runtime_dir, "state_dir": state_dir, "serve.access_log": False}
overrides = {key: Override(value, "the test") for key, value in typed.items()}
sources = sources_for_run(overrides=overrides, environ=os.environ, is_dev=True)
sys.exit(run(sources.load().settings, sources))
"""


def developing(service: Service, *bind: str) -> list[str]:
    """What is executed to develop it."""
    return [sys.executable, "-c", RUN, *(str(service.settings[key]) for key in ("runtime_dir", "state_dir")), *bind]


class Developed(Service):
    """Entered once anything answers: the stand-in, or the first version."""

    def __init__(
        self, tmp: Path, app: str, *, command: tuple[str, ...] = (), workers: int = 1, **settings: Setting
    ) -> None:
        super().__init__(tmp, app, workers=workers, settings=settings, command=command)
        self._env |= {"MIDAIR_WORKERS": str(workers)}  # What the file says of it counts for the deployed service.

    def line(self, fd: int) -> list[str]:
        return developing(self, f"fd://{fd}")
