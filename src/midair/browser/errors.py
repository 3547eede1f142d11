"""From what a compiler printed, or a traceback, to what a person needs first: which file, which line, what is wrong.

    Python (traceback, SyntaxError, groups)   tsc, plain and pretty   esbuild   Vite (Rolldown)   go build, go vet
    whatever says FILE:LINE:COLUMN: MESSAGE or points with "--> FILE:LINE:COLUMN" (mypy, ruff, gcc, rustc, …)

The first error is taken: the others often follow from it. What nobody here understands is shown as it is, with its last line as
the message. ``read`` and ``of_fault`` are pure; ``with_source`` looks at the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import msgspec

from midair.browser.messages import Error
from midair.errors import Fault

AROUND = 3
"""Lines shown before and after the one that is wrong."""
FILE_MAX_BYTES = 4 * 1024 * 1024

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_FRAME = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:, in .+)?$')
_RAISED = re.compile(r"^(?P<title>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")
_GROUP = re.compile(r"^ +[|+] ?")
_MARKS = re.compile(r"^\s*[~^]+[~^ ]*$")
_TSC = re.compile(
    r"^(?P<file>[^\n(:]+?)(?:\((?P<line>\d+),(?P<column>\d+)\):|:(?P<line_>\d+):(?P<column_>\d+) -)"
    r" error (?P<title>TS\d+): (?P<message>.*)$"
)
_ESBUILD = re.compile(r"^\S+ \[ERROR\] (?P<message>.+)$")
_PLACE = re.compile(r"^\s+(?P<file>\S.*?):(?P<line>\d+):(?P<column>\d+):$")
_ROLLDOWN = re.compile(r"^\[(?P<title>[A-Z][A-Z_]+)\] (?P<message>.+)$")
_FRAMED = re.compile(r"^\s*╭─\[ (?P<file>.+?):(?P<line>\d+):(?P<column>\d+) \]")
_POINTED = re.compile(r"^\s*--> (?P<file>.+?):(?P<line>\d+):(?P<column>\d+)\s*$")
_PLAIN = re.compile(
    r"^(?:vet: )?(?P<file>[\w./@+-][^:\n]*?\.\w+):(?P<line>\d+):(?:(?P<column>\d+):)?\s*"
    r"(?:(?:fatal )?error:? )?(?P<message>\S.*)$"
)

_PHASES = {
    "startup": "start-up",
    "not-ready": "start-up",
    "app-": "import",
    "import": "import",
    "serve-": "import",
    "hook": "hook",
    "config": "configuration",
    "bad-config": "configuration",
    "bake": "health",
}
"""By the beginning of a fault's code."""


def read(phase: str, text: str, folder: str) -> Error:
    """The first error in what a step printed. folder: the project's; files in it are named relative to it."""
    plain = _ANSI.sub("", text).replace("\r\n", "\n").strip("\n")
    lines = plain.split("\n")
    for reader in _READERS:
        found = reader(lines, folder)
        if found is not None:
            break
    else:
        found = Error(phase="", title="", message=_last_words(lines))
    return msgspec.structs.replace(found, phase=phase, file=_relative(found.file, folder), detail=plain)


def of_fault(fault: Fault, folder: str, *, serving: int = 0) -> Error:
    """Why a version does not serve, as an update's end has it."""
    phase = next((phase for code, phase in _PHASES.items() if fault.code.startswith(code)), fault.code)
    error = read(phase, fault.detail, folder)
    if not error.title:
        error = msgspec.structs.replace(error, title=fault.code, message=fault.message)
    return msgspec.structs.replace(error, serving=serving)


def with_source(error: Error, folder: str) -> Error:
    """The same with the lines around, if the file can be read. What the compiler showed stays otherwise."""
    if not error.file or not error.line:
        return error
    path = os.path.join(folder, error.file)
    try:
        if os.path.getsize(path) > FILE_MAX_BYTES:
            return error
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\n")
    except (OSError, ValueError):
        return error
    return around(error, lines)


def around(error: Error, lines: list[str]) -> Error:
    """The same with these lines of its file. Python shows a line without its indentation: the column is moved by that."""
    if not 0 < error.line <= len(lines):
        return error
    column, text = error.column, lines[error.line - 1]
    shown = dict(error.source).get(error.line, "")
    if column and shown and text != shown and text.strip() == shown.strip():
        column += len(text) - len(text.lstrip()) - (len(shown) - len(shown.lstrip()))
    first = max(1, error.line - AROUND)
    last = min(len(lines), error.line + AROUND)
    source = tuple((number, lines[number - 1]) for number in range(first, last + 1))
    return msgspec.structs.replace(error, column=column, source=source)


# --- one compiler each: the first error in these lines, or None ---------------------------------------------------------


