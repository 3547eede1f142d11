"""What compilers print, as they printed it (``outputs/``), becomes the file, the line and the sentence that a person needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.browser import errors
from midair.browser.messages import Error
from midair.errors import Fault

OUTPUTS = Path(__file__).parent / "outputs"
FOLDER = "/home/dev/shop"

FIRST_ERRORS = {
    "python-raises": (
        "JSONDecodeError",
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        "shop/raises.py:5:22",
    ),
    "python-syntax": ("SyntaxError", "'{' was never closed", "shop/syntax.py:2:10"),
    "python-indentation": ("IndentationError", "unexpected indent", "app.py:3:0"),
    "python-indented": ("NameError", "name 'undefined_name' is not defined", "app.py:3:13"),
    "python-missing": ("ModuleNotFoundError", "No module named 'shop.missing'", "app.py:1:0"),
    "python-cause": ("RuntimeError", "no settings:\nlook at SETTINGS", "app.py:5:0"),
    "python-group": ("ExceptionGroup", "two things (2 sub-exceptions)", "app.py:2:0"),
    "tsc": ("TS2322", "Type 'string' is not assignable to type 'number'.", "src/app.ts:7:9"),
    "tsc-pretty": ("TS2322", "Type 'string' is not assignable to type 'number'.", "src/app.ts:7:9"),
    "esbuild-syntax": ("", 'Expected ")" but found "}"', "src/broken.js:5:1"),
    "esbuild-resolve": ("", 'Could not resolve "./missing.js"', "src/resolve.js:1:24"),
    "vite-syntax": ("PARSE_ERROR", "Expected `,` or `)` but found `}`", "src/broken.js:5:1"),
    "vite-resolve": ("UNRESOLVED_IMPORT", "Could not resolve './missing.js' in src/resolve.js", "src/resolve.js:1:24"),
    "go-syntax": ("", "syntax error: unexpected }, expecting expression", "main.go:5:1"),
    "go-types": ("", 'imported and not used: "net/http"', "main.go:5:2"),
    "go-vet": ("", "undeclared name: sum", "main.go:9:11"),
    "mypy": ("", 'Incompatible return value type (got "int", expected "str")  [return-value]', "t.py:2:0"),
    "ruff": ("", "I001 [*] Import block is un-sorted or un-formatted", "t.py:1:1"),
    "ruff-full": ("", "I001 [*] Import block is un-sorted or un-formatted", "t.py:1:1"),
}


@pytest.mark.parametrize("name", FIRST_ERRORS)
def test_the_first_error_of_a_compiler_is_found(name: str) -> None:
    error = errors.read("build", (OUTPUTS / f"{name}.txt").read_text(), FOLDER)
    found = (error.title, error.message, f"{error.file}:{error.line}:{error.column}")
    assert found == FIRST_ERRORS[name]
    assert error.phase == "build"
    assert "\x1b" not in error.detail


def test_every_output_that_was_kept_is_read() -> None:
    assert {path.stem for path in OUTPUTS.glob("*.txt")} == set(FIRST_ERRORS)


def test_what_nobody_understands_is_shown_with_its_last_line() -> None:
    error = errors.read("build", "make: entering\n\x1b[31mmake: *** no rule\x1b[0m\n\n", FOLDER)
    assert (error.message, error.file, error.detail) == ("make: *** no rule", "", "make: entering\nmake: *** no rule")


def test_python_s_column_is_moved_by_the_indentation_that_a_traceback_leaves_out() -> None:
    error = errors.read("import", (OUTPUTS / "python-indented.txt").read_text(), FOLDER)
    lines = ["def f():", "    if True:", "        return 1 +  undefined_name", "f()"]
    shown = errors.around(error, lines)
    assert shown.column == lines[2].index("undefined_name") + 1
    assert shown.source == tuple(enumerate(lines, 1))


def test_the_lines_around_are_read_from_the_project(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("".join(f"line {n}\n" for n in range(1, 21)))
    shown = errors.with_source(Error(phase="build", title="", message="m", file="a.py", line=10), str(tmp_path))
    assert [number for number, _ in shown.source] == list(range(7, 14))
    gone = Error(phase="build", title="", message="m", file="gone.py", line=10)
    assert errors.with_source(gone, str(tmp_path)) == gone


def test_an_update_s_fault_becomes_an_error_with_its_phase_and_who_serves() -> None:
    detail = (OUTPUTS / "python-syntax.txt").read_text()
    error = errors.of_fault(Fault("app-syntax", "shop/syntax.py is no Python", "", detail), FOLDER, serving=41)
    assert (error.phase, error.title, error.line, error.serving) == ("import", "SyntaxError", 2, 41)
    silent = errors.of_fault(Fault("not-ready", "generation 8 was not ready after 30 s"), FOLDER)
    assert (silent.phase, silent.title, silent.message) == (
        "start-up",
        "not-ready",
        "generation 8 was not ready after 30 s",
    )


def test_an_error_is_short_enough_to_be_passed_around() -> None:
    long = Error(
        phase="build", title="t" * 999, message="m" * 99_999, detail="d" * 99_999, source=((1, "x" * 999),) * 99
    )
    assert len(str(long.bounded())) < 40_000
