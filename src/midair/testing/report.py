"""What a strict client saw: every answer in exactly one class, and nothing thrown away.

The books of a run: ``requests`` = the sum of all classes, ``failed`` = all but ``ok``. Whoever compares two servers
compares these; nothing here forgives, rounds or retries.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

FAILURES_KEPT = 50
"""Failures described one by one; the rest is only counted. A service that is down answers thousands of times."""


class Answer(StrEnum):
    """What became of one request. Closed: there is no "other"."""

    OK = "ok"
    REFUSED = "refused"
    """Nobody listens: ECONNREFUSED, or no such Unix socket."""
    RESET = "reset"
    """The connection was torn down (RST), at any moment: also between two requests."""
    EOF_BEFORE = "eof_before"
    """Closed after the request was written and before the first byte of a response."""
    EOF_INSIDE = "eof_inside"
    """Closed inside a response."""
    SERVER_ERROR = "5xx"
    OTHER_STATUS = "other_status"
    """A whole response that is neither 2xx nor 5xx."""
    WRONG_BODY = "wrong_body"
    """A response that is not what was asked for: a wrong or unnamed body, bytes that are no HTTP, bytes unasked for."""
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Failure:
    """One request that did not get its answer. ``at_s`` is seconds since the run began."""

    at_s: float
    answer: Answer
    path: str
    detail: str
    version: str = ""


@dataclass(slots=True)
class Report:
    """The running count. Written by one client on its event loop; may be read from another thread at any time."""

    clock: Callable[[], float] = time.perf_counter
    counts: dict[Answer, int] = field(default_factory=lambda: dict.fromkeys(Answer, 0))
    versions: dict[str, int] = field(default_factory=dict)
    """ok answers a version, in the order in which the versions were first seen."""
    first_seen_s: dict[str, float] = field(default_factory=dict)
    """When each version first gave a right answer, in seconds since the run began."""
    failed_versions: dict[str, int] = field(default_factory=dict)
    """Failed answers by the version that gave them; ``""`` where no version was named."""
    failures: list[Failure] = field(default_factory=list)
    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    connections: int = 0
    """Connections opened."""
    reconnects: int = 0
    """Connections that the service closed in order between two requests, seen before anything was written."""
    planned_reconnects: int = 0
    """Connections that ended with ``Connection: close`` on a whole response."""
    events: int = 0
    """Events received on event streams."""
    streams_open: int = 0
    """Event streams open now that have had their first event."""
    began_s: float = 0.0
    ended_s: float = 0.0
    _last_ok_s: float = 0.0
    _gap_s: float = 0.0

    def __post_init__(self) -> None:
        self.began_s = self._last_ok_s = self.clock()

    def note_ok(self, version: str, latency_s: float | None) -> None:
        """Count a right answer. ``latency_s`` is None for an event stream, whose length says nothing."""
        self.counts[Answer.OK] += 1
        if version:
            self.versions[version] = self.versions.get(version, 0) + 1
            self.first_seen_s.setdefault(version, self.clock() - self.began_s)
        if latency_s is not None:
            self.latencies_s.append(latency_s)
        now_s = self.clock()
        self._gap_s = max(self._gap_s, now_s - self._last_ok_s)
        self._last_ok_s = now_s

    def note_failure(self, answer: Answer, path: str, detail: str, version: str = "") -> None:
        self.counts[answer] += 1
        self.failed_versions[version] = self.failed_versions.get(version, 0) + 1
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append(Failure(self.clock() - self.began_s, answer, path, detail, version))

    def finish(self) -> None:
        """End the run: the time since the last answer counts as a gap too."""
        self.ended_s = self.clock()
        self._gap_s = max(self._gap_s, self.ended_s - self._last_ok_s)

    @property
    def ok(self) -> int:
        return self.counts[Answer.OK]

    @property
    def requests(self) -> int:
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        return self.requests - self.ok

    @property
    def elapsed_s(self) -> float:
        return (self.ended_s or self.clock()) - self.began_s

    @property
    def longest_gap_s(self) -> float:
        """Longest time without a right answer on any connection, start and end of the run included."""
        return self._gap_s if self.ended_s else max(self._gap_s, self.clock() - self._last_ok_s)

    def percentile_s(self, percent: float) -> float:
        """The latency that ``percent`` of the right answers did not exceed (nearest rank); 0 without answers."""
        ranked = sorted(self.latencies_s)
        if not ranked:
            return 0.0
        return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]

    def as_dict(self) -> dict[str, object]:
        """Plain data for JSON. Times are seconds."""
        return {
            "requests": self.requests,
            "failed": self.failed,
            **{answer.value: count for answer, count in self.counts.items()},
            "versions": dict(self.versions),
            "first_seen_s": {version: round(at_s, 3) for version, at_s in dict(self.first_seen_s).items()},
            "failed_versions": dict(self.failed_versions),
            "connections": self.connections,
            "reconnects": self.reconnects,
            "planned_reconnects": self.planned_reconnects,
            "events": self.events,
            "elapsed_s": round(self.elapsed_s, 3),
            "latency_p50_s": round(self.percentile_s(50), 6),
            "latency_p99_s": round(self.percentile_s(99), 6),
            "latency_max_s": round(self.percentile_s(100), 6),
            "longest_gap_s": round(self.longest_gap_s, 4),
            "failures": [
                {"at_s": round(f.at_s, 3), "answer": f.answer.value, "path": f.path, "detail": f.detail}
                | ({"version": f.version} if f.version else {})
                for f in list(self.failures)
            ],
        }

    def summary(self) -> str:
        """A few lines for a person; the first failures by name."""
        kinds = ", ".join(f"{count} {answer.value}" for answer, count in self.counts.items() if count) or "none"
        seen = ", ".join(f"{version} ({count})" for version, count in dict(self.versions).items()) or "none named"
        lines = [
            f"{self.requests} requests in {self.elapsed_s:.1f} s, {self.failed} failed ({kinds})",
            f"versions: {seen}",
            (
                f"latency p50 {self.percentile_s(50) * 1e3:.1f} ms, p99 {self.percentile_s(99) * 1e3:.1f} ms, "
                f"max {self.percentile_s(100) * 1e3:.1f} ms; longest gap {self.longest_gap_s * 1e3:.0f} ms; "
                f"{self.connections} connections, {self.reconnects} reconnects, {self.planned_reconnects} planned"
            ),
        ]
        lines += [f"  at {f.at_s:.3f} s {f.answer.value} {f.path} {f.version} {f.detail}" for f in self.failures[:10]]
        return "\n".join(lines)
