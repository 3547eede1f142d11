"""WebSocket messages a second, sent and sent back, beside uvicorn, granian and hypercorn: one raw application, two workers each.

All servers are up at once and take turns of a second and a half, so that whatever else this machine does hits all alike;
figures are medians over the turns. The processor time that a message costs, all processes of the service together, moves
least, so it stands beside the rate. The load (``bench/load.py``) sends messages made beforehand, several in flight a
connection, and counts answers without reading them; what a message costs it stands in the table as well, and says whether it
may have been the bottleneck. uvicorn's default is its ``websockets-sansio``; ``websockets`` is its older one.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from bench import peers, table
from bench.throughput import median_ratio

CONNECTIONS, IN_FLIGHT = 32, 8
TURN_S = 1.5
TURNS = 6
"""The first warms up and does not count."""
SIZES = (32, 4096)
COLUMNS = (
    "bytes",
    "compressed",
    "server",
    "messages/s",
    "best",
    "CPU µs a message",
    "client's µs",
    "ratio",
    "ratio of CPU",
)

UVICORN = replace(peers.UVICORN, name="uvicorn", command=peers.UVICORN.command + " --loop uvloop --http httptools")
HYPERCORN = peers.Peer(
    "hypercorn",
    "hypercorn",
    "-m hypercorn app:app -k uvloop -b 127.0.0.1:{port} -w {workers} --log-level critical",
    "",
)
SERVERS = (
    peers.MIDAIR,
    UVICORN,
    replace(UVICORN, name="uvicorn --ws websockets", command=UVICORN.command + " --ws websockets"),
    replace(UVICORN, name="uvicorn --ws wsproto", command=UVICORN.command + " --ws wsproto"),
    replace(peers.GRANIAN, name="granian"),
    HYPERCORN,
)


@dataclass(slots=True)
class Measured:
    """What one server did, a figure a turn; without figures it does not compress."""

    server: peers.Running
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    client_us: list[float] = field(default_factory=list)


def main() -> None:
    rows: list[list[object]] = []
    for is_compressed in (False, True):
        for size in SIZES:
            rows += _rows(size, is_compressed, measure(SERVERS, size, is_compressed=is_compressed))
    title = f"WebSocket echo, 2 workers, {CONNECTIONS} connections, {IN_FLIGHT} messages in flight on each, medians"
    table.show(title, COLUMNS, rows)
    print(table.versions("midair", "uvicorn", "websockets", "wsproto", "granian", "hypercorn", "uvloop"))


def measure(
    servers: tuple[peers.Peer, ...], size: int, *, is_compressed: bool, turns: int = TURNS, turn_s: float = TURN_S
) -> list[Measured]:
    """Drive them, turn by turn. Raises CalledProcessError if an answer did not come, or was none."""
    with ExitStack() as stack:
        all_of_them = [Measured(stack.enter_context(peers.serve(server, "echo"))) for server in servers]
        for turn in range(turns):
            for each in all_of_them if turn % 2 else reversed(all_of_them):
                if not (is_compressed and each.server.peer.package == "granian"):  # has no permessage-deflate
                    _drive(each, size, is_compressed, turn_s, counts=turn > 0)
    return all_of_them


def _drive(measured: Measured, size: int, is_compressed: bool, turn_s: float, *, counts: bool) -> None:
    server = measured.server
    words = [sys.executable, "-m", "bench.load", *map(str, (server.port, CONNECTIONS, IN_FLIGHT, size, turn_s))]
    before_s = server.cpu_s()
    said = subprocess.run(
        words + ["--deflate"] * is_compressed, check=True, stdout=subprocess.PIPE, timeout=turn_s + 60
    ).stdout
    cpu_s = server.cpu_s() - before_s
    told = json.loads(said)
    if counts:
        measured.rates.append(told["answered"] / told["seconds"])
        measured.cpu_us.append(cpu_s / told["answered"] * 1e6)
        measured.client_us.append(told["client_cpu_s"] / told["answered"] * 1e6)


def _rows(size: int, is_compressed: bool, measured: list[Measured]) -> Iterator[list[object]]:
    """A row a server; ratios are to uvicorn's default."""
    base = next(each for each in measured if each.server.peer is UVICORN)
    for each in measured:
        name = each.server.peer.name
        if not each.rates:
            yield [size, "yes", f"{name}: does not compress", *[""] * 6]
            continue
        yield [
            size,
            "yes" if is_compressed else "no",
            name,
            statistics.median(each.rates),
            max(each.rates),
            statistics.median(each.cpu_us),
            statistics.median(each.client_us),
            median_ratio(each.rates, base.rates),
            median_ratio(each.cpu_us, base.cpu_us),
        ]
