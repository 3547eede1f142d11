"""Memory of four workers of a FastAPI and pandas application: forked from one import, beside one import each.

Proportional set size (PSS) of all processes of the service, supervisor and zygote included; ours also just after an
update, when the version before is kept warm. Needs pandas: ``make bench-memory`` makes an environment that has it.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time

from bench import peers, table

WORKERS = 4
REQUESTS = 2000
COLUMNS = ("server", "processes' PSS at start MiB", f"after {REQUESTS} requests MiB", "after an update MiB", "ratio")
MIB = 1024 * 1024


def main() -> None:
    if importlib.util.find_spec("pandas") is None:
        print("memory: pandas is not installed here; run `make bench-memory`", file=sys.stderr)
        return
    rows: list[list[object]] = [_row(peer) for peer in (peers.MIDAIR, peers.UVICORN)]
    after = [row[2] for row in rows]
    assert all(isinstance(figure, float) for figure in after)
    uvicorns = after[1]
    assert isinstance(uvicorns, float)
    for row, figure in zip(rows, after, strict=True):
        assert isinstance(figure, float)
        row.append(figure / uvicorns)
    table.show(f"memory, FastAPI and pandas, {WORKERS} workers", COLUMNS, rows)
    print(table.versions("midair", "uvicorn", "fastapi", "pandas"))


def _row(peer: peers.Peer) -> list[object]:
    with peers.serve(peer, "pandas_shop", workers=WORKERS, settings='[bake]\nfor = "1s"') as server:
        _wait_for_workers(server)
        start = server.pss_bytes() / MIB
        _ask(server)
        after = server.pss_bytes() / MIB
        if peer is not peers.MIDAIR:
            return [peer.name, start, after, "–"]
        server.write("2")
        server.reload()
        _ask(server)
        return [peer.name, start, after, server.pss_bytes() / MIB]


def _ask(server: peers.Running) -> None:
    for number in range(REQUESTS):
        server.ask(f"/?customer={number % 5000}")


def _wait_for_workers(server: peers.Running) -> None:
    """Until every worker has answered once."""
    seen: set[int] = set()
    deadline_s = time.monotonic() + 60
    while len(seen) < WORKERS and time.monotonic() < deadline_s:
        seen.add(json.loads(server.ask())["pid"])
    if len(seen) < WORKERS:
        raise RuntimeError(f"{server.peer.name}: only {len(seen)} of {WORKERS} workers answered within 60 s")
