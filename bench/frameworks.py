"""Steady requests a second of what applications are made with: raw ASGI, FastAPI, Flask; uvicorn and granian beside us.

Two workers each, without access logs, driven by wrk as in ``throughput.py``, all servers of an application up at once and taking
turns. WSGI runs in ten threads a worker with us, in as many as each of the others has by default.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench import peers, table, throughput

COLUMNS = ("application", "server", "requests/s", "best", "CPU µs a request", "ratio", "ratio of CPU")
UVICORN_WSGI = replace(throughput.UVICORN, command=throughput.UVICORN.command + " --interface wsgi")
GRANIAN_WSGI = replace(peers.GRANIAN, command=peers.GRANIAN.command.replace("asgi", "wsgi"))
ASGI = (throughput.UVICORN, peers.MIDAIR, peers.GRANIAN)
WSGI = (UVICORN_WSGI, peers.MIDAIR, GRANIAN_WSGI)
APPLICATIONS = (("raw ASGI", "raw", ASGI), ("FastAPI", "fastapi_hello", ASGI), ("Flask", "flask_hello", WSGI))
"""What the application is called, its file, and who serves it; ratios are to the first."""


def main() -> None:
    rows: list[list[object]] = []
    for name, app, servers in APPLICATIONS:
        rows += _rows(name, throughput.measure(servers, app))
    table.show(f"steady requests/s, 2 workers, {throughput.CONNECTIONS} connections, medians", COLUMNS, rows)
    print(table.versions("midair", "uvicorn", "granian", "fastapi", "flask", "uvloop", "httptools"))


def _rows(application: str, measured: Sequence[throughput.Measured]) -> Iterator[list[object]]:
    base = measured[0]
    for each in measured:
        yield [
            application,
            each.server.peer.name.partition(",")[0],
            statistics.median(each.rates),
            max(each.rates),
            statistics.median(each.cpu_us),
            throughput.median_ratio(each.rates, base.rates),
            throughput.median_ratio(each.cpu_us, base.cpu_us),
        ]
