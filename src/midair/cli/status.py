"""``midair status``: what serves, what is on disk, what is going on."""

from __future__ import annotations

import click

from midair.cli.curve import sentence
from midair.cli.follow import json_of
from midair.cli.history import receipt_rows
from midair.cli.options import Service, service_options
from midair.cli.show import BOLD, Show, age, clean, size, version
from midair.config.load import ServiceAddress
from midair.control import client
from midair.control.words import GenerationStatus, Status, StatusReport
from midair.errors import MidairError


@click.command
@click.option("--all", "is_all", is_flag=True, help="All services of this machine that this user may see.")
@service_options
def command(service: Service, *, is_all: bool) -> int:
    """Show what serves, what is on disk, and what is going on."""
    if is_all:
        return _all(service)
    report = client.ask_one(service.address(), Status(), StatusReport)
    if service.show.as_json:
        service.show.json(json_of(report))
    else:
        show_status(service.show, report)
    return 0


def _all(service: Service) -> int:
    address = service.address()
    reports: list[StatusReport] = []
    silent: list[tuple[str, MidairError]] = []
    for name, folder in client.living_services(address).items():
        one = ServiceAddress(name=name, folder=folder, runtime_dirs=(folder,), bases=())
        try:
            reports.append(client.ask_one(one, Status(), StatusReport, timeout_s=3.0))
        except MidairError as exc:
            silent.append((name, exc))
    if service.show.as_json:
        service.show.json(
            {
                "services": [json_of(report) for report in reports],
                "silent": [{"name": name, "fault": error.fault()} for name, error in silent],
            }
        )
        return 0
    if reports:
        service.show.table(
            ("NAME", "STATE", "VERSION", "WORKERS", "UP", "PID", "LISTENS", "FOLDER"),
            [
                (r.name, r.state, r.version, str(r.workers), age(r.uptime_s), str(r.pid), " ".join(r.binds), r.folder)
                for r in reports
            ],
        )
    elif not silent:
        service.show.note("nothing runs here that this user may see")
    for name, error in silent:
        service.show.warning(f"{name}: {error}")
    return 0


def show_status(show: Show, report: StatusReport) -> None:
    """The report as people read it."""
    serving = version(report.version, report.serving) if report.serving else "nothing serves"
    show.line(
        f"{show.styled(clean(report.name), BOLD, show.out)}  {report.state}: {clean(serving)}"
        if show.out.isatty()
        else f"{report.name}  {report.state}: {serving}"
    )
    facts = [
        ("runs", report.target),
        ("in", report.folder),
        ("listens", ", ".join(report.binds)),
        ("metrics", report.metrics),
        ("supervisor", f"pid {report.pid}, midair {report.midair}, up {age(report.uptime_s)}"),
    ]
    if report.version and report.on_disk and report.on_disk != report.version:
        facts.append(("on disk", f"{report.on_disk}: a restart would start that, midair reload updates to it"))
    if report.update:
        going = report.update
        what = f"{going.phase}, {version(going.version, going.generation)}, for {age(going.age_s)}"
        facts.append((f"update {going.update}", what + (f", by {going.by}" if going.by else "")))
    if report.moving:
        facts.append(("moving", sentence(report.moving)))
    if report.hold:
        left = f", {age(report.hold.left_s)} left" if report.hold.left_s else ""
        facts.append(("held", f"{report.hold.reason} (by {report.hold.by or 'somebody'}{left})"))
    for name, text in facts:
        if text:
            show.line(f"  {name:11}{text}")
    if report.generations:
        show.line()
        _workers(show, report.generations)
    if report.last:
        show.line()
        show.table(*receipt_rows(report.last))
    for warning in report.warnings:
        show.warning(warning)


def _workers(show: Show, generations: tuple[GenerationStatus, ...]) -> None:
    rows: list[tuple[str, ...]] = []
    for generation in generations:
        mode = generation.mode + (f" ({generation.why})" if generation.why else "")
        head = (f"g{generation.number}", generation.version, generation.role, mode)
        for worker in generation.workers:
            rows.append(
                (
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
            )
            head = ("", "", "", "")
        if not generation.workers:
            rows.append((*head, *[""] * 7, age(generation.age_s)))
        if generation.note:
            rows.append(("", "", generation.note, *[""] * 9))
    heads = ("GEN", "VERSION", "ROLE", "MODE", "WORKER", "PID", "STATE", "OPEN", "ACTIVE", "REQUESTS", "MEMORY", "AGE")
    show.table(heads, rows, right=frozenset({5, 7, 8, 9, 10, 11}))
