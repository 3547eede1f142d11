"""Receipts: what every update was, phase by phase, and how it ended. Kept in memory, written out as they change.

One JSON file an update in ``STATE/receipts``. A disk that is full or read-only stops no update: the receipt stays in memory,
which is said once, and is written when the disk takes it. At most ``receipts.keep`` files or ``receipts.max_size``; the oldest go
first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import msgspec

from midair.config.schema import Receipts as Bounds
from midair.control import words
from midair.core.effects import Closed, Entered, Opened
from midair.core.ids import GenerationId
from midair.errors import DONE, FAILED, REFUSED, Fault
from midair.supervisor.loop import Loop, Timer
from midair.supervisor.offload import Offload
from midair.traces.context import Trace

FORMAT = 1
NO_TRACE = Trace()
IN_MEMORY = 200
AGAIN_S = 30.0
"""Between two tries to write what a full disk did not take."""
LINES_KEPT = 40
"""Of the application's own last lines, when an update failed."""


class PhaseTime(msgspec.Struct, kw_only=True):
    phase: str
    at_s: float
    """Seconds since the update was asked for."""
    took_s: float | None = None


class StepTime(msgspec.Struct, kw_only=True):
    """A step of the deployment that an update was a part of."""

    step: str
    at_s: float
    """Seconds since the update was asked for: before it, so less than 0."""
    took_s: float


class Event(msgspec.Struct, kw_only=True):
    """Something that happened in the update: a probe's answer, a hook's end, a worker's death."""

    at_s: float
    event: str
    fields: dict[str, str | int | float | bool | None] = {}


class Receipt(msgspec.Struct, kw_only=True):
    """One update. Times are seconds since ``began``, which is seconds since the epoch."""

    format: int = FORMAT
    number: int
    generation: int
    by: str
    reason: str = ""
    began: float
    began_s: float
    """The same moment on the machine's monotonic clock."""
    version: str = ""
    fingerprint: str = ""
    previous_generation: int = 0
    previous_version: str = ""
    steps: list[StepTime] = []
    """What `midair deploy` had done before it asked."""
    phases: list[PhaseTime] = []
    events: list[Event] = []
    result: str = ""
    """Empty while it goes on."""
    exit_code: int = DONE
    took_s: float = 0.0
    note: str = ""
    fault: Fault | None = None
    last_lines: list[str] = []
    serving_generation: int = 0
    serving_version: str = ""
    warnings: list[str] = []
    books: dict[str, dict[str, int]] = {}
    """Of the generation that this update replaced, and of a candidate that was given up: what became of connections."""
    cut: list[str] = []
    """Requests that were ended at a deadline."""
    gone: dict[str, float] = {}
    """By generation, those whose end belongs to this update: when the last worker had left, in seconds since ``began``."""
    trace: Trace = NO_TRACE
    """The span that this update is, if there are traces."""


EVENTS_MAX = 200


