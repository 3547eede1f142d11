"""Only files of the project are opened, and by an argument list that no file name can change."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.browser import editor


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("code", ["code", "-g", "/p/a.py:3:7"]),
        ("/usr/bin/code --wait", ["/usr/bin/code", "--wait", "-g", "/p/a.py:3:7"]),
        ("emacsclient", ["emacsclient", "-n", "+3:7", "/p/a.py"]),
        ("pycharm", ["pycharm", "--line", "3", "/p/a.py"]),
        ("my-editor {file} --at {line},{column}", ["my-editor", "/p/a.py", "--at", "3,7"]),
        ("something", ["something", "/p/a.py"]),
    ],
)
def test_editors_are_told_the_place_in_their_own_way(line: str, arguments: list[str]) -> None:
    assert editor.command(line, "/p/a.py", 3, 7) == arguments


def test_a_file_s_name_stays_one_argument_whatever_is_in_it() -> None:
    name = '/p/$(touch x) {line}; "`rm`".py'
    assert editor.command("code -g {file}:{line}", name, 3, 1) == ["code", "-g", f"{name}:3"]


def test_the_editor_is_the_configured_one_else_that_of_the_environment_unless_it_needs_the_terminal() -> None:
    assert editor.choose("code -w", {"VISUAL": "subl"}) == "code -w"
    assert editor.choose("", {"VISUAL": "subl", "EDITOR": "vim"}) == "subl"
    assert editor.choose("", {"VISUAL": "/usr/bin/vim", "EDITOR": "gvim -f"}) == "gvim -f"
    assert editor.choose("", {"EDITOR": "nano"}) == ""
    assert editor.choose("", {"EDITOR": "'"}) == ""


def test_only_files_of_the_project_are_opened(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "shop").mkdir(parents=True)
    (project / "shop" / "a.py").write_text("x")
    (tmp_path / "secret").write_text("x")
    (project / "link.py").symlink_to(tmp_path / "secret")
    assert editor.within(str(project), "shop/a.py") == str((project / "shop" / "a.py").resolve())
    for typed in (
        "../secret",
        str(tmp_path / "secret"),
        "link.py",
        "shop",
        "",
        "shop/a.py\0",
        "gone.py",
        "/etc/passwd",
    ):
        with pytest.raises(ValueError, match="no file of the project"):
            editor.within(str(project), typed)
