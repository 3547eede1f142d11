"""Steady requests a second, beside uvicorn: the same raw application, two workers each, driven by wrk.

Both servers are up at once and take turns of two seconds, so that whatever else this machine does hits both alike; the
ratio is the median over the turns. Rates of a shared machine move by half from minute to minute: the processor time a
request costs, all processes of the service together, moves least, so it stands beside them.

The access log is equal on both sides: off, or a line a request into a file; the lines are counted. Ours passes its
descriptors through (``log.output = "inherit"``), as uvicorn does. The third pair is our default, where the supervisor
reads the workers' lines, keeps the last ones and marks them with generation and slot; no request waits for it, so a
line that it has no time for is dropped, and the table shows how many are left.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from bench import peers, table

CONNECTIONS = 64
TURN_S = 2
TURNS = 9
"""The first warms up and does not count."""
COLUMNS = (
    "access log",
    "server",
    "requests/s",
    "best",
    "CPU µs a request",
    "lines a request",
    "ratio",
    "ratio of CPU",
)

MIDAIR_LOGGING = replace(peers.MIDAIR, command=peers.MIDAIR.command.replace("--no-access-log", "--access-log"))
UVICORN = replace(peers.UVICORN, command=peers.UVICORN.command + " --loop uvloop --http httptools")
UVICORN_LOGGING = replace(
    UVICORN, command=UVICORN.command.replace("--no-access-log", "").replace("--log-level warning", "--log-level info")
)
INHERIT = '[log]\noutput = "inherit"'
PAIRS = (
    ("off", peers.MIDAIR, UVICORN, ""),
    ("a line a request", MIDAIR_LOGGING, UVICORN_LOGGING, INHERIT),
    ("… read by the supervisor", MIDAIR_LOGGING, UVICORN_LOGGING, ""),
)


@dataclass(slots=True)
class Measured:
    """What one server did, a figure a turn."""

    server: peers.Running
    requests: int = 0
    """Answered over all turns."""
    lines: int = 0
    """Of the access log, for them."""
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


def main() -> None:
    tool = shutil.which("wrk")
    if tool is None:
        print("throughput: wrk is not installed (make system-parts); the project's own client, which is far slower,")
        print("drives instead: it is the bottleneck, and the ratio says next to nothing")
    rows: list[list[object]] = []
    for access_log, ours, theirs, settings in PAIRS:
        rows += _rows(access_log, *measure((ours, theirs), settings=settings))
    table.show(f"steady requests/s, raw ASGI, 2 workers, {CONNECTIONS} connections, medians", COLUMNS, rows)
    print(table.versions("midair", "uvicorn", "uvloop", "httptools"))


def measure(
    servers: Sequence[peers.Peer], app: str = "raw", *, settings: str = "", turns: int = TURNS
) -> list[Measured]:
    """Drive them, turn by turn. Raises RuntimeError if a request failed: then a rate means nothing.

    settings: lines for midair.toml, which the others do not read.
    """
    with ExitStack() as stack:
        measured = [Measured(stack.enter_context(peers.serve(each, app, settings=settings))) for each in servers]
        for turn in range(turns):
            for each in measured if turn % 2 else reversed(measured):
                before_s = each.server.cpu_s()
                requests, rate = _drive(each.server)
                each.requests += requests
                if turn:
                    each.rates.append(rate)
                    each.cpu_us.append((each.server.cpu_s() - before_s) / requests * 1e6)
        for each in measured:
            each.lines = each.server.log.read_bytes().count(b"GET / HTTP/1.1")
    return measured


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """Ours over theirs, turn by turn: the median."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def _rows(access_log: str, ours: Measured, theirs: Measured) -> Iterator[list[object]]:
    ratio_of_ours = median_ratio(ours.rates, theirs.rates), median_ratio(ours.cpu_us, theirs.cpu_us)
    for each, (ratio, cpu) in ((ours, ratio_of_ours), (theirs, (1.0, 1.0))):
        name = each.server.peer.name.partition(",")[0]
        median, median_cpu = statistics.median(each.rates), statistics.median(each.cpu_us)
        yield [access_log, name, median, max(each.rates), median_cpu, each.lines / each.requests, ratio, cpu]


def _drive(server: peers.Running) -> tuple[int, float]:
    """One turn: requests answered, and how many a second."""
    tool = shutil.which("wrk")
    if tool is None:
        return _drive_slowly(server)
    words = [tool, "-t1", f"-c{CONNECTIONS}", f"-d{TURN_S}s", server.url + "/"]
    said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=TURN_S + 30).stdout
    requests = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if requests is None or rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{server.peer.name}: requests failed\n{said}")
    return int(requests[1]), float(rate[1])


def _drive_slowly(server: peers.Running) -> tuple[int, float]:
    words = [sys.executable, "-m", "midair.testing.client", "--url", server.url, "--for", str(TURN_S), "--json"]
    words += ["--connections", str(CONNECTIONS)]
    said = json.loads(subprocess.run(words, check=True, capture_output=True, timeout=TURN_S + 30).stdout)
    return said["requests"], said["requests"] / TURN_S
