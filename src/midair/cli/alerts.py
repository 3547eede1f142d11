"""``midair alerts``: rules for Prometheus, and the way from an alert back to the update that it is about."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from midair.cli.options import Duration, Rate, Service, service_options
from midair.cli.receipt import lines_of
from midair.cli.show import Show
from midair.config import places
from midair.errors import DONE, FAILED, ConfigError, UsageError, WorldError

if TYPE_CHECKING:
    from midair.alerting.gathering import Watched
    from midair.alerting.incidents import Incident, Incidents
    from midair.alerting.lines import Find
    from midair.sockets.listener import Listener

DEFAULT_ADDRESS = "127.0.0.1:9466"
"""Beside the metrics, which are at 9464 as a rule."""


class BadToken(ConfigError):
    """The file with the token for `midair alerts` cannot be used."""

    code = "bad-token"
    hint = "it holds one line, the token that Alertmanager sends: http_config.authorization.credentials_file"


class TokenNeeded(UsageError):
    """Other machines reach that address, so whoever posts there has to say a token."""

    code = "token-needed"
    hint = "give one with --token-file FILE, or bind an address of this machine alone: --bind 127.0.0.1:9466"


class NoIncident(WorldError):
    """There is no such incident in the file, or no such file."""

    code = "no-incident"
    hint = "midair alerts list shows them; --incidents FILE says where they are"


@click.group(no_args_is_help=False)
def command() -> None:
    """Rules for Prometheus, and a receiver for Alertmanager that answers with the update an alert is about."""


INCIDENTS = click.option(
    "--incidents",
    "path",
    metavar="FILE",
    default="",
    help="The file of incidents; default: alerts/incidents.jsonl in the folder where midair keeps receipts.",
)
TOKEN = click.option("--token-file", metavar="FILE", default="", help="What whoever posts has to say as Bearer token.")


def incidents_path(path: str, environ: Mapping[str, str]) -> str:
    return path or os.path.join(places.state_dir("alerts", environ, places.own_uid())[0], "incidents.jsonl")


def read_token(path: str) -> str:
    """Raises BadToken. No path is no token."""
    if not path:
        return ""
    try:
        with open(path, encoding="ascii") as file:
            token = file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadToken(f"{path}: {exc.strerror if isinstance(exc, OSError) else 'it is not ASCII'}") from exc
    if not token or any(char.isspace() for char in token):
        raise BadToken(f"{path}: {'it is empty' if not token else 'it has more than one word'}")
    return token


# --- rules ---------------------------------------------------------------------------------------------------------


@command.command
@click.option("--job", default="midair", help="job_name of the services in prometheus.yml; default: midair.")
@click.option("--slow", "slow_s", type=Duration(), default="3m", help="An update takes longer; default: 3m.")
@click.option("--drain", "drain_s", type=Duration(), default="10m", help="Old connections stay longer; default: 10m.")
@click.option(
    "--error-rate",
    "error_share",
    type=Rate(),
    default="5%",
    metavar="SHARE",
    help="The new version fails more often than this ...",
)
@click.option(
    "--error-factor",
    type=click.FloatRange(min=0),
    default=2.0,
    help="... and so many times as often as the one before.",
)
@click.option(
    "--requests-min",
    type=click.IntRange(min=1),
    default=50,
    help="Fewer answers in 5 minutes say nothing; default: 50.",
)
@click.option(
    "--differs", "differs_s", type=Duration(), default="1h", help="Disk and service differ for longer; default: 1h."
)
@click.option("--down", "down_s", type=Duration(), default="1m", help="Nothing serves for longer; default: 1m.")
@click.option(
    "--certificate-days", type=click.IntRange(min=1), default=7, help="TLS ends earlier than that; default: 7."
)
@service_options
def rules(service: Service, /, **thresholds: float | int | str) -> int:
    """Print Prometheus' rules for midair's metrics, as YAML: promtool check rules accepts them."""
    from midair.alerting.rules import Thresholds, document
    from midair.alerting.yaml import written

    found = document(msgspec.convert(thresholds, Thresholds))
    if service.show.as_json:
        service.show.json(found)
    else:
        service.show.raw(f"# midair alerts rules: import it with rule_files in prometheus.yml\n{written(found)}")
    return 0


# --- serve ---------------------------------------------------------------------------------------------------------


@command.command
@click.option("--bind", metavar="ADDRESS", default=DEFAULT_ADDRESS, help=f"Where; default: {DEFAULT_ADDRESS}.")
@click.option("--service", "names", metavar="NAME", multiple=True, help="A service by name or folder; repeat for more.")
@click.option(
    "--log",
    "logs",
    metavar="[NAME=]WHERE",
    multiple=True,
    help="Where the service's log is: FILE (of JSON lines), journal, journal:FOLDER; default: the journal, else what "
    "the service itself keeps.",
)
@INCIDENTS
@TOKEN
@service_options
def serve(
    service: Service, *, bind: str, names: tuple[str, ...], logs: tuple[str, ...], path: str, token_file: str
) -> int:
    """Take Alertmanager's notifications (POST /alerts), and answer with the receipt and the log lines of that update."""
    from midair.alerting.incidents import Incidents
    from midair.sockets.bind import open_listeners

    token = read_token(token_file)
    watched = watched_of(service, names, logs)
    path = incidents_path(path, os.environ)
    with contextlib.ExitStack() as stack:
        listeners = open_listeners([bind], folder=os.getcwd(), environ=os.environ).listeners
        for listener in listeners:
            stack.callback(listener.close)
        if not token and not all(is_own(listener.actual) for listener in listeners):
            raise TokenNeeded(f"{listeners[0].actual} can be reached from other machines")
        incidents = stack.enter_context(Incidents(path))
        _serve(service, watched, incidents, listeners, token)
    return DONE


