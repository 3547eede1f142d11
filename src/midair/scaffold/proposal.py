"""From what was found to what midair.toml is to say, and what is told about it. Pure."""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from midair.config.air import read_air, without_rules
from midair.config.keys import all_keys
from midair.config.layers import Document, Layer
from midair.config.lines import key_lines
from midair.config.names import AIR
from midair.errors import UsageError
from midair.scaffold.applications import applications
from midair.scaffold.evidence import NOWHERE, Application, Files, Interface, Old, Process, Project, Start, Value
from midair.scaffold.flags import Table, as_written
from midair.scaffold.gunicorn import config_of, read_config
from midair.scaffold.kills import kills
from midair.scaffold.programs import front_end, manners_of, projects
from midair.scaffold.starts import starts


class NothingFound(UsageError):
    """There is no application and no program here that midair could run."""

    code = "nothing-to-run"
    hint = "name it: midair init --app module:attribute; to begin anew: midair new NAME --template fastapi"


@dataclass(frozen=True, slots=True)
class Choice:
    """A line of midair.toml, and why it is there."""

    key: str
    value: Value
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """Something that was found, and what became of its parts."""

    what: str
    where: str
    olds: tuple[Old, ...] = ()
    note: str = ""


@dataclass(slots=True)
class Proposal:
    """What midair.toml is to say, and what people are told."""

    choices: list[Choice] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    hints: list[tuple[str, ...]] = field(default_factory=list)
    """Tables for the file that are comments: what one may want next. One whose table is there already is left out."""

    def take(self, key: str, value: Value, why: str) -> None:
        """The first who says something about a key counts."""
        if key not in {choice.key for choice in self.choices}:
            self.choices.append(Choice(key, value, why))


def propose(files: Files, table: Table, *, app: str = "", first: Sequence[str] = ()) -> Proposal:
    """Look at everything, choose what runs, and take over what was said about it before.

    app: what somebody has chosen. first: files whose start counts before all others. Raises NothingFound.
    """
    if app and not is_target(app):
        raise NothingFound(f"{app!r} is not module:attribute", hint='such as --app "shop.main:app"')
    found = applications(files)
    before = starts(files, found, table, first)
    others = projects(files)
    proposal = Proposal()
    basis = _basis(before, app)
    if app or found or (basis and basis.target):
        _of_application(proposal, _chosen(found, basis, app), basis, files, table)
    elif air := next((path for path in AIR if path in files), ""):
        _of_air(proposal, air, files[air])
    elif program := next((each for each in others if each.command), None):
        _of_project(proposal, program, files)
    elif start := next((each for each in before if each.command), None):
        _of_program(proposal, start, files)
    else:
        raise NothingFound("nothing that midair could run was found", detail=_in_vain(others, files))
    _mention_others(proposal, found, before, basis, others)
    _warn_of_signals(proposal, files)
    return proposal


def _basis(before: Sequence[Start], app: str) -> Start | None:
    """The way it was started that counts; one of another application says nothing about the chosen one."""
    servers = [start for start in before if start.is_server and (is_target(start.target) or not start.target)]
    return next((start for start in servers if not app or start.target == app), None)


def is_target(text: str) -> bool:
    """Whether it is ``module:attribute``, each of words with dots between."""
    module, _, attribute = text.partition(":")
    return all(word.isidentifier() for part in (module, attribute) for word in part.split("."))


def _chosen(found: Sequence[Application], basis: Start | None, app: str) -> Application:
    """The application that runs: as asked for, as it was started before, or the clearest."""
    wanted = app or (basis.target if basis else "")
    if not wanted:
        return found[0]
    where = basis.where if basis else "--app"
    known = next((each for each in found if each.target == wanted), None)
    if known is None:
        # Not found by reading: a library makes it, or a function of another name. The line says what it is.
        interface: Interface = "wsgi" if basis and basis.by in ("gunicorn", "flask", "waitress-serve") else "asgi"
        chdir = basis.chdir if basis else ""
        return Application(wanted, "", interface, where, chdir, bool(basis and basis.is_factory))
    return replace(known, is_factory=known.is_factory or bool(basis and basis.is_factory))


