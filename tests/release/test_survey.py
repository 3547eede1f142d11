"""A version is what it was where it was found, whatever a link to it names later."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from midair.release.survey import survey
from tests.release.conftest import AMBIENT, MakeSettings


def test_what_a_version_imports_later_comes_from_the_release_that_current_named(
    make_settings: MakeSettings, project: Path
) -> None:
    releases = project.parent / "releases"
    releases.mkdir()
    shutil.copytree(project, releases / "1")
    current = project.parent / "current"
    current.symlink_to("releases/1")
    found = survey(make_settings(folder=str(current), chdir="views"), 1, AMBIENT)
    assert found.home == str(releases / "1")
    assert found.folder == str(releases / "1" / "views"), "its import path would follow the link to the next release"


def test_an_environment_beside_current_is_known_by_its_release(make_settings: MakeSettings, project: Path) -> None:
    """Else its ``sys.prefix`` went through the link, and installed packages came from two releases."""
    from midair.release.interpreter import choose
    from midair.release.survey import at_home

    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").write_text("")
    current = project.parent / "current"
    current.symlink_to(project.name)
    settings = at_home(make_settings(folder=str(current), python=""))
    assert choose(settings, AMBIENT) == (f"{project}/.venv/bin/python", ".venv")


def test_while_it_is_developed_a_folder_is_known_as_it_was_typed(make_settings: MakeSettings, project: Path) -> None:
    current = project.parent / "current"
    current.symlink_to(project.name)
    settings = msgspec.structs.replace(make_settings(folder=str(current)), is_dev=True)
    assert survey(settings, 1, AMBIENT).folder == str(current)
