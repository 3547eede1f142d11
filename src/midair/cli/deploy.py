"""``midair deploy``: a new release beside the one that serves, and the service updated to it."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import click
import msgspec

from midair.cli.follow import Watcher
from midair.cli.options import REASON, TIMEOUT, TRACE, Service, service_options, tracestate
from midair.cli.preflight import check_certificate, check_program, check_traces, import_application
from midair.cli.show import Progress, age, clean, json_of, moment, size
from midair.config.load import Loaded, ServiceAddress, load, load_client, sources_for_run
from midair.config.schema import Deploy
from midair.control import client
from midair.control.words import (
    STEPS_MAX,
    Config,
    ConfigReport,
    Outcome,
    Reload,
    Rollback,
    Status,
    StatusReport,
    StepTaken,
)
from midair.deploy import plan
from midair.deploy.deployer import Deployer, Done, Order
from midair.deploy.errors import NoRoot, SourceUnusable, UnknownRelease, unwritable
from midair.deploy.facts import Facts
from midair.deploy.plan import Step
from midair.deploy.source import Source, listing, read_source, revision_of
from midair.errors import DONE, UNKNOWN, Fault, MidairError, NotRunning, OutcomeUnknown, UpdateError
from midair.release.folders import DeployBusy, Layout, held, layout_of
from midair.sockets.configured import check_addresses

BEFORE = "\0"
"""What ``--rollback`` without a name means."""
NAMED_BY_FILES = ("file", "git", "package")
"""Kinds of ``version_from`` whose name is the same whoever asks: the service can be told which one to expect."""


@click.command
@click.argument("path", default="", metavar="[PATH]")
@click.option("--to", "root", metavar="ROOT", default="", help="The folder with releases/, current and shared/.")
@click.option("--ref", metavar="REF", default="", help="A commit, branch or tag of the git checkout PATH.")
@click.option("--id", "release", metavar="ID", default="", help="The release's name; default: the time.")
@click.option(
    "--rollback",
    metavar="[ID]",
    is_flag=False,
    flag_value=BEFORE,
    default=None,
    help="Back to the release before, or to this one.",
)
@click.option("--list", "is_list", is_flag=True, help="The releases that are there.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--now", is_flag=True, help="Do not queue, do not pace: everything moves at once.")
@click.option("--force", is_flag=True, help="Also a version that was rolled back.")
@REASON
@TRACE
@TIMEOUT
@service_options
def command(
    service: Service,
    *,
    path: str,
    root: str,
    ref: str,
    release: str,
    rollback: str | None,
    is_list: bool,
    dry_run: bool,
    now: bool,
    force: bool,
    reason: str,
    traceparent: str,
    timeout: float,
) -> int:
    """Put PATH (a folder, an archive, or - for a tar stream) into a release folder of its own, let `current` name it, and
    update the service. Refused or rolled back, `current` goes back (4).

    \b
    midair deploy . --to /srv/shop
    midair deploy ~/shop.git --ref v1.9 --to /srv/shop
    tar cz . | ssh web1 midair deploy - --to /srv/shop
    """
    if bool(path) + (rollback is not None) + is_list != 1:
        raise click.UsageError("say what to deploy, or --rollback, or --list")
    if (ref or release) and not path:
        raise click.UsageError("--ref and --id are about a PATH that is deployed")
    source = read_source(path, ref) if path else None
    settings = _settings_in(source)
    layout = _layout(service, root, settings)
    asked = Reload(now=now, force=force, reason=reason, traceparent=traceparent, tracestate=tracestate())
    live = _Live(service, _address(service, layout, source), layout, asked, timeout)
    deployer = Deployer(layout, live, check=_check, environ=os.environ, begins=live.times.begins)
    if source is None:
        try:
            if is_list:
                return _list(service, deployer.facts())
            return _go_back(service, live, deployer, "" if rollback in (None, BEFORE) else str(rollback), dry_run)
        except OSError as exc:
            raise unwritable(f"the release folders of {layout.root} cannot be used", exc) from exc
    try:
        ignored = (*settings.ignore, *_own_folders(source, layout))
        order = Order(source, listing(source, ignored), revision_of(source), release, _whoever())
        return _deploy(service, live, deployer, order, settings if source.kind == "folder" else None, dry_run)
    except OSError as exc:
        raise unwritable(f"nothing was changed, since {layout.root} cannot be used", exc) from exc


# --- what is meant -------------------------------------------------------------------------------------------------


def _settings_in(source: Source | None) -> Deploy:
    """``[deploy]`` of a folder that is deployed; what is in an archive is not known yet."""
    if source is None or source.kind not in ("folder", "commit"):
        return Deploy()
    return load(sources_for_run(folder=source.path, environ=os.environ)).settings.deploy


def _layout(service: Service, root: str, deploy: Deploy) -> Layout:
    """Where to. Raises NoRoot."""
    if root:
        return Layout(os.path.abspath(os.path.expanduser(root)))
    here = sources_for_run(folder=service.folder, environ=os.environ).folder
    if found := layout_of(here):
        return found
    if deploy.root:
        return Layout(os.path.abspath(os.path.expanduser(deploy.root)))
    raise NoRoot(f"there are no release folders in {here}")


def _own_folders(source: Source, layout: Layout) -> tuple[str, ...]:
    """Release folders within what is deployed, to be left out: else each release would hold all those before it."""
    top, root = os.path.realpath(source.path), os.path.realpath(layout.root)
    if source.kind == "folder" and top in (root, "/"):
        raise SourceUnusable(
            f"{source.shown} is where the release folders are",
            hint="deploy from a checkout beside it, or name another folder with --to",
        )
    return (f"/{os.path.relpath(root, top)}/",) if root.startswith(f"{top}/") else ()


def _address(service: Service, layout: Layout, source: Source | None) -> ServiceAddress:
    """Where the running service would be: by what ``current`` says, before the first release by what is deployed."""
    is_first = not os.path.islink(layout.current) and source and source.kind == "folder"
    folder = source.path if is_first and source else layout.current
    return load_client(folder=folder, config=service.config, name=service.name, environ=os.environ)


def _whoever() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


# --- doing it ------------------------------------------------------------------------------------------------------


def _deploy(service: Service, live: _Live, deployer: Deployer, order: Order, known: Deploy | None, is_dry: bool) -> int:
    need_bytes = sum(entry.size_bytes for entry in order.entries)
    if is_dry:
        facts = deployer.facts(need_bytes)
        order = _named(facts, order)
        if problem := plan.objection(facts):
            raise problem
        return _show_plan(service, facts, order, known)
    os.makedirs(deployer.layout.releases, exist_ok=True)
    with _ended_in_order(), held(deployer.layout, f"midair deploy {order.source.shown}"):
        facts = deployer.facts(need_bytes)
        order = _named(facts, order)
        if problem := plan.objection(facts):
            raise problem
        done = live.watched(lambda: deployer.deploy(facts, order))
    return _tell(service, live, deployer.layout, done)


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM and a terminal that goes away (ssh) end it as Ctrl-C does: what was begun is removed, what it started is ended."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _named(facts: Facts, order: Order) -> Order:
    name = plan.new_id(facts, order.name)
    if problem := plan.id_problem(facts, name):
        raise click.UsageError(f"--id {name}: {problem}")
    return Order(order.source, order.entries, order.revision, name, order.by)


def _go_back(service: Service, live: _Live, deployer: Deployer, name: str, is_dry: bool) -> int:
    if not os.path.isdir(deployer.layout.releases):
        raise UnknownRelease(f"there are no releases in {deployer.layout.root}", hint=NoRoot.hint)
    if is_dry:
        facts = deployer.facts()
        steps = plan.steps_back(facts, name or plan.release_before(facts))
        return _show_steps(service, facts, steps)
    with _ended_in_order(), held(deployer.layout, "midair deploy --rollback"):
        facts = deployer.facts()
        problem = plan.objection(facts, has_room=True)
        # What is being watched may be taken back; anything else has to wait until the update is over.
        if problem and not (problem.code == "deploy-updating" and not name):
            raise problem
        done = live.watched(lambda: deployer.go_to(facts, name) if name else deployer.go_back(facts))
    return _tell(service, live, deployer.layout, done)


def current_follows(service: Service) -> None:
    """After a rollback: where there are release folders, ``current`` names the one that serves."""
    address = service.address()
    if not service.name and layout_of(address.folder) is None:
        return
    try:
        report = client.ask_one(address, Status(), StatusReport)
    except MidairError:
        return
    layout = layout_of(report.folder)
    if layout is None or report.folder.rstrip("/") != layout.current:
        return
    live = _Live(service, address, layout, Reload(), 0.0)
    deployer = Deployer(layout, live, check=_check, environ=os.environ)
    try:
        with held(layout, "midair rollback"):
            before = deployer.facts().current
            now = deployer.follow()
    except DeployBusy as exc:
        service.show.note(f"current is left to whoever deploys: {exc}")
        return
    except OSError as exc:
        service.show.warning(f"{layout.current} cannot be changed: {exc.strerror}; a restart would start what it names")
        return
    if now != before and not service.show.as_json:
        service.show.note(f"current names {now} again")


def _check(loaded: Loaded) -> None:
    """As ``midair check``."""
    check_addresses(loaded)
    check_certificate(loaded.settings)
    check_traces(loaded.settings, os.environ)
    if loaded.settings.is_command:
        check_program(loaded.settings)
    else:
        import_application(loaded.settings, os.environ)


@dataclass(slots=True)
class _Times:
    """When each step began; what people see of it is a line a step."""

    progress: Progress
    began_s: float = field(default_factory=time.monotonic)
    time_s: float = field(default_factory=time.time)
    """The same moment, since the epoch."""
    steps: list[tuple[str, float]] = field(default_factory=list)

    def begins(self, step: Step) -> None:
        since_s = time.monotonic() - self.began_s
        self.steps.append((step.name, since_s))
        if step.name == "update":  # It has phases of its own.
            self.progress.end(since_s)
        else:
            self.progress.phase(step.name, since_s)

    def ends(self, *, is_good: bool) -> None:
        self.progress.end(time.monotonic() - self.began_s, is_good=is_good)
        self.steps.append(("", time.monotonic() - self.began_s))

    def taken(self) -> tuple[StepTaken, ...]:
        """Those that are over, for the receipt of the update: the last one is the update itself."""
        return tuple(
            StepTaken(step=name, time_s=self.time_s + at, took_s=after - at)
            for (name, at), (_, after) in zip(self.steps, self.steps[1:], strict=False)
        )[-STEPS_MAX:]

    def took(self) -> list[dict[str, object]]:
        return [
            {"step": name, "took_s": round(after - at, 3)}
            for (name, at), (_, after) in zip(self.steps, self.steps[1:], strict=False)
        ]


class _Live:
    """The service that runs, over its control socket; what it says is shown as it comes."""

    def __init__(
        self, service: Service, address: ServiceAddress, layout: Layout, asked: Reload, timeout_s: float
    ) -> None:
        self._show = service.show
        self._address = address
        self._layout = layout
        self._asked = asked
        self._timeout_s = timeout_s
        self.times = _Times(service.show.progress())

    def watched(self, do: Callable[[], Done]) -> Done:
        """Do it, with its steps shown. Ctrl-C while the service updates stops the watching, not the update."""
        try:
            with self.times.progress:
                done = do()
                self.times.ends(is_good=True)
        except BaseException:
            self.times.ends(is_good=False)
            raise
        return done

    def look(self) -> StatusReport | None:
        try:
            return client.ask_one(self._address, Status(), StatusReport)
        except NotRunning:
            return None

    def update(self, folder: str) -> Outcome:
        asked = self._asked
        expect = self._expected(folder)
        return self._follow(
            msgspec.structs.replace(asked, expect=expect, steps=self.times.taken()),
            "the next midair deploy lets current name what serves then",
        )

    def go_back(self) -> Outcome:
        asked = self._asked
        request = Rollback(
            now=asked.now, reason=asked.reason, traceparent=asked.traceparent, tracestate=asked.tracestate
        )
        return self._follow(request, "midair status shows it")

    def _follow(self, request: Reload | Rollback, meanwhile: str) -> Outcome:
        watcher = Watcher(self._show)
        try:
            with watcher.progress:
                outcome = client.follow(
                    self._address, request, told=watcher.told, timeout_s=self._timeout_s, wait="commit"
                )
                watcher.progress.end(outcome.duration_s or watcher.since_s, is_good=outcome.exit_code == DONE)
        except KeyboardInterrupt as exc:
            stopped = OutcomeUnknown(f"stopped watching; update {watcher.update} goes on", hint=meanwhile)
            raise stopped from exc
        return outcome

    def _expected(self, folder: str) -> str:
        """The version that the release has, if the service would find the same name; else empty."""
        from midair.release.survey import survey

        settings = load(sources_for_run(folder=folder, environ=os.environ), needs_target=True).settings
        if settings.version_from.partition(":")[0] not in NAMED_BY_FILES:
            return ""
        running = client.ask_one(self._address, Config(), ConfigReport).values
        if any(value.key == "version_from" and value.value != settings.version_from for value in running):
            return ""
        return survey(settings, 0, os.environ).version


# --- telling -------------------------------------------------------------------------------------------------------


def _tell(service: Service, live: _Live, layout: Layout, done: Done) -> int:
    outcome, show = done.outcome, service.show
    code = outcome.exit_code if outcome else DONE
    if show.as_json:
        show.json(
            {
                "release": done.current,
                "folder": layout.release(done.current) if done.current else "",
                "steps": live.times.took(),
                "outcome": json_of(outcome) if outcome else None,
                "removed": list(done.removed),
                "exit_code": code,
            }
        )
        return code
    if code not in (DONE, UNKNOWN) and outcome:
        fault = outcome.fault or Fault(UpdateError.code, f"the update was {outcome.result}")
        return show.failure(Fault(fault.code, f"{fault.message}; current names {done.current}", fault.hint), code)
    for name in done.removed:
        show.note(f"removed {name}")
    took = age(time.monotonic() - live.times.began_s)
    if outcome is None:
        show.line(f"prepared: {done.current} is current; {took}; nothing runs here yet")
        show.note(f"start it with midair run -C {layout.current}; midair systemd -C {layout.current} writes its unit")
    else:
        version = f"version {clean(outcome.version)}, " if outcome.version else ""
        show.line(f"deployed: {done.current} serves ({version}generation {outcome.generation}); {took}")
    return code


def _show_plan(service: Service, facts: Facts, order: Order, known: Deploy | None) -> int:
    steps = plan.first_steps(facts, order.name, order.source.shown)
    if known is not None:
        steps += plan.further_steps(facts, order.name, known)
    code = _show_steps(service, facts, steps)
    if not service.show.as_json:
        if order.entries:
            files = sum(entry.kind == "file" for entry in order.entries)
            service.show.note(f"{files} files, {size(facts.need_bytes)}; {size(facts.free_bytes)} free")
        if known is None:
            service.show.note("how it goes on from there, [deploy] in it says")
    return code


def _show_steps(service: Service, facts: Facts, steps: list[Step]) -> int:
    if service.show.as_json:
        service.show.json(
            {"root": facts.layout.root, "steps": [{"step": each.name, "what": each.shown} for each in steps]}
        )
    else:
        for each in steps:
            service.show.line(f"{each.name:12}{each.shown}")
        if not facts.serving:
            service.show.note("nothing runs here: the service is started by you afterwards")
    return DONE


def _list(service: Service, facts: Facts) -> int:
    rows = [
        (each.id, moment(each.created_s), plan.state_of(facts, each), each.revision[:10], each.by, each.source)
        for each in reversed(facts.releases)
    ]
    if service.show.as_json:
        found = [json_of(each) | {"state": plan.state_of(facts, each)} for each in facts.releases]
        service.show.json({"root": facts.layout.root, "current": facts.current, "releases": found})
    elif rows:
        service.show.table(("RELEASE", "MADE", "STATE", "COMMIT", "BY", "FROM"), rows)
    else:
        service.show.note(f"there is no release in {facts.layout.releases}")
    if facts.leftovers and not service.show.as_json:
        service.show.note(f"{len(facts.leftovers)} are not whole; the next deployment removes them")
    return DONE