def _of_application(proposal: Proposal, app: Application, basis: Start | None, files: Files, table: Table) -> None:
    what = app.framework or "an application"
    proposal.take("app", app.target, f"{what}, {app.where}")
    if app.is_factory:
        proposal.take("factory", True, "it is called to make the application")
    if chdir := (basis.chdir if basis and basis.chdir else app.chdir):
        proposal.take("chdir", chdir, "where its modules are imported from")
    proposal.reports.append(Report(what, app.where, note=app.target))
    if basis:
        _take_over(proposal, basis, app)
    conf = config_of(files, basis.config if basis and basis.by == "gunicorn" else "")
    if conf and (basis is None or basis.by == "gunicorn"):
        olds = _taken(proposal, _fitting(read_config(conf, files[conf], table), app), conf)
        proposal.reports.append(Report("gunicorn's configuration", conf, olds))
    elif basis and basis.config and basis.by == "gunicorn":
        proposal.warnings.append(f"{basis.where} names {basis.config}, which is not here: midair init --from FILE")
    if app.interface == "wsgi" and ((basis and basis.by == "gunicorn") or conf):
        _keep_one_at_a_time(proposal)
    if app.framework.startswith("Django"):
        proposal.hints.append(MIGRATIONS)
    if page := front_end(files):
        proposal.hints.append(
            (
                "[[dev.process]]   # midair dev starts it, too",
                f'name = "{page.name}"',
                f"command = {json.dumps(page.command)}   # {page.where}",
                *((f'cwd = "{page.cwd}"',) if page.cwd else ()),
            )
        )


MIGRATIONS = (
    "[hooks]",
    'before = ["python", "manage.py", "migrate", "--noinput"]   # with the new code; if it fails, the update is refused',
)


def _take_over(proposal: Proposal, start: Start, app: Application | None) -> None:
    olds = _taken(proposal, _fitting(start.olds, app), start.where)
    proposal.processes += start.processes
    others = tuple(Old(process.name, "process", process.command) for process in start.processes)
    proposal.reports.append(Report(start.by, start.where, (*olds, *others)))


def _fitting(olds: Sequence[Old], app: Application | None) -> list[Old]:
    """Threads of a WSGI server mean nothing to an ASGI application."""
    if app is None or app.interface == "wsgi":
        return list(olds)
    answer = "means nothing to an ASGI application; left out"
    return [Old(old.written, answer=answer) if old.key == "serve.wsgi_threads" else old for old in olds]


def _taken(proposal: Proposal, olds: Sequence[Old], where: str) -> tuple[Old, ...]:
    """Take over what has a key. Returns the same for the report, saying which of two counts."""
    told = []
    for old in olds:
        became = old
        earlier = next((choice for choice in proposal.choices if choice.key == old.key), None)
        if old.key and earlier is None:
            proposal.choices.append(Choice(old.key, old.value, f"{where}, {old.answer}" if old.answer else where))
        elif earlier is not None and earlier.value != old.value:
            became = Old(
                old.written, answer=f"left out: {earlier.why.partition(',')[0]} says {earlier.key}, and counts"
            )
        told.append(became)
    return tuple(told)


def _keep_one_at_a_time(proposal: Proposal) -> None:
    """gunicorn's plain workers answer one request at a time, and an application may rely on that."""
    written = " ".join(old.written for report in proposal.reports for old in report.olds)
    kind = re.search(r"worker.class[ =]+(\S+)", written)
    if (kind is None or kind[1].endswith("sync")) and "threads" not in written:
        why = "gunicorn's sync workers answer one request at a time; midair's own default is 10"
        proposal.take("serve.wsgi_threads", 1, why)
        proposal.reports.append(
            Report("gunicorn's sync workers", "", (Old("no --threads", "serve.wsgi_threads", 1, why),))
        )


def _of_project(proposal: Proposal, project: Project, files: Files) -> None:
    proposal.take("command", project.command, f"{project.kind}, {project.where}")
    olds = [*manners_of(files), *project.olds]
    if project.build:
        olds += [Old("its build", "build.build", (project.build,), "midair dev: at each save")]
        olds += [Old("its build", "hooks.before", ("sh", "-c", project.build), "midair run: at each update")]
    told = _taken(proposal, olds, project.where)
    proposal.reports.append(Report(project.kind, project.where, told, " ".join(project.command)))
    proposal.warnings += project.notes


