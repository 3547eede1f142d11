"""What ``midair new`` makes, before anything of it runs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from midair.__main__ import main
from midair.config.load import load, sources_for_run
from midair.scaffold.project import ROOM, TEMPLATES, BadProjectName, check_name, project_files

KINDS = list(TEMPLATES)
SOURCE = Path(__file__).parent.parent.parent / "src" / "midair" / "scaffold" / ROOM


def test_every_folder_of_templates_is_a_template() -> None:
    assert {path.name for path in SOURCE.iterdir() if path.is_dir()} == set(TEMPLATES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_project_has_a_page_a_style_a_test_and_a_readme(kind: str) -> None:
    made = project_files(kind, "shop")
    assert {"README.md", ".gitignore", "midair.toml"} <= made.keys()
    assert "midair dev" in made["README.md"]
    for part in ("index.html", "style.css", "test"):
        assert [path for path in made if part in path], part
    pages = [text for path, text in made.items() if path.endswith("index.html")]
    assert all("style.css" in page for page in pages)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("debian", [False, True])
def test_no_word_of_a_template_is_left_unfilled(kind: str, debian: bool) -> None:
    made = project_files(kind, "shop", debian=debian)
    assert "shop" in made["midair.toml"]
    for word in ("name", "prepare", "test", "parts"):
        assert not [path for path, text in made.items() if "{{" + word + "}}" in text], word


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_of_a_new_project_loads(kind: str, tmp_path: Path) -> None:
    text = project_files(kind, "shop")["midair.toml"]
    (tmp_path / "midair.toml").write_text(text)
    loaded = load(sources_for_run(folder=str(tmp_path), environ={}), needs_target=True)
    assert loaded.warnings == ()
    assert loaded.settings.name == "shop"
    # What is shown as a comment can be taken in as it stands.
    shown = "\n".join(line.removeprefix("# ") for line in text.splitlines())
    tomllib.loads(shown)


def test_gin_of_debian_needs_no_module_of_go() -> None:
    made = project_files("gin", "shop", debian=True)
    assert "go.mod" not in made
    assert "GO111MODULE=off" in made["build.sh"]
    assert "example.com/shop" in project_files("gin", "shop")["go.mod"]


@pytest.mark.parametrize("name", ["shop", "my-shop", "a1_b", "a" * 64])
def test_a_good_name_is_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("My Shop", "my-shop"),
        ("../shop", "shop"),
        ("9lives", "lives"),
        (".hidden", "hidden"),
        ("", ""),
        ("a" * 65, "a" * 64),
        ("shop\n", "shop"),
    ],
)
def test_a_bad_name_is_refused_with_a_better_one(name: str, hint: str) -> None:
    with pytest.raises(BadProjectName) as refused:
        check_name(name)
    assert refused.value.hint.endswith(hint)
    if hint:
        check_name(hint)


def test_new_writes_the_files_and_says_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "shop", "--template", "flask"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["  cd shop", "  midair dev"]
    assert {str(path.relative_to("shop")) for path in Path("shop").rglob("*") if path.is_file()} == set(
        project_files("flask", "shop")
    )
    assert stat.S_IMODE(os.stat("shop/main.py").st_mode) & 0o111 == 0


def test_what_is_there_is_never_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shop").mkdir()
    assert main(["new", "shop", "-t", "flask", "-C", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "exists already" in said
    assert list((tmp_path / "shop").iterdir()) == []
    (tmp_path / "link").symlink_to("nowhere")
    assert main(["new", "link", "-t", "flask", "-C", str(tmp_path)]) == 2
    assert not (tmp_path / "nowhere").exists()


def test_new_says_the_same_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "shop", "-t", "gin", "--debian", "-C", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["next"][-1] == "midair dev"
    assert said["files"] == sorted(project_files("gin", "shop", debian=True))


def test_debian_is_about_gin_alone(tmp_path: Path) -> None:
    assert main(["new", "shop", "-t", "flask", "--debian", "-C", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["new", "shop", "-t", "gin", "-C", str(tmp_path)]) == 0
    assert "go is not installed here" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("fastapi", "-m pytest -q -p no:cacheprovider -p no:randomly --rootdir . test_main.py"),
        ("flask", "-m pytest -q -p no:cacheprovider -p no:randomly --rootdir . test_main.py"),
        ("django", "manage.py test"),
    ],
)
def test_the_tests_of_a_new_project_pass(kind: str, line: str, tmp_path: Path) -> None:
    assert main(["new", "shop", "-t", kind, "-C", str(tmp_path)]) == 0
    done = subprocess.run(
        [sys.executable, *line.split()], cwd=tmp_path / "shop", capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
