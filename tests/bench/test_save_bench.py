"""The bench about saves, small: what it measures is there, and what it is to show holds in small as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import projects, reloaders, save


@pytest.mark.parametrize("make", projects.ALL)
def test_an_application_is_what_it_is_said_to_be(tmp_path: Path, make: projects.Make) -> None:
    project = make()
    modules = {"tiny": 1, "heavy": 30, "big": 200}[project.name]
    own = [name for name in project.files if not name.endswith("__init__.py")]
    assert modules <= len(own) <= modules * 1.1
    project.write(tmp_path)
    for name in project.files:
        compile((tmp_path / name).read_bytes(), name, "exec")
    for name in project.edited:
        content = project.text(name, "0007")
        assert len(content) == len(project.files[name])
        assert content.count(b"0007") == 1
    assert project.stamp(project.edited[-1], "-".join(["0000"] * (len(project.edited) - 1) + ["0007"])) == "0007"
    assert project.stamp(project.edited[0], "") == ""


def test_what_is_not_installed_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloaders, "PEERS", (replace(reloaders.NODEMON, program="/nowhere/nodemon"),))
    assert reloaders.here() == ((reloaders.MIDAIR,), ["nodemon"])


@pytest.mark.alone
@pytest.mark.slow
def test_every_save_is_answered_and_no_request_is_lost() -> None:
    done = save.run(reloaders.MIDAIR, projects.tiny(), edits=2, settles_s=0.5, apart_s=1.0)
    assert (len(done.first_s), len(done.later_s), done.edits) == (1, 2, 3)
    assert done.report.requests > 10
    assert done.report.failed == 0, done.report.summary()


@pytest.mark.alone
@pytest.mark.slow
def test_of_two_saves_within_a_second_the_second_is_served() -> None:
    assert save.pairs(reloaders.MIDAIR, 2) == 2


@pytest.mark.alone
@pytest.mark.slow
def test_many_files_that_are_rewritten_together_are_one_update() -> None:
    assert save.many_files(reloaders.MIDAIR, 100, quiet_s=1.0) == 1
