"""``midair status``: what serves, what is on disk, what is going on."""

from __future__ import annotations

import click

from midair.cli import statusscreen
from midair.cli.options import Service, service_options
from midair.cli.show import age, json_of
from midair.config.client import ServiceAddress
from midair.control import client
from midair.control.words import Status, StatusReport
from midair.errors import MidairError


@click.command
@click.option("--all", "is_all", is_flag=True, help="All services of this machine that this user may see.")
@click.option("--workers", "all_workers", is_flag=True, help="Each worker, however many there are.")
@click.option(
    "--ready", is_flag=True, help="Only its state, for health checks; 1 unless a version accepts, and goes on to."
)
@service_options
def command(service: Service, *, is_all: bool, all_workers: bool, ready: bool) -> int:
    """Show what serves, what drains and why, what is on disk, how the last updates ended, and what to type next."""
    if ready and (is_all or all_workers):
        raise click.UsageError("--ready says one service's state, and nothing else")
    if ready:
        return statusscreen.tell_ready(service.show, service.address())
    if is_all:
        return _all(service)
    statusscreen.tell(service.show, service.address(), all_workers=all_workers)
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
