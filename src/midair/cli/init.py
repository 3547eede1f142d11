"""``midair init``: look at a project, say what was found and what became of it, and write its midair.toml."""

from __future__ import annotations

import os
import re
import shutil
import sys

import click

from midair.cli.foreign import FLAGS
from midair.cli.options import Place, place_options
from midair.cli.run import command as run_command
from midair.cli.running import KEYS
from midair.cli.show import Show
from midair.config import file
from midair.config.keys import SECRETS
from midair.config.places import folder_as_typed
from midair.errors import UsageError, WorldError
from midair.scaffold.document import text_of, without_problems, written
from midair.scaffold.evidence import Old, Value
from midair.scaffold.flags import Table
from midair.scaffold.folder import read_folder, read_text
from midair.scaffold.proposal import Proposal, Report, propose


class ConfigExists(UsageError):
    """The folder has a configuration. It was not touched."""

    code = "config-exists"
    hint = "to see what would be written: --dry-run; to replace it, a copy is kept: --force"


@click.command
@click.option("--app", default="", metavar="TARGET", help="module:attribute, if there are several applications.")
@click.option(
    "--from", "sources", multiple=True, metavar="FILE", help="Look at this file, too, and first: a unit, say; several."
)
@click.option("--dry-run", is_flag=True, help="Print what would be written.")
@click.option("--force", is_flag=True, help="Replace a midair.toml that is there; a copy is kept.")
@place_options
def command(place: Place, *, app: str, sources: tuple[str, ...], dry_run: bool, force: bool) -> int:
    """Look at the project here: its application, how it was started before (Procfile, unit, gunicorn.conf.py, Dockerfile, …).
    Say what was found and what each old setting became, and write a small midair.toml. Nothing of the project is run.

    \b
    midair init --dry-run
    midair init --from /etc/supervisor/conf.d/shop.conf
    """
    folder = folder_as_typed(place.folder, os.environ)
    if not os.path.isdir(folder):
        raise UsageError(f"there is no folder {folder}")
    files = read_folder(folder) | {source: _named(source) for source in sources}
    proposal = propose(files, flag_table(), app=app, first=sources)
    for choice, why in without_problems(proposal):
        said = _said(choice.key, choice.value)
        proposal.warnings.append(f"{choice.key} = {said} ({choice.why}) was left out: {why}")
    text = text_of(proposal)
    kept = "" if dry_run else _write(folder, text, is_forced=force, show=place.show)
    if place.show.as_json:
        place.show.json(_as_json(proposal, text, is_written=not dry_run, kept=kept))
        return 0
    _tell(place.show, proposal)
    if dry_run:
        place.show.line()
        place.show.raw(text)
    else:
        place.show.line(f"wrote {file.OWN}" + (f"; the one before is {kept}" if kept else ""))
        place.show.line("next: midair check, then midair dev or midair run")
    return 0


def flag_table() -> Table:
    """What our own command line says of flags: which key each sets, ours and those of others that have a counterpart."""
    keys = {
        flag: KEYS[str(param.name)]
        for param in run_command.params
        if isinstance(param, click.Option) and param.name in KEYS
        for flag in param.opts
    }
    keys["--name"] = "name"
    for flag, answer in FLAGS.items():
        if match := re.match(r"write --set ([\w.]+)=", answer):
            keys[flag] = match[1]
        elif (match := re.match(r"write (--[\w-]+)", answer)) and match[1] in keys:
            keys[flag] = keys[match[1]]
    return Table(keys, FLAGS)


def _named(path: str) -> str:
    text = read_text(path)
    if text is None:
        raise UsageError(f"--from {path}: no text file that can be read")
    return text


# --- writing -------------------------------------------------------------------------------------------------------


def _write(folder: str, text: str, *, is_forced: bool, show: Show) -> str:
    """Write the file. Returns the name of the copy of the one before, if there was one. Raises ConfigExists, WorldError."""
    path = os.path.join(folder, file.OWN)
    there = file.find(folder, "")
    if there and not is_forced and not _is_allowed(there, show):
        what = "[tool.midair] of pyproject.toml" if os.path.basename(there) == file.SHARED else there
        raise ConfigExists(f"{what} is there already")
    try:
        kept = _keep(path) if os.path.lexists(path) else ""
        with open(f"{path}.new", "x", encoding="utf-8") as new:
            new.write(text)
        if kept:
            shutil.copymode(path, f"{path}.new")
        os.replace(f"{path}.new", path)
    except OSError as exc:
        raise WorldError(f"{exc.filename} cannot be written: {exc.strerror}") from exc
    return kept


def _is_allowed(there: str, show: Show) -> bool:
    """Ask whoever sits at the terminal."""
    if show.as_json or not sys.stdin.isatty():
        return False
    return click.confirm(f"{there} is there already. Replace it? A copy is kept.", err=True)


def _keep(path: str) -> str:
    """A copy of the file, under a name that nothing has. Returns that name."""
    number = 0
    while os.path.lexists(copy := f"{path}.bak{number or ''}"):
        number += 1
    shutil.copy2(path, copy)
    return os.path.basename(copy)


# --- telling -------------------------------------------------------------------------------------------------------


def _tell(show: Show, proposal: Proposal) -> None:
    width = max(
        [12, *(len(old.written) for report in proposal.reports for old in report.olds if len(old.written) <= 44)]
    )
    for report in proposal.reports:
        show.line(f"found {_name(report)}")
        for old in report.olds:
            show.line(f"    {old.written:{width}}  {_became(old)}")
    for warning in proposal.warnings:
        show.warning(warning)


def _name(report: Report) -> str:
    where = f" ({report.where})" if report.where else ""
    return f"{report.what}{where}" + (f": {report.note}" if report.note else "")


def _became(old: Old) -> str:
    if not old.key:
        return f"- {old.answer}"
    if old.key == "process":
        return "[[process]]"
    return f"{old.key} = {_said(old.key, old.value)}" + (f"  ({old.answer})" if old.answer else "")


def _said(key: str, value: Value) -> str:
    """A value for people: those that may be secrets stand in the file alone."""
    return "…" if key.startswith("env.") or key in SECRETS else written(value)


def _as_json(proposal: Proposal, text: str, *, is_written: bool, kept: str) -> dict[str, object]:
    found = [
        {
            "what": report.what,
            "where": report.where,
            "note": report.note,
            "settings": [{"was": old.written, "is": _became(old), "key": old.key} for old in report.olds],
        }
        for report in proposal.reports
    ]
    return {
        "found": found,
        "warnings": proposal.warnings,
        "file": file.OWN,
        "written": is_written,
        "copy": kept,
        "text": text,
    }