class Ledger:
    """All receipts."""

    def __init__(
        self,
        folder: str,
        bounds: Bounds,
        loop: Loop,
        offload: Offload,
        say: Callable[[str, Mapping[str, str | int | float | bool | None]], None],
    ) -> None:
        self.bounds = bounds
        """What is kept on disk, from the next one that is written."""
        self._folder = folder
        self._loop = loop
        self._clock = loop.clock
        self._offload = offload
        self._say = say
        self._receipts: dict[int, Receipt] = {}
        self._is_writing = False
        self._batch: dict[int, Receipt] = {}
        """What is being written."""
        self._dirty: dict[int, Receipt] = {}
        self._again: Timer | None = None
        self.trouble = ""
        """Why receipts are in memory alone; empty: they are on disk, or on their way."""
        self.on_written: Callable[[Receipt], None] = lambda receipt: None
        """Takes a receipt that has changed and is written out."""

    # --- what the update machine says -----------------------------------------------------------------------------

    def opened(self, effect: Opened, previous_version: str, trace: Trace = NO_TRACE) -> Receipt:
        receipt = Receipt(
            number=effect.update,
            generation=effect.generation,
            by=effect.by,
            reason=effect.reason,
            began=self._clock.wall_s(),
            began_s=self._clock.now_s(),
            previous_generation=effect.previous or 0,
            previous_version=previous_version,
            trace=trace,
        )
        self._receipts[effect.update] = receipt
        while len(self._receipts) > IN_MEMORY:
            del self._receipts[next(iter(self._receipts))]
        return receipt

    def entered(self, effect: Entered) -> Receipt | None:
        receipt = self._receipts.get(effect.update)
        if receipt is None:
            return None
        at_s = self._clock.now_s() - receipt.began_s
        if receipt.phases:
            receipt.phases[-1].took_s = at_s - receipt.phases[-1].at_s
        receipt.phases.append(PhaseTime(phase=effect.phase, at_s=at_s))
        receipt.generation = effect.generation
        receipt.version = effect.version or receipt.version
        return receipt

    def closed(self, effect: Closed, serving_version: str, last_lines: list[str]) -> Receipt | None:
        receipt = self._receipts.get(effect.update)
        if receipt is None:
            return None
        receipt.took_s = self._clock.now_s() - receipt.began_s
        if receipt.phases and receipt.phases[-1].took_s is None:
            receipt.phases[-1].took_s = receipt.took_s - receipt.phases[-1].at_s
        receipt.version = effect.version or receipt.version
        receipt.result, receipt.note, receipt.fault = effect.result, effect.note, effect.fault
        receipt.exit_code = _exit_code(effect)
        receipt.serving_generation, receipt.serving_version = effect.serving or 0, serving_version
        receipt.last_lines = last_lines[-LINES_KEPT:]
        self.write(receipt)
        return receipt

    def happened(
        self, generation: int, event: str, fields: dict[str, str | int | float | bool | None]
    ) -> Receipt | None:
        """Add to the receipt of the update that brings this generation, if it goes on."""
        receipt = self.of_generation(GenerationId(generation))
        if receipt and not receipt.result and event == "probed" and _is_repeated(receipt.events, fields):
            return receipt
        if receipt and not receipt.result and len(receipt.events) < EVENTS_MAX:
            at_s = self._clock.now_s() - receipt.began_s
            receipt.events.append(Event(at_s=at_s, event=event, fields=fields))
        return receipt

    def happened_after(
        self, generation: int, event: str, fields: dict[str, str | int | float | bool | None]
    ) -> Receipt | None:
        """Add to a receipt that is closed already, and write it again: what follows a commit."""
        receipt = self.of_generation(GenerationId(generation))
        if receipt and receipt.result and len(receipt.events) < EVENTS_MAX:
            at_s = self._clock.now_s() - receipt.began_s
            receipt.events.append(Event(at_s=at_s, event=event, fields=fields))
            self.write(receipt)
        return receipt

    def add(self, receipt: Receipt) -> None:
        """One that the update machine did not open: an upgrade of midair itself."""
        self._receipts[receipt.number] = receipt

    def export(self) -> list[Receipt]:
        return list(self._receipts.values())

    def adopt(self, receipts: list[Receipt]) -> None:
        """What ``export`` gave in the image before this one."""
        self._receipts = {receipt.number: receipt for receipt in receipts}

    # --- looking up -----------------------------------------------------------------------------------------------

    def of_generation(self, generation: GenerationId) -> Receipt | None:
        return next((r for r in reversed(self._receipts.values()) if r.generation == generation), None)

    def get(self, number: int) -> Receipt | None:
        """By number; 0 is the latest. None: not in memory (``read`` looks on disk)."""
        if number == 0:
            return next(reversed(self._receipts.values()), None)
        return self._receipts.get(number)

    def latest(self, limit: int) -> list[Receipt]:
        """Newest first."""
        return list(reversed(self._receipts.values()))[:limit]

    def line(self, receipt: Receipt) -> words.ReceiptLine:
        return line_of(receipt, self._clock.now_s())

    # --- disk -----------------------------------------------------------------------------------------------------

    def restore(self) -> int:
        """Read back the newest receipts of an earlier life of this service; return the highest number (0: none).

        Blocks: for the start, before anybody is served. What cannot be read is passed over.
        """
        numbers = [_number(path) for path in _files(self._folder)]
        self._receipts = {receipt.number: receipt for receipt in read_receipts(self._folder)}
        return max(numbers, default=0)

    def unwritten(self) -> list[Receipt]:
        """Those that would be lost with this process, oldest first: of updates that go on, and what is on its way to the disk."""
        on_the_way = self._dirty.keys() | self._batch.keys()
        return [r for r in self._receipts.values() if not r.result or r.number in on_the_way]

    def take_back(self, receipts: list[Receipt]) -> None:
        """What ``unwritten`` gave in a process that was killed. An update that went on has ended with it."""
        for receipt in receipts:
            _end_unfinished(receipt)
            self._receipts[receipt.number] = receipt
            self.write(receipt)
        self._receipts = dict(sorted(self._receipts.items()))

    def write(self, receipt: Receipt) -> None:
        """Write it out soon. One writer at a time; a receipt that changes meanwhile is written again."""
        self._dirty[receipt.number] = receipt
        self._write_next()
        self.on_written(receipt)

    def _write_next(self) -> None:
        if self._is_writing or not self._dirty:
            return
        self._batch, self._dirty = self._dirty, {}
        self._is_writing = True
        documents = {number: msgspec.json.format(msgspec.json.encode(r)) for number, r in self._batch.items()}
        folder, bounds = self._folder, self.bounds
        self._offload.begin("writing the receipt", lambda: _store(folder, documents, bounds), int, self._written)

    def _written(self, outcome: int | Fault) -> None:
        batch, self._is_writing, self._batch = self._batch, False, {}
        if not isinstance(outcome, Fault):
            if self.trouble:
                self._say("receipts_written", {"receipts": outcome})
            self.trouble = ""
            self._write_next()
            return
        if not self.trouble:
            self._say("receipt_unwritten", {"error": outcome.message})
        self.trouble = outcome.message
        # With the next receipt it is tried again, too; what memory has forgotten by then is lost.
        waiting = batch | self._dirty
        self._dirty = {number: receipt for number, receipt in waiting.items() if number in self._receipts}
        if self._again:
            self._again.cancel()
        self._again = self._loop.call_later(AGAIN_S, self._write_next)


