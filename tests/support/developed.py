"""A service with a stand-in, as under ``midair dev``, but updated only when it is told to: nothing watches its files."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.service import Service
from tests.support.toml import Setting

RUN = """
import os, sys
import msgspec
from midair.config.load import Override, RunSources, sources_for_run
from midair.supervisor.main import run

class Sources(RunSources, frozen=True, kw_only=True):
    def load(self):
        loaded = super().load()
        return msgspec.structs.replace(loaded, settings=msgspec.structs.replace(loaded.settings, is_dev=True))

bind = Override((f"fd://{sys.argv[1]}",), "--bind")
sources = Sources(**msgspec.structs.asdict(sources_for_run(overrides={"bind": bind}, environ=os.environ)))
sys.exit(run(sources.load().settings, sources))
"""
AS_DEV: dict[str, Setting] = {
    "bake": {"for": "0s"},
    "drain": {"rate": "100%", "timeout": "2s"},
    "rollback": {"keep": "none"},
    "surge": "all",
}
"""What ``midair dev`` sets."""


class Developed(Service):
    """Entered once anything answers: the stand-in, or the first version."""

    def __init__(self, tmp: Path, app: str, *, command: tuple[str, ...] = (), **settings: Setting) -> None:
        super().__init__(tmp, app, workers=1, settings={**AS_DEV, **settings}, command=command)

    def line(self, fd: int) -> list[str]:
        return [sys.executable, "-c", RUN, str(fd)]
