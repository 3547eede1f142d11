"""What a worker counts, in one shared page: one writer, many readers, and it outlives the writer.

A page is a memfd of 8-byte cells. The supervisor makes it, the worker maps it and is its only writer, the supervisor
maps it too and reads it at any time: after ``kill -9`` of the worker, across its own re-execution. An aligned 8-byte
store is atomic on every machine that we run on, so a reader sees the old or the new figure of a cell, never half of
it. Two cells may be a moment apart; books are checked when the writer is gone.

Every figure is written where it happens, before the client can see what it counts. Gathering figures in plain integers
and writing them out once a turn of the event loop was tried: it saves 0.2 of 12 microseconds a request when sixteen
share a turn, costs 0.4 when one has it alone, and leaves the page behind when the worker is killed.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left
from enum import IntEnum

LATENCY_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PAGE_BYTES = 4096


class Cell(IntEnum):
    """The figures, by place. Places are never reused: a supervisor may read the page of an older worker."""

    FORMAT = 0
    BEAT_NS = 1
    """Monotonic clock of the worker's last event-loop beat."""
    ACCEPTED = 2
    ADOPTED = 3
    CLOSED_BY_CLIENT = 4
    CLOSED_IDLE = 5
    """By us: the keep-alive time-out."""
    CLOSED_AFTER_RESPONSE = 6
    """By us: the response said ``Connection: close`` (or HTTP/1.0)."""
    CLOSED_DRAINED = 7
    """By us: told to go because this generation retires."""
    CLOSED_REFUSED = 8
    """By us: malformed, too large, too slow, too many."""
    CLOSED_CUT = 9
    """By us: still busy at the drain deadline."""
    CLOSED_ERROR = 10
    """By us: the application broke off its response, or the socket failed."""
    HANDED_OVER = 11
    OPEN = 12
    REQUESTS = 13
    """Responses begun by the application, 5xx that we sent in its place included. Probes are not counted."""
    RESPONSES_5XX = 14
    APPLICATION_ERRORS = 15
    """Exceptions that left the application (each also a 500 if the response had not begun)."""
    ACTIVE = 16
    """Requests in flight."""
    BYTES_IN = 17
    BYTES_OUT = 18
    WEBSOCKETS = 19
    """WebSockets open now."""
    REQUESTS_CUT = 20
    """Requests in flight that were ended at a deadline."""
    LATENCY_SUM_US = 21
    LATENCY_FIRST = 22
    """One cell a bucket of LATENCY_BOUNDS_S (not cumulative), then one for everything above."""
    RESPONSES_ADOPTED = 36
    """Responses that another worker had begun. REQUESTS counts them there."""
    CLOSED_HANDSHAKE = 40
    """By either side: there was no TLS handshake, or none in time."""
    TLS_NOT_AFTER_S = 41
    """Seconds since the epoch when the certificate that the worker shows ends."""
    RESPONSES_1XX = 42
    """WebSockets that were opened."""
    RESPONSES_3XX = 43
    RESPONSES_4XX = 44
    """What we refuse without asking the application is not among them, but in CLOSED_REFUSED."""
    STREAMS = 45
    """Responses under way of which a part was sent and more is to come."""
    SPANS_EXPORTED = 46
    """Spans of requests that a collector has taken."""
    SPANS_DROPPED = 47
    """And those that it never got."""


def class_of(status: int) -> Cell:
    """Where a response is counted besides, by its status; never asked for the 2xx, which are all that is left."""
    if status >= 500:
        return Cell.RESPONSES_5XX
    if status >= 400:
        return Cell.RESPONSES_4XX
    return Cell.RESPONSES_3XX if status >= 300 else Cell.RESPONSES_1XX


FORMAT = 1
NOT_COUNTS = frozenset({Cell.FORMAT, Cell.BEAT_NS, Cell.LATENCY_FIRST, Cell.TLS_NOT_AFTER_S})
"""Cells that cannot be added up over workers."""
_LATENCY_FIRST, _LATENCY_SUM_US = int(Cell.LATENCY_FIRST), int(Cell.LATENCY_SUM_US)


class Page:
    """One worker's figures. ``cells[Cell.X]`` reads and writes; only the worker writes."""

    __slots__ = ("_map", "cells", "fd")

    def __init__(self, fd: int) -> None:
        """Map an existing page. The descriptor stays the caller's to close; the mapping lives on without it."""
        self.fd = fd
        self._map = mmap.mmap(fd, PAGE_BYTES)
        self.cells = memoryview(self._map).cast("Q")

    @classmethod
    def create(cls, name: str) -> Page:
        fd = os.memfd_create(f"midair:{name}", os.MFD_CLOEXEC)
        os.ftruncate(fd, PAGE_BYTES)
        page = cls(fd)
        page.cells[Cell.FORMAT] = FORMAT
        return page

    def observe_latency(self, seconds: float) -> None:
        """Count one answer: the hottest line of the page, so with plain numbers for places."""
        cells = self.cells
        cells[_LATENCY_FIRST + bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        cells[_LATENCY_SUM_US] += int(seconds * 1e6)

    def latency_buckets(self) -> list[int]:
        """Observations a bucket, not cumulative; one longer than LATENCY_BOUNDS_S."""
        first = Cell.LATENCY_FIRST
        return list(self.cells[first : first + len(LATENCY_BOUNDS_S) + 1])

    def snapshot(self) -> dict[str, int]:
        """Every figure that can be added up, by its lower-case name."""
        return {cell.name.lower(): self.cells[cell] for cell in Cell if cell not in NOT_COUNTS}

    def close(self) -> None:
        self.cells.release()
        self._map.close()
