"""``midair new``: a project that runs at once."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping

import click

from midair.cli.options import Place, place_options
from midair.errors import UsageError, WorldError
from midair.scaffold.project import TEMPLATES, project_files


class ProjectExists(UsageError):
    """Something has that name already. Nothing in it was changed."""

    code = "project-exists"
    hint = "choose another name; for a project that you have: midair init"


@click.command
@click.argument("name")
@click.option(
    "--template",
    "-t",
    "kind",
    required=True,
    type=click.Choice(list(TEMPLATES)),
    help="; ".join(f"{kind}: {template.summary}" for kind, template in TEMPLATES.items()) + ".",
)
@click.option("--debian", is_flag=True, help="gin: with the Gin of Debian's packages, nothing is downloaded.")
@place_options
def command(place: Place, *, name: str, kind: str, debian: bool) -> int:
    """Make a project in the new folder NAME: a page, its style, a test, and a midair.toml.

    \b
    midair new shop --template fastapi
    """
    if debian and kind != "gin":
        raise click.UsageError("--debian is about --template gin")
    made = project_files(kind, name, debian=debian)
    write_project(os.path.join(place.folder, name), made)
    steps = (f"cd {os.path.join(place.folder, name)}", "midair dev")
    missing = _missing(kind)
    if place.show.as_json:
        said = {"folder": os.path.join(place.folder, name), "template": kind, "files": sorted(made)}
        place.show.json({**said, "missing": missing, "next": steps})
        return 0
    place.show.line(f"made {name}: {TEMPLATES[kind].summary}, {len(made)} files")
    for step in steps:
        place.show.line(f"  {step}")
    for part, how in missing.items():
        place.show.warning(f"{part} is not installed here: {how}")
    return 0


def write_project(folder: str, texts: Mapping[str, str]) -> None:
    """Make ``folder`` with these files. Raises ProjectExists, and WorldError for what the disk refuses."""
    if os.path.lexists(folder):
        raise ProjectExists(f"{folder} exists already")
    try:
        for path, text in texts.items():
            whole = os.path.join(folder, *path.split("/"))
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            # Line ends as they are: a shell script must not get those of Windows.
            with open(whole, "x", encoding="utf-8", newline="") as file:
                file.write(text)
    except OSError as exc:
        raise WorldError(f"{exc.filename} cannot be written: {exc.strerror}") from exc


def _missing(kind: str) -> dict[str, str]:
    """What the project needs and is not here, and how to get it."""
    template = TEMPLATES[kind]
    found = {program: f"install {program}" for program in template.programs if shutil.which(program) is None}
    if os.path.realpath(os.environ.get("VIRTUAL_ENV") or sys.prefix) == os.path.realpath(sys.prefix):
        # Else the project runs in an interpreter that only a run of it could ask.
        absent = [module for module in template.modules if importlib.util.find_spec(module) is None]
        found |= {
            module: f"pip install {module}, in the environment of midair or a .venv of its own" for module in absent
        }
    return found
