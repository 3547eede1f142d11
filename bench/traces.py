"""What spans of requests cost: the same application without traces, with each hundredth request recorded, and with each.

As in ``throughput``, the services are up at once and take turns. The collector is a process of its own that decodes nothing; its
work is not in the processor time of a request, which is that of the service's processes alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process

from bench import peers, table
from bench.throughput import CONNECTIONS, Measured, measure, median_ratio

SAMPLES = ("off", "1%", "100%")
COLUMNS = ("recorded", "requests/s", "CPU µs a request", "ratio", "ratio of CPU")


class _Taking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A worker that ends with its bench leaves its connection behind."""


@contextmanager
def collector() -> Iterator[str]:
    """A collector that takes everything; its address."""
    server = _Server(("127.0.0.1", 0), _Taking)
    process = Process(target=server.serve_forever, daemon=True)
    process.start()
    server.socket.close()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        process.terminate()
        process.join()


def main() -> None:
    with collector() as url:
        asked = f" --set traces.endpoint={url} --set traces.requests=true --set traces.sample="
        traced = [replace(peers.MIDAIR, command=peers.MIDAIR.command + asked + sample) for sample in SAMPLES[1:]]
        measured = measure((peers.MIDAIR, *traced))
    rows = [_row(sample, each, measured[0]) for sample, each in zip(SAMPLES, measured, strict=True)]
    table.show(f"spans of requests, raw ASGI, 2 workers, {CONNECTIONS} connections, medians", COLUMNS, rows)
    print(table.versions("midair", "opentelemetry-sdk", "uvloop", "httptools"))


def _row(sample: str, each: Measured, off: Measured) -> list[object]:
    rate, cpu_us = statistics.median(each.rates), statistics.median(each.cpu_us)
    return [sample, rate, cpu_us, median_ratio(each.rates, off.rates), median_ratio(each.cpu_us, off.cpu_us)]
