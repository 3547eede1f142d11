"""``[[dev.process]]``: programs beside the service while it is developed. Started with it, started again when they end, ended with
it.

An update does not touch them. A change of the configuration starts, ends or replaces those that it speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from midair.config.schema import DevProcess
from midair.core import backoff
from midair.dev.children import Child, Children
from midair.errors import Fault
from midair.supervisor.loop import Timer


class Beside:
    """All of them, by name."""

    def __init__(self, children: Children, on_ended: Callable[[Fault], None]) -> None:
        """on_ended: told of an end that nobody asked for."""
        self._children, self._on_ended = children, on_ended
        self._programs: dict[str, _Program] = {}

    def want(self, wanted: Sequence[DevProcess]) -> None:
        """These run from now on, and no others."""
        by_name = {process.name: process for process in wanted}
        for name, program in list(self._programs.items()):
            if program.process != by_name.get(name):
                self._programs.pop(name).end()
        for name, process in by_name.items():
            if name not in self._programs:
                self._programs[name] = program = _Program(self._children, process, self._on_ended)
                program.start()

    def end(self) -> None:
        self.want(())


class _Program:
    def __init__(self, children: Children, process: DevProcess, on_ended: Callable[[Fault], None]) -> None:
        self._children, self.process, self._on_ended = children, process, on_ended
        self._child: Child | None = None
        self._deaths_s: list[float] = []
        self._again: Timer | None = None
        self._is_wanted = True

    def start(self) -> None:
        process = self.process
        self._child = self._children.make(process.name, self._ended, leaves_nothing=True)
        self._child.start(process.command, folder=process.cwd, more=process.env)

    def end(self) -> None:
        self._is_wanted = False
        if self._again:
            self._again.cancel()
        if self._child:
            self._child.end()

    def _ended(self, child: Child, how: str) -> None:
        self._child = None
        if not self._is_wanted:
            return
        wait_s = self._wait_s(how)
        again = (
            "" if wait_s is None else f", and is started again in {wait_s:g} s" if wait_s else ", and is started again"
        )
        if how != "exit 0" or wait_s is not None:
            self._on_ended(Fault("beside-ended", f"{self.process.name} has ended ({how}){again}", detail=child.output))
        if wait_s is not None:
            self._again = self._children.estate.loop.call_later(wait_s, self.start)

    def _wait_s(self, how: str) -> float | None:
        """Seconds until it is started again; None: it is not."""
        if self.process.restart == "never" or (self.process.restart == "failure" and how == "exit 0"):
            return None
        now_s = self._children.estate.loop.clock.now_s()
        self._deaths_s, wait_s = backoff.after_death(self._deaths_s, now_s)
        return wait_s
