"""What ``midair status`` shows: a report on one screen. Imports no more than that needs: it is typed when something is wrong."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from midair.cli.curve import sentence
from midair.cli.glance import (
    advice,
    bar,
    connections_of,
    drain_sentence,
    draining,
    losing,
    loss_sentence,
)
from midair.cli.show import BOLD, Show, age, clean, fitting, json_of, narrowed, size, version, why
from midair.config.client import ServiceAddress
from midair.control import client
from midair.control.ondisk import TOLD, trouble_with_disk
from midair.control.words import GenerationStatus, ReceiptLine, Status, StatusReport
from midair.errors import DONE, FAILED

BAR_WIDTH = 40
HEADS = ("GEN", "VERSION", "ROLE", "WORKER", "PID", "STATE", "OPEN", "ACTIVE", "REQUESTS", "MEMORY", "AGE")
RIGHT = frozenset({"PID", "OPEN", "ACTIVE", "REQUESTS", "MEMORY", "AGE"})
DROPPED = ("AGE", "PID", "REQUESTS", "MEMORY")
"""Columns that go, in this order, where a terminal is too narrow for all."""
WORKERS_SHOWN = 8
"""With more than these a row is a generation: status is one screen."""


def tell(show: Show, address: ServiceAddress, *, all_workers: bool = False) -> None:
    """Ask the service and show what it says. Raises as ``client.ask``."""
    report = client.ask_one(address, Status(), StatusReport)
    if show.as_json:
        show.json(json_of(report))
    else:
        show_status(show, report, all_workers=all_workers)


def tell_ready(show: Show, address: ServiceAddress) -> int:
    """Ask the service, say its state, and return a health check's exit code: 1 unless it is ready. Raises as ``client.ask``."""
    report = client.ask_one(address, Status(), StatusReport)
    if show.as_json:
        show.json({"ready": report.is_ready, "state": report.state})
    else:
        show.line(report.state)
    return DONE if report.is_ready else FAILED


def show_status(show: Show, report: StatusReport, *, all_workers: bool = False, now_s: float | None = None) -> None:
    """The report as people read it: one screen. now_s: seconds since the epoch; default: now."""
    width = show.width()
    serving = version(report.version, report.serving) if report.serving else "nothing serves"
    up = f"up {age(report.uptime_s)}, pid {report.pid}, midair {report.midair}"
    name = show.styled(clean(report.name), BOLD, show.out) if show.out.isatty() else clean(report.name)
    show.raw(f"{name}  {report.state}: {clean(serving)}  ({up})")
    for title, text in _facts(report):
        if text:
            line = f"  {title:11}{text}"
            show.line(fitting(line, width) if width else line)
    if report.generations:
        show.line()
        _generations(show, report.generations, width, all_workers=all_workers)
    if report.last:
        show.line()
        show.table(*_updates(report.last, time.time() if now_s is None else now_s), width=width)
    if found := advice(report):
        show.line()
        show.line("to type next:")
        most = max(len(each.command) for each in found)
        for each in found:
            line = f"  {each.command:{most}}  {each.why}"
            show.line(fitting(line, width) if width else line)
    for warning in report.warnings:
        show.warning(warning)


def _facts(report: StatusReport) -> Iterator[tuple[str, str]]:
    yield "runs", f"{report.target} in {report.folder}"
    yield "listens", ", ".join(report.binds)
    yield "metrics", report.metrics
    if report.version and report.on_disk and report.on_disk != report.version:
        how = TOLD[trouble_with_disk(report)]
        yield "on disk", f"{report.on_disk}: a restart would start that; {how}"
    if going := report.update:
        left = f", {age(going.left_s)} left" if going.left_s else ""
        what = f"{going.phase}, {version(going.version, going.generation)}, for {age(going.age_s)}{left}"
        yield f"update {going.update}", what + (f", by {going.by}" if going.by else "")
    if moving := report.moving:
        yield "moving", sentence(moving)
        yield " ", f"{bar(moving.of - moving.left, moving.of, BAR_WIDTH)} {moving.left:,} left"
    for generation in draining(report):
        yield f"g{generation.number} drains", drain_sentence(generation)
    for generation in losing(report):
        yield f"g{generation.number} loses", loss_sentence(generation)
    if report.hold:
        left = f", {age(report.hold.left_s)} left" if report.hold.left_s else ""
        yield "held", f"{report.hold.reason} (by {report.hold.by or 'somebody'}{left})"
    for generation in report.generations:
        if generation.why:
            yield f"g{generation.number} is", f"{generation.mode} ({generation.why})"
        if generation.note:
            yield f"g{generation.number}", generation.note


def _generations(show: Show, generations: tuple[GenerationStatus, ...], width: int, *, all_workers: bool) -> None:
    """A row a worker, or with many of them a row a generation."""
    are_many = sum(len(each.workers) for each in generations) > WORKERS_SHOWN and not all_workers
    rows = [row for each in generations for row in ([_sum(each)] if are_many else _workers(each))]
    heads, shown = narrowed(HEADS, rows, DROPPED, width)
    show.table(heads, shown, right=frozenset(place for place, name in enumerate(heads) if name in RIGHT), width=width)
    if are_many:
        show.note("midair status --workers shows each worker")


def _head(generation: GenerationStatus) -> tuple[str, str, str]:
    return f"g{generation.number}", generation.version, generation.role


def _sum(generation: GenerationStatus) -> tuple[str, ...]:
    connections = connections_of(generation)
    states = Counter(worker.state for worker in generation.workers)
    return (
        *_head(generation),
        str(len(generation.workers)),
        "",
        ", ".join(f"{count} {state}" for state, count in states.items()),
        str(connections.open),
        str(connections.active),
        str(generation.requests),
        size(sum(worker.rss_bytes for worker in generation.workers)),
        age(generation.age_s),
    )


def _workers(generation: GenerationStatus) -> Iterator[tuple[str, ...]]:
    head = _head(generation)
    for worker in generation.workers:
        yield (
            *head,
            f"{generation.number}.{worker.slot}",
            str(worker.pid),
            worker.state,
            str(worker.connections),
            str(worker.active),
            str(worker.requests),
            size(worker.rss_bytes),
            age(worker.age_s),
        )
        head = ("", "", "")
    if not generation.workers:
        kept = f"kept for {age(generation.kept_s)} yet" if generation.kept_s else ""
        yield (*head, "", "", kept, "", "", "", "", age(generation.age_s))


def _updates(receipts: Sequence[ReceiptLine], now_s: float) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    heads = ("UPDATE", "BEGAN", "RESULT", "FROM", "TO", "TOOK", "BY", "WHY")
    rows: list[tuple[str, ...]] = [
        (
            str(receipt.number),
            f"{age(max(0.0, now_s - receipt.time_s))} ago",
            receipt.result or "goes on",
            receipt.source,
            receipt.target,
            age(receipt.duration_s),
            receipt.by,
            why(receipt),
        )
        for receipt in receipts
    ]
    return heads, rows