def _serve(
    service: Service, watched: Sequence[Watched], incidents: Incidents, listeners: Sequence[Listener], token: str
) -> None:
    import asyncio

    from midair.alerting.receiver import Receiver
    from midair.alerting.receiver import serve as serve_on
    from midair.observe.log import Format, Log
    from midair.observe.sink import Sink

    form: Format = "console" if sys.stderr.isatty() and not service.show.as_json else "json"
    log = Log(Sink(2), format=form, is_coloured=sys.stderr.isatty() and "NO_COLOR" not in os.environ)
    addresses = ", ".join(listener.actual for listener in listeners)

    def served() -> None:
        log.say("alerts_served", address=addresses, incidents=incidents.path)

    asyncio.run(serve_on(listeners, Receiver(watched, incidents, log), token, log, served))


def is_own(actual: str) -> bool:
    """Whether only this machine reaches that address."""
    return actual.startswith(("127.", "[::1]", "unix:"))


def watched_of(service: Service, names: Sequence[str], logs: Sequence[str]) -> list[Watched]:
    """The services whose alerts are answered, each with where its lines are. Raises ConfigError, click.UsageError."""
    from midair.alerting.gathering import Watched
    from midair.alerting.lines import wherever

    found = [_named(service, name).address() for name in names] or [service.address()]
    where = where_of(logs, [each.name for each in found])
    return [Watched(each, _find(where[each.name]) if each.name in where else wherever(each)) for each in found]


def _named(service: Service, name: str) -> Service:
    """The service that ``--service`` means: a folder, or a name."""
    if "/" in name or name in (".", ".."):
        return msgspec.structs.replace(service, folder=os.path.join(service.folder, name), name="")
    return msgspec.structs.replace(service, name=name)


def where_of(logs: Sequence[str], services: Sequence[str]) -> dict[str, str]:
    """Where the log of each service is, as ``--log`` says. Pure. Raises click.UsageError."""
    found: dict[str, str] = {}
    for typed in logs:
        name, equals, where = typed.partition("=")
        if equals and name in services:
            found[name] = where
        elif len(services) == 1:
            found[services[0]] = typed
        else:
            raise click.UsageError(f"--log {typed}: of which service? write NAME={where or typed}")
    return found


def _find(where: str) -> Find:
    from midair.alerting.lines import in_file, in_journal

    if where == "journal" or where.startswith("journal:"):
        return in_journal(where.removeprefix("journal").removeprefix(":"))
    return in_file(os.path.abspath(where))


# --- list, show ----------------------------------------------------------------------------------------------------


