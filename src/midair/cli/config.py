"""``midair config``: every setting, its value and where it came from."""

from __future__ import annotations

import click
import msgspec

from midair.cli.options import Service, service_options
from midair.cli.show import Show, json_of
from midair.config.changes import values
from midair.config.file import is_theirs
from midair.config.load import load
from midair.control import client
from midair.control.words import Config, ConfigReport
from midair.errors import USAGE, NotRunning

COUNTS = {
    "update": "at the next reload, for the new version",
    "restart": "after midair stop and midair run",
}


@click.command
@click.option("--diff", is_flag=True, help="Only what the file on disk would change in the running service.")
@click.option("--all", "is_all", is_flag=True, help="Defaults too.")
@click.option("--file", "from_file", is_flag=True, help="As a start here and now would have it; asks no service.")
@service_options
def command(service: Service, *, diff: bool, is_all: bool, from_file: bool) -> int:
    """Show the settings of the running service and where each came from; if none runs, those of the file."""
    if from_file and diff:
        raise click.UsageError("--diff compares with the running service; --file asks none")
    report = _from_file(service) if from_file else _from_service(service, diff)
    if service.show.as_json:
        service.show.json(json_of(report))
    elif diff:
        _show_changes(service.show, report)
    else:
        _show_values(service.show, report, is_all)
    if report.fault:
        return USAGE if service.show.as_json else service.show.failure(report.fault, USAGE)
    return 0


def _from_service(service: Service, diff: bool) -> ConfigReport:
    try:
        return client.ask_one(service.address(), Config(diff=diff), ConfigReport)
    except NotRunning as exc:
        if diff:
            raise
        if not service.show.as_json:
            service.show.note(f"{exc}; this is what a start here would use")
        return _from_file(service)


def _from_file(service: Service) -> ConfigReport:
    # Only midair dev would start what another tool's file describes.
    loaded = load(msgspec.structs.replace(service.sources({}), is_dev=is_theirs(service.folder or ".", service.config)))
    warnings = loaded.warnings
    if loaded.settings.main:
        warnings += (f"what {loaded.settings.main} gives to midair.serve() is known once it runs",)
    return ConfigReport(values=values(loaded.settings, loaded.origins), warnings=warnings)


def _show_values(show: Show, report: ConfigReport, is_all: bool) -> None:
    rows = [(value.key, value.value, value.origin) for value in report.values if is_all or not value.is_default]
    show.table(("KEY", "VALUE", "FROM"), rows)
    hidden = len(report.values) - len(rows)
    if hidden:
        show.note(f"{hidden} more have their defaults: midair config --all")
    for warning in report.warnings:
        show.warning(warning)


def _show_changes(show: Show, report: ConfigReport) -> None:
    if report.changes:
        rows = [(change.key, change.running, change.file, COUNTS[change.effect]) for change in report.changes]
        show.table(("KEY", "RUNNING", "FILE", "COUNTS"), rows)
    elif not report.fault:
        show.note("the file says what runs")