def line_of(receipt: Receipt, now_s: float) -> words.ReceiptLine:
    """now_s: on the monotonic clock, for an update that goes on."""
    return words.ReceiptLine(
        number=receipt.number,
        time_s=receipt.began,
        result=receipt.result or "running",
        source=receipt.previous_version,
        target=receipt.version,
        generation=receipt.generation,
        duration_s=receipt.took_s or now_s - receipt.began_s,
        by=receipt.by,
        reason=receipt.reason,
        fault=receipt.fault.message if receipt.fault else "",
    )


def read_receipts(folder: str) -> list[Receipt]:
    """The newest that an earlier life of the service has left in its folder, oldest first. What cannot be read is passed over."""
    found = []
    for path in _files(folder)[-IN_MEMORY:]:
        try:
            with open(path, "rb") as file:
                receipt = msgspec.json.decode(file.read(), type=Receipt)
        except (OSError, msgspec.MsgspecError):
            continue
        _end_unfinished(receipt)
        found.append(receipt)
    return found


def _number(path: str) -> int:
    return int(os.path.basename(path).partition(".")[0])


def _is_repeated(found: list[Event], fields: dict[str, str | int | float | bool | None]) -> bool:
    """Whether a worker has answered just so since the last thing that was no probe: then that is counted there. A version that
    does not become ready is asked ten times a second, and a receipt is read by people."""
    for each in reversed(found):
        if each.event != "probed":
            return False
        if {**each.fields, "times": 0} == {**fields, "times": 0}:
            each.fields["times"] = int(each.fields.get("times") or 1) + 1
            return True
    return False


def _end_unfinished(receipt: Receipt) -> None:
    if not receipt.result:
        receipt.result, receipt.note = "unknown", "the supervisor ended during this update"


def _exit_code(effect: Closed) -> int:
    if effect.result == "committed":
        return DONE
    if effect.result == "superseded" and effect.fault is None:
        return DONE  # It served without a fault until a newer one took over.
    return REFUSED if effect.serving else FAILED  # A stand-in serves nobody's version.


def _files(folder: str) -> list[str]:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json") and name[0].isdigit())
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names]


def _store(folder: str, documents: dict[int, bytes], receipts: Bounds) -> int:
    """In a child: write each to a new file, sync, rename; drop the oldest beyond the bounds."""
    from midair.errors import WorldError

    try:
        os.makedirs(folder, mode=0o750, exist_ok=True)
        for number, document in documents.items():
            path = os.path.join(folder, f"{number:08d}.json")
            with open(path + ".new", "wb") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            os.rename(path + ".new", path)
        paths = _files(folder)
        total = sum(os.path.getsize(path) for path in paths)
        while len(paths) > receipts.keep or total > receipts.max_size_bytes:
            total -= os.path.getsize(paths[0])
            os.unlink(paths.pop(0))
    except OSError as exc:
        raise WorldError(f"{exc.strerror}: {exc.filename or folder}") from exc
    return len(documents)
