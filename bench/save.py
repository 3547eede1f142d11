"""From a save to the first answer with the new code, while others ask: ours beside servers that reload by themselves.

Three applications (``projects.py``). In each a few files are edited, one after the other, as somebody does who works on one and
then on the next: the first edit of a file is a row of figures of its own, the edits after it are the median. Saves are a second
apart, as most reloaders take two of equal length within one second for the same; how many of these they get right is
counted by itself. All the while a client asks fifty times a second, half of it on connections that it keeps. What the edited
modules cost to run again is in the figures.
"""

from __future__ import annotations

import importlib.util
import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import peers, projects, reloaders, table
from bench.projects import Project
from bench.reload_loss import failures
from midair.testing.client import BackgroundClient, Load
from midair.testing.report import Answer, Report

EDITS = 20
"""After the first of each file."""
LOADS = (Load(connections=5, rate_per_s=25), Load(connections=5, rate_per_s=25, keep_alive=False))
SETTLES_S = 3.0
"""After the first answer, before the first edit: as long as nobody needs to look at a file."""
APART_S = 1.1
LIMIT_S = 12.0
LOOK_S = 0.002
"""Between two looks for the new answer: the machine has two cores, and a tight loop would slow down what is measured."""
PAIRS = 8
FILES = 300
FILES_WITHIN_S = 0.5
QUIET_S = 3.0
"""Without another import for so long, a reloader is done."""
COLUMNS = (
    "server",
    "first edit ms",
    "edit ms",
    "slowest ms",
    "came",
    "ratio",
    "requests",
    "refused",
    "failed",
    "of these",
    "longest wait ms",
)


@dataclass(slots=True)
class Run:
    """A server through the edits of one application."""

    edits: int
    """How many were made."""
    first_s: list[float] = field(default_factory=list)
    """From the save to the answer, for the first edit of each file; only those whose answer came."""
    later_s: list[float] = field(default_factory=list)
    report: Report = field(default_factory=Report)


def main() -> None:
    servers, missing = reloaders.here()
    for project in (make() for make in projects.ALL):
        if not all(importlib.util.find_spec(name) for name in project.needs):
            missing = [*missing, f"the application {project.name}"]
            continue
        runs = {peer: run(peer, project) for peer in servers}
        ours_s = _median(runs[reloaders.MIDAIR].later_s)
        title = (
            f"{project.name}: save to first answer with the new code, {EDITS} edits, 50 requests/s meanwhile, medians"
        )
        table.show(title, COLUMNS, [_cells(peer, done, ours_s) for peer, done in runs.items()])
        print()
    table.show(
        f"{PAIRS} pairs of saves of equal length within a second; {FILES} files rewritten within {FILES_WITHIN_S} s",
        ("server", "second save served", "imports for all files"),
        [[peer.name, f"{pairs(peer)} of {PAIRS}", many_files(peer)] for peer in servers],
    )
    if missing:
        print(f"not installed here, so left out: {', '.join(missing)} (make bench-save)")
    packages = [peer.package for peer in servers if not peer.program]
    print(table.versions(*packages, "uvloop"))