def _of_program(proposal: Proposal, start: Start, files: Files) -> None:
    proposal.take("command", start.command, start.where)
    _take_over(proposal, replace(start, olds=(*manners_of(files), *start.olds)), None)


def _of_air(proposal: Proposal, path: str, text: str) -> None:
    """Air's file says the same in other words. Without a midair.toml ``midair dev`` reads it as it is; beside one it does not."""
    try:
        document = Document(posixpath.basename(path), tomllib.loads(text), key_lines(text))
    except tomllib.TOMLDecodeError as exc:
        raise NothingFound(f"{path} is not TOML: {exc}") from exc
    rules = read_air(document, folder=NOWHERE).rules
    read = read_air(without_rules(document), folder=NOWHERE)
    lines = [str(line) for key in ("build.pre", "build.build") for line in _value_of(read.layer, key)]
    if lines:
        proposal.take("hooks.before", ("sh", "-c", " && ".join(lines)), f"{path}, midair run: at each update")
    for name, setting in read.layer.settings.items():
        key = all_keys().get(name)
        if key is not None and setting.value != key.default:
            proposal.take(name, as_written(key, setting.value), str(setting.origin))
    olds = tuple(Old(note.key, answer=note.text) for note in read.notes)
    proposal.reports.append(Report("Air", path, olds, "midair dev reads it as it is where there is no midair.toml"))
    proposal.warnings += [*read.layer.warnings, *map(str, read.layer.problems)]
    proposal.warnings += [
        f"{rule.origin}: the rule {rule.name} is not taken over: write a [[watch.action]]" for rule in rules
    ]


def _value_of(layer: Layer, key: str) -> tuple[object, ...]:
    value = layer.settings[key].value if key in layer.settings else ()
    return value if isinstance(value, tuple) else ()


def _mention_others(
    proposal: Proposal,
    found: Sequence[Application],
    before: Sequence[Start],
    basis: Start | None,
    others: Sequence[Project],
) -> None:
    """What was found and does not count, so that nobody thinks it was not seen."""
    app = next((str(choice.value) for choice in proposal.choices if choice.key == "app"), "")
    rest = [each for each in found if each.target != app]
    is_named = any(each.is_named for each in found if each.target == app)
    for each in rest:
        proposal.reports.append(Report(each.framework, each.where, note=f"{each.target}, not chosen"))
    if rest and not basis and not is_named:
        proposal.warnings.append(f"{app or 'the program'} was chosen; for another: --app {rest[0].target}")
    told = {report.where for report in proposal.reports}
    for start in before:
        if start is not basis and start.where not in told:
            by = basis.where if basis else "what was chosen"
            proposal.reports.append(Report(start.by, start.where, note=f"not taken over: {by} counts"))
    for project in others:
        if project.where not in told:
            proposal.reports.append(
                Report(project.kind, project.where, note=project.notes[0] if app and project.notes else "beside it")
            )


def _warn_of_signals(proposal: Proposal, files: Files) -> None:
    for where, signal, meaning in kills(files):
        if signal != "SIGHUP":
            proposal.warnings.append(f"{where} sends {signal}: {meaning}")
        elif not where.partition(":")[0].endswith(".service"):  # there ExecReload has been told already
            proposal.reports.append(Report("kill -HUP", where, note=meaning))


def _in_vain(others: Sequence[Project], files: Files) -> str:
    """What was found and cannot be run; and libraries that something must be made with."""
    lines = [f"{project.kind} ({project.where}): {note}" for project in others for note in project.notes]
    lines += [f"{name} is in {path}, and no application is made of it in a file" for path, name in _required(files)]
    return "\n".join(lines)


def _required(files: Files) -> Iterator[tuple[str, str]]:
    names = ("fastapi", "flask", "django", "litestar", "starlette", "quart")
    for path, text in files.items():
        if path == "pyproject.toml" or path.rpartition("/")[2].startswith("requirements"):
            yield from ((path, name) for name in names if re.search(rf"(?im)^[\s\"']*{name}\b", text))
