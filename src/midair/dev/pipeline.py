"""The steps of ``[build]``: one after the other, and only for the newest save.

A newer save ends the step that runs (SIGTERM, a moment later SIGKILL, to all that it started) and begins anew as soon as it is
gone: two builds at once would write into each other's files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from midair.config.schema import Build
from midair.dev.children import Child, Children, shell


@dataclass(frozen=True, slots=True)
class Step:
    phase: str
    """``pre``, ``build``, ``check``, ``post`` or ``exit``: which list it stands in, and what its lines are called."""
    line: str
    """For the shell, as typed."""


@dataclass(slots=True)
class Built:
    """How the steps went. ``failed`` is the one at which they stopped."""

    times: dict[str, float] = field(default_factory=dict)
    """Seconds by phase."""
    failed: Step | None = None
    how: str = ""
    """How the failed one ended."""
    output: str = ""
    """What the failed one printed."""


def steps_before(build: Build) -> list[Step]:
    """What has to succeed before a change is served."""
    lists = {"pre": build.pre, "build": build.build, "check": build.check}
    return [Step(phase, line) for phase, lines in lists.items() for line in lines]


def steps_after(build: Build) -> list[Step]:
    return [Step("post", line) for line in build.post]


def steps_at_exit(lines: Sequence[str]) -> list[Step]:
    return [Step("exit", line) for line in lines]


class Pipeline:
    """One run at a time, the newest."""

    def __init__(self, children: Children) -> None:
        self._children = children
        self._child: Child | None = None
        self._steps: deque[Step] = deque()
        self._built = Built()
        self._done: Callable[[Built], None] | None = None

    @property
    def is_running(self) -> bool:
        """Somebody waits for the end of its steps."""
        return self._done is not None

    def run(self, steps: Sequence[Step], done: Callable[[Built], None]) -> None:
        """Run the steps, in the place of those that run. ``done`` is told unless a newer run comes or it is cancelled."""
        self.cancel()
        self._steps, self._built, self._done = deque(steps), Built(), done
        if self._child is None:
            self._next()

    def cancel(self) -> None:
        self._steps.clear()
        self._done = None
        if self._child:
            self._child.end()

    def _next(self) -> None:
        if not self._steps:
            done, self._done = self._done, None
            if done:
                done(self._built)
            return
        step = self._steps.popleft()
        self._child = self._children.make(step.phase, lambda child, how: self._ended(step, child, how))
        self._child.start(shell(step.line))

    def _ended(self, step: Step, child: Child, how: str) -> None:
        self._child = None
        if not child.was_ended:
            times = self._built.times
            times[step.phase] = times.get(step.phase, 0.0) + child.seconds
            if how != "exit 0":
                self._built.failed, self._built.how, self._built.output = step, how, child.output
                self._steps.clear()
        self._next()