def run(
    peer: peers.Peer, project: Project, edits: int = EDITS, *, settles_s: float = SETTLES_S, apart_s: float = APART_S
) -> Run:
    """Edit the files of the application one after the other, so often after the first edit of each."""
    files = len(project.edited)
    plan = [edits // files + (number < edits % files) for number in range(files)]
    done = Run(edits + files)
    with _served(peer, project) as server, BackgroundClient(server.url, *LOADS) as client:
        editor = Editor(server, project)
        time.sleep(settles_s)
        for name, count in zip(project.edited, plan, strict=True):
            for took in (done.first_s, *[done.later_s] * count):
                time.sleep(apart_s)
                if (seconds := editor.edit(name)) is not None:
                    took.append(seconds)
        done.report = client.stop()
    return done


def pairs(peer: peers.Peer, count: int = PAIRS) -> int:
    """Save twice within a second, so often; how often the second save is what is served in the end."""
    right = 0
    with _served(peer, projects.tiny()) as server:
        editor = Editor(server, projects.tiny())
        for _ in range(count):
            time.sleep(1.05 - time.time() % 1.0)  # to the beginning of a second of the file system's clock
            editor.edit("app.py", within_s=0.7)
            right += editor.edit("app.py", within_s=5.0) is not None
    return right


def many_files(peer: peers.Peer, files: int = FILES, *, quiet_s: float = QUIET_S) -> int:
    """Rewrite so many files, evenly over half a second; how often the application was imported for it."""
    project = projects.plain(files)
    with _served(peer, project) as server:
        time.sleep(APART_S)
        before, began_s = server.imports(), time.monotonic()
        for number, name in enumerate(project.files, 1):
            projects.save(server.folder / name, project.text(name, "0001") + b"\n")
            time.sleep(max(0.0, began_s + FILES_WITHIN_S * number / files - time.monotonic()))
        seen, ended_s = before, time.monotonic()
        since_s = ended_s
        while (now_s := time.monotonic()) < ended_s + LIMIT_S and (seen == before or now_s < since_s + quiet_s):
            time.sleep(0.05)  # Nothing tells of an import of somebody else's server but the line that it writes.
            if (now := server.imports()) != seen:
                seen, since_s = now, time.monotonic()
    return seen - before


class Editor:
    """Somebody who saves files and looks for the answer. No save is like another one before it."""

    def __init__(self, server: Served, project: Project) -> None:
        self._server = server
        self._project = project
        self._saves = 0

    def edit(self, name: str, within_s: float = LIMIT_S) -> float | None:
        """Seconds from the save to the first answer that knows it; None if there was none in time."""
        self._saves += 1
        stamp = f"{self._saves:04}"
        content = self._project.text(name, stamp)
        began_s = time.monotonic()
        projects.save(self._server.folder / name, content)
        while time.monotonic() < began_s + within_s:
            if self._project.stamp(name, self._server.version()) == stamp:
                return time.monotonic() - began_s
            time.sleep(LOOK_S)
        return None


@dataclass(frozen=True, slots=True)
class Served:
    """An application that is served from its own folder."""

    running: peers.Running
    imports_file: Path
    """Outside that folder: what the application writes there is no save."""

    @property
    def folder(self) -> Path:
        return self.running.folder

    @property
    def url(self) -> str:
        return self.running.url

    def version(self) -> str:
        """What a new connection gets; empty: no answer."""
        try:
            return str(json.loads(self.running.ask(timeout_s=LIMIT_S))["version"])
        except (OSError, ValueError):
            return ""

    def imports(self) -> int:
        """How often the application was imported so far."""
        return self.imports_file.read_text().count("\n")


@contextmanager
def _served(peer: peers.Peer, project: Project) -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="midair-bench-", ignore_cleanup_errors=True) as path:
        home = Path(path)
        folder, imports_file = home / "app", home / "imports"
        project.write(folder)
        environment = {projects.IMPORTS_VARIABLE: str(imports_file)}
        with peers.serve_folder(peer, folder, home=home, environment=environment) as running:
            yield Served(running, imports_file)


def _cells(peer: peers.Peer, done: Run, ours_s: float) -> list[object]:
    report = done.report
    all_s = [*done.first_s, *done.later_s]
    return [
        peer.name,
        _median(done.first_s) * 1e3,
        _median(done.later_s) * 1e3,
        max(all_s, default=math.nan) * 1e3,
        f"{len(all_s)} of {done.edits}",
        _median(done.later_s) / ours_s,
        report.requests,
        report.counts[Answer.REFUSED],
        report.failed - report.counts[Answer.REFUSED],
        failures(report),
        report.percentile_s(100) * 1e3,
    ]


def _median(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) if seconds else math.nan
