"""How the service is, as far as we know: asked for when somebody looks, and now and then when nobody does.

Whoever looks gets what the supervisor says now. Between two looks samples are taken at a low rate, and once a second while
something is under way, so that a drain that nobody watched can be seen afterwards.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from midair.admin.asking import SILENT, Shared, Supervisor
from midair.admin.samples import Samples
from midair.control.words import ReceiptLine, StatusReport
from midair.errors import WorldError
from midair.observe.metrics import MetricsSnapshot

BUSY_EVERY_S = 1.0
IDLE_EVERY_S = 5.0
LOOK_EVERY_S = 0.4
"""Between two looks, however many people look on."""
DISK_EVERY_S = 10.0
"""A look at the disk costs a process and reads the files."""
UPDATES_SHOWN = 30
RECEIPT_FRESH_S = 1.0
"""A receipt is not asked for again within this time. It changes after its update, too: connections move on, a hook ends."""
RECEIPTS_KEPT = 64
RECEIPTS_EVERY_S = 0.02
"""Between two that are asked for."""
RECEIPTS_WAITING = 32
"""Requests for receipts that wait their turn: what comes beyond would wait for longer than a second."""


class TooMany(WorldError):
    """More is asked for at one time than anybody reads."""


class View(msgspec.Struct, kw_only=True):
    """What is shown."""

    status: StatusReport | None = None
    """None: the supervisor has never answered."""
    figures: MetricsSnapshot = msgspec.field(default_factory=MetricsSnapshot)
    updates: tuple[ReceiptLine, ...] = ()
    """Newest first."""
    going_on: bytes = b""
    """The receipt of the update that goes on, so far."""
    silent_since_s: float = 0.0
    """Seconds since the epoch from when on it does not answer; 0: it does."""
    why_silent: str = ""
    samples: Samples = msgspec.field(default_factory=Samples)


class Lookout:
    """Looks, and remembers what it saw."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._view = View()
        self._looks = Shared(self._look, LOOK_EVERY_S)
        self._statuses = Shared(supervisor.status)
        self._receipts: dict[int, tuple[float, bytes]] = {}
        """When it was asked for, and what it was; oldest first."""
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._is_looked_at = False
        self._disk_seen_s = -DISK_EVERY_S
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep_looking())

    def end(self) -> None:
        if self._task:
            self._task.cancel()

    async def view(self) -> View:
        """How it is now; if the supervisor does not answer, how it was, and since when."""
        self._is_looked_at = True
        await self._looks.get()
        return self._view

    async def status(self) -> StatusReport:
        """Raises SILENT."""
        return await self._statuses.get()

    async def receipt(self, number: int) -> bytes:
        """As JSON. Raises NoReceipt, TooMany, SILENT."""
        if known := self._fresh(number):
            return known
        if self._waiting >= RECEIPTS_WAITING:
            raise TooMany("too many receipts are asked for at one time")
        self._waiting += 1
        try:
            async with self._turn:
                return self._fresh(number) or await self._fetch(number)
        finally:
            self._waiting -= 1

    def _fresh(self, number: int) -> bytes:
        """Nothing: it is not there, or too old."""
        asked_s, document = self._receipts.get(number, (0.0, b""))
        return document if time.monotonic() - asked_s < RECEIPT_FRESH_S else b""

    async def _fetch(self, number: int) -> bytes:
        asked_s = time.monotonic()
        try:
            document = await self._supervisor.receipt(number)
        finally:
            await asyncio.sleep(RECEIPTS_EVERY_S)
        self._receipts.pop(number, None)
        self._receipts[number] = (asked_s, document)
        if len(self._receipts) > RECEIPTS_KEPT:
            del self._receipts[next(iter(self._receipts))]
        return document

    async def _keep_looking(self) -> None:
        while True:
            await self._looks.get()
            status = self._view.status
            is_busy = status is not None and bool(status.update or status.moving)
            await asyncio.sleep(BUSY_EVERY_S if is_busy else IDLE_EVERY_S)

    async def _look(self) -> None:
        view, now_s = self._view, time.monotonic()
        is_disk_due = self._is_looked_at and now_s - self._disk_seen_s >= DISK_EVERY_S
        self._is_looked_at = False
        try:
            status = await self._supervisor.status(disk=is_disk_due)
            figures = await self._supervisor.figures()
            if _newest(status.last) != _newest(view.updates):
                view.updates = (await self._supervisor.history(UPDATES_SHOWN)).receipts
            view.going_on = await self._supervisor.receipt(status.update.update) if status.update else b""
        except SILENT as error:
            view.silent_since_s = view.silent_since_s or time.time()
            view.why_silent = str(error) or "it takes too long"
            return
        if is_disk_due:
            self._disk_seen_s = now_s
        view.status, view.figures, view.silent_since_s = status, figures, 0.0
        view.samples.add(time.time(), status, figures)


def _newest(lines: tuple[ReceiptLine, ...]) -> tuple[int, str, str] | None:
    return (lines[0].number, lines[0].result, lines[0].target) if lines else None
