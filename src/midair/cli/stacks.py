"""``midair stacks``: where the workers stand."""

from __future__ import annotations

import re

import click

from midair.cli.options import Service, service_options
from midair.cli.show import json_of
from midair.control import client
from midair.control.words import Stacks, StacksReport


@click.command
@click.argument("which", default="", metavar="[G[.SLOT]]")
@service_options
def command(service: Service, *, which: str) -> int:
    """Show where the threads and tasks of the workers stand: of all that serve, of generation G, or of one worker."""
    match = re.fullmatch(r"g?(\d{1,9})(?:\.(\d{1,4}))?", which, re.ASCII)
    if which and match is None:
        raise click.UsageError(f"{which!r} is not a worker; midair status shows them: 8.0, or 8 for a generation")
    generation, slot = (int(match[1]), int(match[2] or -1)) if match else (0, -1)
    report = client.ask_one(service.address(), Stacks(generation=generation, slot=slot), StacksReport)
    if service.show.as_json:
        service.show.json(json_of(report))
        return 0
    for worker in report.workers:
        service.show.line(f"worker {worker.generation}.{worker.slot}, pid {worker.pid}")
        service.show.line("".join(f"  {line}\n" for line in worker.text.splitlines()))
    if not report.workers:
        service.show.note("no such worker")
    return 0