@command.command("list")
@click.option("--open", "is_open", is_flag=True, help="Only those that fire still.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, help="How many; default: 20.")
@INCIDENTS
@service_options
def list_(service: Service, *, is_open: bool, limit: int, path: str) -> int:
    """List the incidents, newest first."""
    found = [each for each in _incidents(path).values() if not (is_open and each.closed)][::-1][:limit]
    if service.show.as_json:
        service.show.json(found)
    elif found:
        heads = ("INCIDENT", "OPENED", "CLOSED", "ALERT", "SERVICE", "UPDATE", "SUMMARY")
        service.show.table(heads, [_row(each) for each in found])
    else:
        service.show.note("no incident yet" if not is_open else "nothing fires")
    return 0


def _row(incident: Incident) -> tuple[str, ...]:
    last = incident.evidence[-1] if incident.evidence else None
    return (
        str(incident.incident),
        incident.opened,
        incident.closed or "-",
        incident.alert.name,
        (last and last.service) or "-",
        str((last and last.update) or "-"),
        incident.alert.annotations.get("summary", ""),
    )


@command.command()
@click.argument("number", type=click.IntRange(1), required=False)
@INCIDENTS
@service_options
def show(service: Service, *, number: int | None, path: str) -> int:
    """Show incident NUMBER with the receipt and the log lines of its update; default: the latest."""
    known = _incidents(path)
    incident = known.get(number or max(known, default=0))
    if incident is None:
        raise NoIncident(f"there is no incident {number or ''}".rstrip())
    if service.show.as_json:
        service.show.json(incident)
        return 0
    for line in _told(incident):
        service.show.line(line)
    return 0


def _told(incident: Incident) -> Iterator[str]:
    """What is known of an incident, and then each update that it is about."""
    document = msgspec.json.decode(msgspec.json.encode(incident))
    evidence = document.pop("evidence")
    yield from lines_of(document)
    for each in evidence:
        yield "evidence"
        yield from lines_of(each, "  ")


def _incidents(path: str) -> dict[int, Incident]:
    from midair.alerting.incidents import fold, read

    path = incidents_path(path, os.environ)
    try:
        return fold(read(path))
    except OSError as exc:
        raise NoIncident(f"{path} cannot be read: {exc.strerror or exc}") from exc


# --- test ----------------------------------------------------------------------------------------------------------


@command.command()
@click.option(
    "--to",
    "url",
    metavar="URL",
    default=f"http://{DEFAULT_ADDRESS}",
    help=f"The receiver; default: http://{DEFAULT_ADDRESS}.",
)
@click.option(
    "--through",
    "alertmanager",
    metavar="URL",
    default="",
    help="Have this Alertmanager send it: shows that its routes lead here.",
)
@click.option(
    "--within", "within_s", type=Duration(), default="90s", help="With --through: how long Alertmanager may take."
)
@INCIDENTS
@TOKEN
@service_options
def test(service: Service, *, url: str, alertmanager: str, within_s: float, path: str, token_file: str) -> int:
    """Fire an alert that means nothing, and end it again: what is answered to it is what a real one would be."""
    from midair.alerting.trial import posted, sent_through

    labels = {"service": service.address().name}
    if alertmanager:
        incident = sent_through(alertmanager, labels, lambda: _incidents(path).values(), within_s)
    else:
        incident = posted(url, labels, read_token(token_file))
    if service.show.as_json:
        service.show.json(incident)
    else:
        _tell(service.show, incident)
    return FAILED if not incident.evidence or incident.evidence[-1].missing else DONE


def _tell(show: Show, incident: Incident) -> None:
    show.line(f"incident {incident.incident}: opened {incident.opened}, closed {incident.closed or 'not yet'}")
    for each in incident.evidence:
        if each.update:
            update = " ".join(filter(None, (f"update {each.update} of {each.service}", each.receipt.get("result"))))
            trace = each.receipt.get("trace", {}).get("id", "")
            show.line(
                f"{update}: {len(each.lines)} lines from {each.lines_from}" + (f"; trace {trace}" if trace else "")
            )
        for sentence in each.missing:
            show.warning(f"missing: {sentence}")
    show.note(f"midair alerts show {incident.incident} tells everything")
