"""What systemd is told (``Type=notify``): READY, RELOADING, STOPPING, a line of status, and that we are alive.

    first start    EXTEND_TIMEOUT_USEC while it tries     READY=1 at its commit
    an update      RELOADING=1 when it begins             READY=1 at its end, whatever that is, before who asked is told
    a stop         STOPPING=1, EXTEND_TIMEOUT_USEC while connections leave

Nothing here waits. What systemd cannot take now is told again, in order, a moment later. MAINPID is never said.
"""

from __future__ import annotations

import os
import time
from collections import deque

from midair.core import effects
from midair.core.ids import STAND_IN
from midair.supervisor.estate import Estate
from midair.supervisor.ledger import Receipt
from midair.systemd.notify import Notifier, watchdog_interval_s

EXTEND_EVERY_S = 5.0
EXTEND_BY_S = 15.0
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
        if not self._notifier.is_heard:
            return
        self._every_s = watchdog_interval_s(estate.ambient, os.getpid())
        if self._every_s:
            estate.loop.call_soon(self._watchdog)
        estate.loop.call_later(EXTEND_EVERY_S, self._extend)

    def opened(self, effect: effects.Opened) -> None:
        """An update begins. The first start is none: nothing is ready yet."""
        if effect.previous is not None and not self._is_reloading:
            self._is_reloading = True
            self._notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def entered(self, effect: effects.Entered) -> None:
        version = f", version {effect.version}" if effect.version else ""
        self._notify(f"STATUS=update {effect.update}: {effect.phase}{version}")

    def closed(self, effect: effects.Closed, receipt: Receipt) -> None:
        """Call it before who asked for the update is answered: ``systemctl reload`` waits for both."""
        service = self._estate.service
        if effect.serving is None or service.stopping:
            return
        status = f"STATUS={self._status(effect, receipt)}"
        if service.candidate or service.baking:
            self._notify(status)
            return
        self._is_reloading = False
        self._notify("READY=1", status)

    def _status(self, effect: effects.Closed, receipt: Receipt) -> str:
        serves = f"version {self._estate.version_of(effect.serving)} serves (generation {effect.serving})"
        if effect.serving == STAND_IN:
            serves = "no version serves yet"
        if effect.result in {"refused", "rolled-back"} and effect.fault:
            return f"{serves}; update {receipt.number} {effect.result}: {effect.fault.message}"
        return serves

    def stopping(self) -> None:
        """The service is on its way out. May be called again."""
        if not self._has_said_stopping:
            self._has_said_stopping = True
            self._notify("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(EXTEND_BY_S * 1e6)}", "STATUS=stopping")

    # --- timers ---------------------------------------------------------------------------------------------------

    def _watchdog(self) -> None:
        self._notifier.watchdog()
        self._estate.loop.call_later(self._every_s, self._watchdog)

    def _extend(self) -> None:
        """Starting and stopping have limits of our own; systemd's must not be the shorter one."""
        service = self._estate.service
        if service.serving is None or service.stopping:
            self._notifier.extend_timeout(EXTEND_BY_S)
        self._estate.loop.call_later(EXTEND_EVERY_S, self._extend)

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
