"""``midair doctor``: what is not right around the service, and what to type about it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import click
import msgspec

from midair.cli.options import Service, service_options
from midair.cli.preflight import import_application
from midair.cli.show import DIM, GREEN, RED, YELLOW, Show, clean
from midair.config.load import Override, ServiceAddress, load
from midair.config.schema import Settings
from midair.control import client
from midair.control.words import Config, ConfigReport, Receipt, ReceiptReport, Status, StatusReport
from midair.doctor.examination import examine, worst
from midair.doctor.facts import Application, Facts
from midair.doctor.finding import LEVELS, Finding, Result
from midair.doctor.gather import gather
from midair.errors import DONE, FAILED, ConfigError, MidairError, NotRunning

COLOURS = {"problem": RED, "warning": YELLOW, "note": DIM, "ok": GREEN}
TYPED_ORIGINS = ("--", "$")
"""Where a running service may have settings from that no file says."""
STATUS_WITHIN_S = 10.0


@click.command
@click.option("--all", "is_all", is_flag=True, help="What is right, too.")
@click.option("--no-import", is_flag=True, help="Do not import the application.")
@click.option(
    "--unit", metavar="UNIT", default="", help="The systemd unit; default: the one that the service runs under."
)
@service_options
def command(service: Service, *, is_all: bool, no_import: bool, unit: str) -> int:
    """Look at limits, permissions, kernel, systemd, container, configuration and application. Each finding says what is so, why it
    matters, and what to type. Exit code 1 if one of them is a problem. Changes nothing; works with and without a running service.
    """
    facts = _facts(service, unit, imports=not no_import)
    results = examine(facts)
    code = FAILED if worst(results) == "problem" else DONE
    if service.show.as_json:
        service.show.json(_document(facts, results, code))
    else:
        _show(service.show, facts, results, is_all=is_all)
    return code


# --- what is found -------------------------------------------------------------------------------------------------


def _facts(service: Service, unit: str, *, imports: bool) -> Facts:
    address = service.address()
    report, config = None, None
    try:
        report = client.ask_one(address, Status(), StatusReport, timeout_s=STATUS_WITHIN_S)
        config = client.ask_one(address, Config(diff=True), ConfigReport, timeout_s=STATUS_WITHIN_S)
    except NotRunning:
        pass
    try:
        settings = _settings(service, report, config)
    except ConfigError as exc:
        # Everything else can be looked at all the same, with defaults.
        settings = Settings(name=address.name, folder=address.folder, runtime_dir="/run", state_dir="/var/lib")
        application = Application(fault=str(exc), fault_hint=exc.hint)
    else:
        application = _application(settings) if imports else Application()
    if report:
        application = replace(application, has_health_route=_has_health_route(address, report))
    return gather(settings, application, report, config, environ=os.environ, unit=unit)


def _has_health_route(address: ServiceAddress, report: StatusReport) -> bool | None:
    """What the probes of the serving version met, by the receipt of the update that brought it."""
    number = next((line.number for line in report.last if line.generation == report.serving), 0)
    if not number:
        return None
    try:
        answer = client.ask_one(address, Receipt(number=number), ReceiptReport)
    except MidairError:
        return None
    events = msgspec.json.decode(answer.document, type=_Events).events
    return not any(each.event == "no_health_route" for each in events)


class _Event(msgspec.Struct):
    event: str


class _Events(msgspec.Struct):
    """Of a receipt."""

    events: list[_Event] = []


def _settings(service: Service, report: StatusReport | None, config: ConfigReport | None) -> Settings:
    """As the file has them now, and for a running service what its command line and environment say besides."""
    here = msgspec.structs.replace(service, folder=report.folder) if report and not service.folder else service
    typed = {
        value.key: Override(value.value, value.origin)
        for value in (config.values if config else ())
        if value.origin.startswith(TYPED_ORIGINS) and not value.key.startswith("env.") and value.key != "name"
    }
    return load(here.sources(typed)).settings


def _application(settings: Settings) -> Application:
    from midair.release.environment import build_environment
    from midair.release.interpreter import find_interpreter

    if settings.is_command or not settings.target:
        return Application()
    found = Application()
    try:
        variables = build_environment(settings, os.environ).variables
        interpreter = find_interpreter(settings, os.environ, variables)
        found = Application(interpreter=interpreter.path, midair=interpreter.midair)
        imported, _ = import_application(settings, os.environ)
    except MidairError as exc:
        return replace(found, fault=str(exc), fault_hint=exc.hint)
    return replace(found, unsafe_to_fork=imported.unsafe)


# --- how it is shown -----------------------------------------------------------------------------------------------


def _show(show: Show, facts: Facts, results: list[Result], *, is_all: bool) -> None:
    running = facts.running
    what = f"pid {running.pid}, {running.state}" if running else "nothing runs; this is what a start here would find"
    show.note(f"{clean(facts.settings.name)}: {what}" + (f", unit {facts.unit}" if facts.unit else ""))
    group = ""
    for result in results:
        if result.finding is None and not is_all:
            continue
        if result.check.group != group:
            group = result.check.group
            show.line(f"\n{show.styled(group, DIM, show.out) if show.out.isatty() else group}")
        _one(show, result)
    found = Counter(result.finding.level for result in results if result.finding)
    counted = [f"{found[level]} {level}{'s' * (found[level] != 1)}" for level in LEVELS if found[level]]
    if found:
        show.note("")
    show.note(f"{len(results)} checks: {', '.join(counted) or 'all is well'}")


def _one(show: Show, result: Result) -> None:
    finding = result.finding
    if finding is None:
        show.line(f"  {show.styled('ok', GREEN, show.out):8} {result.check.looks_at}")
        return
    level = show.styled(finding.level, COLOURS[finding.level], show.out)
    show.line(f"  {level}: {clean(finding.what)}  [{result.check.code}]")
    show.line(f"    why: {clean(finding.why)}")
    show.line(f"    fix: {clean(finding.fix)}")


def _document(facts: Facts, results: list[Result], code: int) -> dict[str, object]:
    return {
        "name": facts.settings.name,
        "is_running": facts.running is not None,
        "unit": facts.unit,
        "worst": worst(results),
        "findings": [_as_json(result, result.finding) for result in results if result.finding],
        "checked": [result.check.code for result in results],
        "exit_code": code,
    }


def _as_json(result: Result, finding: Finding) -> dict[str, object]:
    fields = msgspec.to_builtins(finding)
    assert isinstance(fields, dict)
    return {"code": result.check.code, "group": result.check.group, **fields}