def _python(lines: list[str], folder: str) -> Error | None:
    is_group = any("Exception Group Traceback" in line for line in lines)
    if is_group:
        lines = [_GROUP.sub("", line, count=1) for line in lines]
    # The last traceback is the one that was not caught; those above it are its causes.
    begins = [number for number, line in enumerate(lines) if "Traceback (most recent call last)" in line]
    block = lines[begins[-1] :] if begins else lines
    frames = [(number, frame) for number, line in enumerate(block) if (frame := _FRAME.match(line))]
    if not frames:
        return None
    last = frames[-1][0]
    raised = next((n for n in range(last + 1, len(block)) if _RAISED.match(block[n])), None)
    if raised is None:
        return None
    head = _RAISED.match(block[raised])
    assert head is not None
    message = "\n".join([head["message"] or "", *_until(block[raised + 1 :], is_group)]).strip()
    title = head["title"].rpartition(".")[2]
    is_syntax = ", in " not in block[last]
    at, frame = frames[-1] if is_syntax else _ours(frames, folder)
    line, shown, column = int(frame["line"]), "", 0
    below = block[at + 1 : raised]
    if below and not _FRAME.match(below[0]) and not _MARKS.match(below[0]):
        shown = below[0].strip()
        if len(below) > 1 and _MARKS.match(below[1]):
            column = _caret(below[1]) - (len(below[0]) - len(below[0].lstrip())) + 1
    source = ((line, shown),) if shown else ()
    return Error(
        phase="", title=title, message=message, file=frame["file"], line=line, column=max(column, 0), source=source
    )


def _until(lines: list[str], is_group: bool) -> list[str]:
    """The further lines of a message, up to what is printed after it."""
    kept = []
    for line in lines:
        if not line.strip() or (is_group and set(line) & {"+"} and "---" in line):
            break
        kept.append(line)
    return kept


def _ours(frames: list[tuple[int, re.Match[str]]], folder: str) -> tuple[int, re.Match[str]]:
    """The innermost frame that is the project's own code; of none, the innermost."""
    own = [frame for frame in frames if _is_own(frame[1]["file"], folder)]
    return own[-1] if own else frames[-1]


def _is_own(file: str, folder: str) -> bool:
    relative = _relative(file, folder)
    hidden = {"site-packages", "node_modules", ".venv", "venv"} & set(relative.split("/"))
    return not os.path.isabs(relative) and not relative.startswith("<") and not hidden


def _caret(marks: str) -> int:
    """Where in a line of marks the trouble is: its carets, else its beginning."""
    return marks.index("^") if "^" in marks else len(marks) - len(marks.lstrip())


def _tsc(lines: list[str], folder: str) -> Error | None:
    for line in lines:
        if found := _TSC.match(line):
            row, column = found["line"] or found["line_"], found["column"] or found["column_"]
            return _made(found["title"], found["message"], found["file"], row, column)
    return None


def _esbuild(lines: list[str], folder: str) -> Error | None:
    return _below(lines, _ESBUILD, _PLACE, first_column=0)


def _rolldown(lines: list[str], folder: str) -> Error | None:
    return _below(lines, _ROLLDOWN, _FRAMED)


def _pointed(lines: list[str], folder: str) -> Error | None:
    for number, line in enumerate(lines):
        if number and (place := _POINTED.match(line)):
            return _made("", lines[number - 1].strip(), place["file"], place["line"], place["column"])
    return None


def _plain(lines: list[str], folder: str) -> Error | None:
    for line in lines:
        if found := _PLAIN.match(line):
            return _made("", found["message"], found["file"], found["line"], found["column"])
    return None


_Reader = Callable[[list[str], str], Error | None]
_READERS: tuple[_Reader, ...] = (_python, _tsc, _esbuild, _rolldown, _pointed, _plain)


def _below(lines: list[str], head: re.Pattern[str], place: re.Pattern[str], first_column: int = 1) -> Error | None:
    """An error whose place stands in the lines below it."""
    for number, line in enumerate(lines):
        if not (found := head.match(line)):
            continue
        at = next((match for below in lines[number + 1 : number + 4] if (match := place.match(below))), None)
        title = found.groupdict().get("title") or ""
        if at is None:
            return Error(phase="", title=title, message=found["message"])
        return _made(title, found["message"], at["file"], at["line"], str(int(at["column"]) + 1 - first_column))
    return None


def _made(title: str, message: str, file: str, line: str, column: str | None) -> Error:
    return Error(phase="", title=title, message=message, file=file.strip(), line=int(line), column=int(column or 0))


def _relative(file: str, folder: str) -> str:
    if not file or file.startswith("<"):
        return ""
    if not os.path.isabs(file):
        return os.path.normpath(file)
    return os.path.relpath(file, folder) if file.startswith(os.path.join(folder, "")) else file


def _last_words(lines: list[str]) -> str:
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
