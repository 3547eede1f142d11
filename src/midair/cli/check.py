"""``midair check``: would it start?"""

from __future__ import annotations

import os
import time

import click

from midair.cli.options import Service, service_options
from midair.cli.preflight import check_certificate, check_program, check_traces, import_application
from midair.cli.running import override_of_target
from midair.cli.show import Show
from midair.config.schema import Settings
from midair.sockets.configured import check_addresses
from midair.traces.answering import why_not


@click.command
@click.argument("target", default="", metavar="[TARGET]")
@click.option("--main", "main_file", default="", metavar="FILE", help="A program that calls midair.serve().")
@click.option("--no-import", is_flag=True, help="The configuration only.")
@service_options
def command(service: Service, *, target: str, main_file: str, no_import: bool) -> int:
    """Check the configuration, and import the application in a process that is thrown away. Nothing is started."""
    loaded = service.sources(override_of_target((target,) if target else (), (), main_file)).load()
    check_addresses(loaded)
    ends_s = check_certificate(loaded.settings)
    where = check_traces(loaded.settings, os.environ)
    said: dict[str, object] = {"name": loaded.settings.name, "file": loaded.file, "warnings": list(loaded.warnings)}
    if ends_s:
        said["certificate_ends_s"] = ends_s
    if where:
        said |= {"traces": where.url, "traces_fault": why_not(where)}
    if not no_import:
        said |= _check_target(loaded.settings)
    if service.show.as_json:
        service.show.json(said)
        return 0
    for warning in loaded.warnings:
        service.show.warning(warning)
    for reason in _reasons(said):
        service.show.note(f"will not be forked: {reason}")
    if ends_s:
        _show_end(service.show, ends_s)
    if where and said["traces_fault"]:
        service.show.warning(f"the collector at {where.url} takes no spans: {said['traces_fault']}")
    service.show.line(_sentence(said, loaded.settings))
    return 0


def _show_end(show: Show, ends_s: float) -> None:
    moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ends_s))
    if ends_s > time.time():
        show.note(f"the certificate holds until {moment}")
    else:
        show.warning(f"the certificate ended on {moment}: clients turn away")


def _check_target(settings: Settings) -> dict[str, object]:
    if settings.is_command:
        return {"program": check_program(settings)}
    imported, python = import_application(settings, os.environ)
    return {
        "python": python,
        "interface": imported.interface,
        "import_s": imported.seconds,
        "unsafe_to_fork": list(imported.unsafe),
    }


def _reasons(said: dict[str, object]) -> list[str]:
    reasons = said.get("unsafe_to_fork", [])
    return [str(reason) for reason in reasons] if isinstance(reasons, list) else []


def _sentence(said: dict[str, object], settings: Settings) -> str:
    source = os.path.basename(str(said["file"])) or "no file"
    if "interface" in said:
        return (
            f"good: {source}, {settings.target} is {str(said['interface']).upper()},"
            f" imported in {said['import_s']:.2f} s by {said['python']}"
        )
    return f"good: {source}" + (f", {said['program']}" if "program" in said else "")
