"""``midair why-alive``: what keeps a generation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import click

from midair.cli.options import Service, service_options
from midair.cli.show import age, json_of, version
from midair.control import client
from midair.control.words import WhyAlive, WhyAliveReport, WorkerHolding
from midair.observe.holding import KINDS, Connection, Holding

IS_AT = {
    "idle": "between two requests",
    "reading": "a request is still arriving",
    "request": "not answered yet",
    "response": "the answer is under way",
    "websocket": "",
    "background": "answered, but the application's call has not returned",
    "handshake": "TLS handshake",
    "closing": "we have closed it, the client has not",
    "open": "",
}
"""What a connection of a kind is at."""
MOVES = {
    "idle": "moves when it is its turn",
    "reading": "moves after this request",
    "request": "moves after its answer",
    "response": "moves between two chunks",
    "websocket": "moves between two messages",
}
"""What becomes of one that can move, in a version that is on its way out."""
CALLS = 3
"""Of a stack."""
IDLE_SHOWN = 3
"""Connections that do nothing are all alike."""
LOOP_S_OWN = "asyncio_"
"""How threads of a loop's own pool are named (`asyncio.to_thread`): they are waited for, and no other thread is, daemon or not."""
STACK_LINES = 30
"""Of a worker that hangs; midair stacks shows all."""


@click.command
@click.argument("which", default="", metavar="[G]")
@service_options
def command(service: Service, *, which: str) -> int:
    """Show what keeps generation G: its connections, tasks, threads and processes, until when they may, and what ends them.

    Default: the oldest generation that is on its way out; if none is, the serving one.
    """
    match = re.fullmatch(r"g?(\d{1,9})", which, re.ASCII)
    if which and match is None:
        raise click.UsageError(f"{which!r} is not a generation; midair status shows them: 8")
    report = client.ask_one(service.address(), WhyAlive(generation=int(match[1]) if match else 0), WhyAliveReport)
    if service.show.as_json:
        service.show.json(json_of(report))
        return 0
    for line in lines_of(report):
        service.show.line(line)
    return 0


def lines_of(report: WhyAliveReport) -> Iterator[str]:
    """The report as people read it. Pure."""
    age_text = f", {age(report.age_s)} old" if report.age_s else ""
    yield f"{version(report.version, report.generation)}{age_text}: {report.why}"
    for program in report.programs:
        yield f"  its once-only program {program} runs"
    for worker in report.workers:
        yield ""
        yield from _worker(worker, report.generation, is_leaving=report.role in ("retiring", "parked"))
    if not report.workers:
        yield "  no process of it runs"
    if hint := _what_ends_it(report):
        yield ""
        yield hint


def _worker(worker: WorkerHolding, generation: int, *, is_leaving: bool) -> Iterator[str]:
    until = f", cut in {age(worker.ends_in_s)}" if worker.ends_in_s is not None else ""
    yield f"worker {generation}.{worker.slot}, pid {worker.pid}, {worker.state}{until}"
    if worker.holding is None:
        yield "  hangs: its event loop does not answer. Where its threads stand:"
        lines = worker.stacks.strip().splitlines()
        yield from (f"    {line}" for line in lines[:STACK_LINES])
        if len(lines) > STACK_LINES:
            yield f"    … midair stacks {generation}.{worker.slot} shows all {len(lines)} lines"
    else:
        yield from _connections(worker.holding, is_command=worker.is_command, is_leaving=is_leaving)
        yield from _tasks(worker.holding)
        yield from _threads(worker.holding)
    for process in worker.processes:
        doing = f", {process.connections} connections" if process.connections else ""
        yield f"  process {process.pid}, {age(process.age_s)} old, state {process.state}{doing}: {process.command}"


def _connections(holding: Holding, *, is_command: bool, is_leaving: bool) -> Iterator[str]:
    total = sum(count for kind, count in holding.kinds.items() if kind != "background")
    parts = [f"{holding.kinds[kind]:,} {kind}" for kind in KINDS if holding.kinds.get(kind)]
    if not parts:
        yield "  no connection that can be seen" if is_command else "  no connection"
        return
    yield f"  {total:,} connection{'' if total == 1 else 's'}: {', '.join(parts)}"
    shown = idle = 0
    for each in holding.connections:
        idle += each.kind == "idle"
        if each.kind == "idle" and idle > IDLE_SHOWN:
            continue
        shown += each.kind != "background"
        yield from _connection(each, is_leaving=is_leaving)
    if total > shown:
        yield f"    … and {total - shown:,} more"


def _connection(each: Connection, *, is_leaving: bool) -> Iterator[str]:
    what = f"{each.request} for {age(each.for_s)}" if each.request else ""
    since = f"{age(each.age_s)} old" if each.age_s and not each.request else ""
    fate = (f"stays: {each.why_not}" if each.why_not else MOVES.get(each.kind, "")) if is_leaving else ""
    head = "  ".join(filter(None, (each.peer, what, since)))
    tail = "; ".join(filter(None, (IS_AT[each.kind], fate)))
    yield f"    {head}{f'  ({tail})' if tail else ''}"
    if each.stack:
        yield f"      at {_at(each.stack)}"


def _at(stack: Sequence[str]) -> str:
    """The innermost calls, each with the last two parts of its file."""
    return " < ".join(re.sub(r"^.*/([^/]+/[^/]+:\d+ in )", r"\1", call) for call in stack[:CALLS])


def _tasks(holding: Holding) -> Iterator[str]:
    for task in holding.tasks:
        yield f"  task {task.name}"
        if task.stack:
            yield f"      at {_at(task.stack)}"
    if holding.tasks_more:
        yield f"  … and {holding.tasks_more:,} more tasks"


def _threads(holding: Holding) -> Iterator[str]:
    idle = sum(thread.is_idle for thread in holding.threads)
    for thread in holding.threads:
        if thread.is_idle:
            continue
        how = "the worker waits for it" if thread.name.startswith(LOOP_S_OWN) else "nobody waits for it"
        yield f"  thread {thread.name} ({how})"
        if thread.stack:
            yield f"      at {_at(thread.stack)}"
    if idle:
        yield "  1 thread of a pool waits for work" if idle == 1 else f"  {idle} threads of pools wait for work"


def _what_ends_it(report: WhyAliveReport) -> str:
    """What to type, if anything."""
    leaving = [worker for worker in report.workers if worker.ends_in_s is not None]
    if leaving:
        last_s = max(worker.ends_in_s or 0.0 for worker in leaving)
        return f"It ends by itself within {age(last_s)}. Sooner: midair drain (--within 5s)"
    if report.role == "serving" and report.workers:
        return "It serves: an update (midair reload) replaces it"
    return ""
