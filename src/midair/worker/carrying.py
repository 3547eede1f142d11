"""A worker's part in the handing over of its slot's state: gives it away when asked, takes it in, says how that went.

    ExportState + memfd -> (requests in flight end, or their time is over) -> StateExported
    ImportState + memfds -> StateImported

Both run between two callbacks of the event loop: nothing else happens while the application's functions do.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from midair import carried
from midair.errors import ApplicationError, Fault
from midair.sockets import words
from midair.worker import parcels
from midair.worker.server import Server

if TYPE_CHECKING:
    from midair.core.events import Carries

LOOK_EVERY_S = 0.002
"""While requests in flight are waited for: a fraction of what the pause costs anyhow."""


class Carrying:
    """All that is carried in this process. Methods are for the thread of the event loop."""

    def __init__(self, say: Callable[[words.FromHost], None]) -> None:
        self._say = say
        self._waiting: asyncio.TimerHandle | None = None
        self._last: tuple[words.ExportState, int] | None = None
        """A state of ours goes on beside the one given away: what it has become is written here at the end."""

    def begin(self) -> Carries:
        """The application has started: what it carries (``parcels.carries``). Raises ApplicationError."""
        items = carried.close()
        parcels.begin(items)
        return parcels.carries(items)

    def export(self, server: Server, word: words.ExportState, fds: Sequence[int]) -> None:
        """Give the state away once no request is under way, at the latest after ``word.grace_s``. Takes the descriptors."""
        self.call_off()
        out, *last = fds
        if last:
            self._last = (word, last[0])
        began_s = time.monotonic()

        def look() -> None:
            self._waiting = None
            waited_s = time.monotonic() - began_s
            if server.requests_running() and waited_s < word.grace_s:
                self._waiting = server.loop.call_later(LOOK_EVERY_S, look)
                return
            running = 0 if word.is_trial else server.requests_running()
            self._export(word, out, words.StateExported(exchange=word.exchange, running=running, waited_s=waited_s))

        look()

    def _export(self, word: words.ExportState, fd: int, answer: words.StateExported) -> None:
        began_s = time.monotonic()
        try:
            items = carried.items()
            data = parcels.pack(items, word.max_bytes)
            parcels.write(fd, data)
            names = tuple(item.name for item in items)
            seconds = time.monotonic() - began_s
            answer = msgspec.structs.replace(
                answer, size_bytes=len(data), names=names[: words.NAMES_MAX], seconds=seconds
            )
        except (ApplicationError, OSError) as exc:
            answer = msgspec.structs.replace(answer, fault=_fault(exc))
        finally:
            os.close(fd)
        self._say(answer)

    def call_off(self) -> None:
        """The slot stays ours, or another exchange begins."""
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None
        if self._last:
            os.close(self._last[1])
            self._last = None

    def leave(self) -> None:
        """The last connection is gone: say what the state has become beside the one that was given away."""
        if self._last:
            (word, fd), self._last = self._last, None
            self._export(word, fd, words.StateExported(exchange=word.exchange, is_last=True))

    def take_in(self, word: words.ImportState, fds: Sequence[int]) -> None:
        """Do with the parcels what the word says. The descriptors stay the caller's."""
        began_s = time.monotonic()
        dropped: list[str] = []
        fault = None
        try:
            dropped = self._take_in(word, [parcels.read(fd) for fd in fds])
        except (ApplicationError, OSError) as exc:
            fault = _fault(exc)
        self._say(
            words.StateImported(
                exchange=word.exchange,
                seconds=time.monotonic() - began_s,
                dropped=tuple(dropped[: words.NAMES_MAX]),
                fault=fault,
            )
        )

    def _take_in(self, word: words.ImportState, found: list[parcels.Parcel]) -> list[str]:
        items = carried.items()
        before = found.pop() if word.has_before else None
        match word.how:
            case "trial":
                try:
                    return parcels.take(items, found, is_strict=True)
                finally:
                    parcels.begin_anew(items)
            case "take":
                return parcels.take(items, found, is_strict=True)
            case "join":
                return parcels.join(items, found)
            case "back":
                return parcels.take_back(items, found, before)
            case "merge":
                assert before is not None
                parcels.merge(items, found[0], before)
                return []


def _fault(exc: ApplicationError | OSError) -> Fault:
    if isinstance(exc, OSError):
        return Fault("carry-no-room", f"the state cannot be written: {exc.strerror}")
    fault = exc.fault()
    return Fault(fault.code, fault.message[: words.MESSAGE_CHARS], fault.hint, words.shorten(fault.detail))
