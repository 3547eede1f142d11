"""What systemd is told (``Type=notify``): READY, RELOADING, STOPPING, a line of status, and that we are alive.

    first start    EXTEND_TIMEOUT_USEC while it tries     READY=1 at its commit
    an update      RELOADING=1 when it begins, EXTEND_TIMEOUT_USEC while it goes on
                                                          READY=1 at its end, whatever that is, before who asked is told
    a stop         STOPPING=1, EXTEND_TIMEOUT_USEC while connections leave
    all the while  STATUS: the phase, workers and connections

Nothing here waits. What systemd cannot take now is told again, in order, a moment later. MAINPID is never said.
"""

from __future__ import annotations

import os
import time
from collections import deque

from midair.core import effects
from midair.core.ids import STAND_IN
from midair.observe.counters import Cell
from midair.supervisor.estate import Estate
from midair.supervisor.ledger import Receipt
from midair.systemd.notify import Notifier, watchdog_interval_s

TELL_EVERY_S = 5.0
"""How old the figures of STATUS are at most; nothing is said while they are the same."""
EXTEND_BY_S = 15.0
"""Three times as long: a message that is late is not the last one."""
AGAIN_S = 0.1
WAITING_MAX = 32
"""Messages kept for a systemd that does not read; then the oldest are wrong anyway."""


class Notices:
    """Tells whoever is behind NOTIFY_SOCKET; without one it does nothing."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._notifier = Notifier(estate.ambient.get("NOTIFY_SOCKET", ""))
        self._waiting: deque[tuple[str, ...]] = deque(maxlen=WAITING_MAX)
        self._is_reloading = False
        self._has_said_stopping = False
        self._headline = ""
        """What goes on, without figures; empty: a version serves."""
        self._told = ""
        if not self._notifier.is_heard:
            return
        self._every_s = watchdog_interval_s(estate.ambient, os.getpid())
        if self._every_s:
            estate.loop.call_soon(self._watchdog)
        estate.loop.call_soon(self._keep_telling)

    def opened(self, effect: effects.Opened) -> None:
        """An update begins. The first start is none: nothing is ready yet."""
        if effect.previous is not None and not self._is_reloading:
            self._is_reloading = True
            self._notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", *self._extension())

    def entered(self, effect: effects.Entered) -> None:
        version = f", version {effect.version}" if effect.version else ""
        self._headline = f"update {effect.update}: {effect.phase}{version}"
        self._notify(self._status())

    def closed(self, effect: effects.Closed, receipt: Receipt) -> None:
        """Call it before who asked for the update is answered: ``systemctl reload`` waits for both."""
        service = self._estate.service
        if effect.serving is None or service.stopping:
            return
        self._headline = self._outcome(effect, receipt)
        if service.candidate or service.baking:
            self._notify(self._status())
            return
        self._is_reloading = False
        self._notify("READY=1", self._status())

    def _outcome(self, effect: effects.Closed, receipt: Receipt) -> str:
        """How an update has ended; empty: its version serves."""
        if effect.result in {"refused", "rolled-back"} and effect.fault:
            return f"{self._serves()}; update {receipt.number} {effect.result}: {effect.fault.message}"
        return ""

    def stopping(self) -> None:
        """The service is on its way out. May be called again."""
        if not self._has_said_stopping:
            self._has_said_stopping = True
            self._headline = "stopping"
            self._notify("STOPPING=1", *self._extension(), self._status())

    # --- the line of status ---------------------------------------------------------------------------------------

    def _status(self) -> str:
        self._told = f"STATUS={self._headline or self._serves()}{self._counts()}"
        return self._told

    def _serves(self) -> str:
        serving = self._estate.service.serving
        if serving is None or serving == STAND_IN:
            return "no version serves yet"
        return f"version {self._estate.version_of(serving)} serves (generation {serving})"

    def _counts(self) -> str:
        """``; 2 workers, 14 connections, 3 more on other versions``. Connections of commands nobody here can count."""
        serving = self._estate.service.serving
        workers = sum(worker.generation == serving for worker in self._estate.everybody())
        here = elsewhere = 0
        for worker in self._estate.fleet.workers.values():
            count = worker.page.cells[Cell.OPEN]
            if worker.generation == serving:
                here += count
            else:
                elsewhere += count
        parts = [counted(workers, "worker")] if serving is not None else []
        parts += [counted(here, "connection")] if self._estate.fleet.workers else []
        parts += [f"{elsewhere} more on other versions"] if elsewhere else []
        return f"; {', '.join(parts)}" if parts else ""

    # --- timers ---------------------------------------------------------------------------------------------------

    def _watchdog(self) -> None:
        self._notifier.watchdog()
        self._estate.loop.call_later(self._every_s, self._watchdog)

    def _keep_telling(self) -> None:
        """Starting, updating and stopping have limits of our own; systemd's must not be the shorter one. And figures change."""
        service = self._estate.service
        lines = list(self._extension()) if service.serving is None or service.stopping or self._is_reloading else []
        before, status = self._told, self._status()
        if status != before:
            lines.append(status)
        if lines:
            self._notify(*lines)
        self._estate.loop.call_later(TELL_EVERY_S, self._keep_telling)

    def _extension(self) -> tuple[str]:
        return (f"EXTEND_TIMEOUT_USEC={int(EXTEND_BY_S * 1e6)}",)

    def _notify(self, *lines: str) -> None:
        if not self._notifier.is_heard:
            return
        message = tuple(" ".join(line.split()) for line in lines)  # A message of a fault may have several lines.
        if self._waiting or not self._notifier.send(*message):
            if not self._waiting:
                self._estate.loop.call_later(AGAIN_S, self._again)
            self._waiting.append(message)

    def _again(self) -> None:
        while self._waiting and self._notifier.send(*self._waiting[0]):
            self._waiting.popleft()
        if self._waiting:
            self._estate.loop.call_later(AGAIN_S, self._again)

    # --- over an upgrade ------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return ""

    def freeze(self) -> tuple[bytes, list[int]]:
        return b"1" if self._is_reloading else b"", []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        self._is_reloading = bool(state)


def counted(count: int, what: str) -> str:
    """``1 worker``, ``2 workers``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
