"""Where a command line that started the project may stand: systemd, supervisord, Procfile, Dockerfile, Compose, Python, scripts."""

from __future__ import annotations

import ast
import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from midair.scaffold.applications import import_folder
from midair.scaffold.evidence import Application, Files, Old, Process, Start
from midair.scaffold.flags import SERVERS, Table, read_line, read_words, simple_commands, translated
from midair.scaffold.literals import Literal, Unknown, dotted, known, literal, parsed

Reader = Callable[[str, str, Table], Iterator[Start]]


def starts(files: Files, found: Sequence[Application], table: Table, first: Sequence[str] = ()) -> list[Start]:
    """All that are found, in the order in which they count: production before development.

    found: the applications of the project. first: files that count before all others.
    """
    ranked: list[tuple[bool, float, Start]] = [
        (path not in first, rank, start)
        for path in sorted(files)
        for rank, (is_one, read) in enumerate(READERS)
        if is_one(path, files[path])
        for start in read(path, files[path], table)
    ]
    ranked += [(True, PYTHON_RANK, start) for start in _in_python(files, found, table)]
    return [start for _, _, start in sorted(ranked, key=lambda each: each[:2])]


def _a_start(line: str, where: str, table: Table) -> Start | None:
    """How a shell line starts something: a server of applications, or any program."""
    commands = simple_commands(line)
    start = read_line(line, where, table)
    if start is None:
        words = next((words for words in reversed(commands) if words[0] != "cd"), [])
        return Start(posixpath.basename(words[0]), where, command=_as_command(line)) if words else None
    return replace(start, olds=(*_ran_before(commands, where, table), *start.olds))


def _ran_before(commands: list[list[str]], where: str, table: Table) -> Iterator[Old]:
    """What ran before the server on the same line, such as migrations."""
    place = next((n for n, words in enumerate(commands) if read_words(words, where, table)), 0)
    earlier = [
        words for words in commands[:place] if words[0] not in ("cd", "set", "export", "echo", "source", ".", "sleep")
    ]
    if any(FOR_A_SHELL.search(word) for words in earlier for word in words):
        answer = "ran before each start: write it under [hooks], before, where it runs before each version"
        yield Old(" && ".join(map(shlex.join, earlier)), answer=answer)
    elif len(earlier) == 1:
        yield Old(shlex.join(earlier[0]), "hooks.before", tuple(earlier[0]), "once an update, not once a start")
    elif earlier:
        line = " && ".join(map(shlex.join, earlier))
        yield Old(line, "hooks.before", ("sh", "-c", line), "once an update, not once a start")


FOR_A_SHELL = re.compile(r"[$`<>*?~(]")
"""Words with these are not what they look like until a shell has read them."""


def _as_command(line: str) -> tuple[str, ...]:
    """A line as arguments, if no shell has to read it; a shell that does gives its place to the one program there is."""
    commands = simple_commands(line)
    if len(commands) == 1 and not FOR_A_SHELL.search(line):
        return tuple(commands[0])
    is_one = len(commands) == 1 and not line.lstrip().startswith("exec ")
    return ("sh", "-c", f"exec {line}" if is_one and not re.match(r"\s*\w+=", line) else line)


# --- systemd, supervisord ------------------------------------------------------------------------------------------


def _systemd(path: str, text: str, table: Table) -> Iterator[Start]:
    olds = []
    found = None
    for number, key, value in _ini(text):
        if key == "ExecStart":
            found = _a_start(value.lstrip("-@:+!"), f"{path}:{number}", table)
        elif key == "ExecReload":
            olds.append(Old(f"ExecReload={value}", answer="in the unit: ExecReload=… midair reload"))
        elif key in ("Environment", "EnvironmentFile"):
            olds.append(
                Old(f"{key}={value.partition('=')[0]}", answer="stays in the unit: midair passes its environment on")
            )
        elif key == "Type" and value != "notify":
            olds.append(Old(f"Type={value}", answer="in the unit: Type=notify (docs: systemd)"))
    if found:
        yield replace(found, olds=(*found.olds, *olds))


def _supervisord(path: str, text: str, table: Table) -> Iterator[Start]:
    programs: dict[str, dict[str, tuple[int, str]]] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\[(?:program:)?([^]]+)\]", line.strip()):
            section = match[1] if line.strip().startswith("[program:") else ""
        elif section and (match := re.match(r"(\w+)\s*=\s*(.*?)(?:\s;.*)?$", line.strip())):
            programs.setdefault(section, {})[match[1]] = number, match[2]
    found = {
        name: start
        for name, keys in programs.items()
        if "command" in keys and (start := read_line(keys["command"][1], f"{path}:{keys['command'][0]}", table))
    }
    others = tuple(
        Process(name, _as_command(keys["command"][1]), f"{path}:{keys['command'][0]}")
        for name, keys in programs.items()
        if "command" in keys and name not in found
    )
    for name, start in found.items():
        yield replace(start, olds=(*start.olds, *_of_program(programs[name])), processes=others)


def _of_program(keys: dict[str, tuple[int, str]]) -> Iterator[Old]:
    answers = {
        "user": "supervisord, or the unit that runs midair, sets it",
        "environment": "under [env] (no value was read): it is not there without supervisord",
        "autorestart": "not needed for workers: midair replaces those that end",
        "stopsignal": "TERM is a stop; HUP, USR1 and USR2 are updates",
        "numprocs": "workers says how many; one midair is one service",
    }
    for key, answer in answers.items():
        if key in keys:
            yield Old(f"{key}={keys[key][1].partition('=')[0]}", answer=answer)
    stop_s = keys["stopwaitsecs"][1] if "stopwaitsecs" in keys else ""
    if stop_s.isdecimal() and int(stop_s):
        yield Old(f"stopwaitsecs={stop_s}", "stop.timeout", f"{stop_s}s")


def _ini(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, key and value."""
    for number, line in _whole_lines(text):
        key, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith(("#", ";")):
            yield number, key.strip(), value.strip()


def _whole_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with the numbers of their beginnings; those that go on after a backslash are put together."""
    whole, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        began = began or number
        whole += line.strip()
        if whole.endswith("\\"):
            whole = whole[:-1] + " "
            continue
        yield began, whole
        whole, began = "", 0


# --- Procfile, Docker ----------------------------------------------------------------------------------------------


def _procfile(path: str, text: str, table: Table) -> Iterator[Start]:
    lines = {
        match[1]: (match[2].strip(), f"{path}:{number}")
        for number, line in enumerate(text.splitlines(), 1)
        if (match := re.match(r"([A-Za-z0-9_-]+):\s*(.+)", line))
    }
    if "web" not in lines:
        return
    start = _a_start(*lines["web"], table)
    if start is None:
        return
    before = tuple(
        Old(f"release: {line}", "hooks.before", _as_command(line), "before each version")
        for name, (line, _) in lines.items()
        if name == "release"
    )
    others = tuple(
        Process(name, _as_command(line), where)
        for name, (line, where) in lines.items()
        if name not in ("web", "release")
    )
    yield replace(start, olds=(*before, *start.olds), processes=others)


def _dockerfile(path: str, text: str, table: Table) -> Iterator[Start]:
    """The last CMD counts, behind the last ENTRYPOINT if that is a list, too."""
    said: dict[str, tuple[list[str] | str, int]] = {}
    for number, line in _whole_lines(text):
        if match := re.match(r"(CMD|ENTRYPOINT)\s+(.+)", line, re.IGNORECASE):
            said[match[1].upper()] = _json_list(match[2]) or match[2], number
    entry, place = said.get("ENTRYPOINT", ("", 0))
    words, place = said.get("CMD", ("", place))
    parts = [part if isinstance(part, str) else shlex.join(part) for part in (entry, words) if part]
    for tried in (parts[-1:], parts):
        if start := read_line(" ".join(tried), f"{path}:{place}", table):
            yield start
            return


def _json_list(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [str(each) for each in found] if isinstance(found, list) else []


def _compose(path: str, text: str, table: Table) -> Iterator[Start]:
    """YAML as far as a ``command:`` goes: on its line, as a list, or as a block of text below it."""
    lines = text.splitlines()
    for place, line in enumerate(lines):
        match = re.match(r"(\s*)(?:command|entrypoint):\s*(.*)$", line)
        if match is None:
            continue
        indent, value = len(match[1]), match[2].strip()
        below = []
        for after in lines[place + 1 :]:
            if after.strip() and len(after) - len(after.lstrip()) <= indent and not after.lstrip().startswith("- "):
                break
            below.append(after.strip())
        if value in ("", ">", "|", ">-", "|-"):
            items = [part.removeprefix("- ").strip().strip("'\"") for part in below if part.startswith("- ")]
            value = shlex.join(items) if items else " ".join(part for part in below if part)
        else:
            value = shlex.join(_json_list(value)) or value.strip("'\"")
        if start := read_line(value, f"{path}:{place + 1}", table):
            yield start


# --- Python, scripts -----------------------------------------------------------------------------------------------

CALLS = {"uvicorn.run": "uvicorn", "waitress.serve": "waitress-serve"}
OWN_SERVERS = ("Flask", "Quart", "APIFlask", "Sanic")
"""Frameworks whose applications have a ``run()``."""


def _in_python(files: Files, found: Sequence[Application], table: Table) -> Iterator[Start]:
    """``uvicorn.run("shop:app", …)`` and ``app.run(…)``."""
    for path in sorted(files):
        text = files[path]
        if not path.endswith(".py") or not re.search(r"\brun\(|\bserve\(", text):
            continue
        here = {app.target.rpartition(":")[2]: app for app in found if app.where.rpartition(":")[0] == path}
        if (here or "uvicorn" in text or "waitress" in text) and (tree := parsed(text)):
            yield from _calls(path, tree, here, files, table)


def _calls(path: str, tree: ast.Module, here: dict[str, Application], files: Files, table: Table) -> Iterator[Start]:
    names = known(tree)
    plain = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        full = next((call for call in CALLS if name in plain and call.endswith(f".{name}")), name)
        owner = here.get(name.removesuffix(".run"))
        where = f"{path}:{node.lineno}"
        if full in CALLS and node.args:
            target, chdir = _given(node.args[0], path, files)
            options = list(_keywords(node, names))
            olds = tuple(translated(options, CALLS[full], table))
            yield Start(f"{full}()", where, target, ("--factory", True) in options, chdir=chdir, olds=olds)
        elif name.endswith(".run") and owner and owner.framework in OWN_SERVERS:
            options = [(flag, value) for flag, value in _keywords(node, names) if flag in ("--host", "--port")]
            yield Start(
                f"{name}()", where, owner.target, chdir=owner.chdir, olds=tuple(translated(options, "flask", table))
            )


def _given(node: ast.expr, path: str, files: Files) -> tuple[str, str]:
    """The application that a call is given, and from where it is imported: a text, or an object of this very file."""
    chdir = import_folder(path, files)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value, chdir
    if isinstance(node, ast.Name):
        module = path.removeprefix(f"{chdir}/" if chdir else "").removesuffix(".py").replace("/", ".")
        return f"{module}:{node.id}", chdir
    return "", chdir


def _keywords(node: ast.Call, names: dict[str, Literal]) -> Iterator[tuple[str, Literal]]:
    for keyword in node.keywords:
        if keyword.arg is None:
            continue
        flag = "--" + keyword.arg.replace("_", "-")
        try:
            value = literal(keyword.value, names)
        except Unknown:
            value = f"${keyword.arg}" if flag not in ("--host", "--port") else None
        if value is None:
            continue
        yield ("--no-" + flag[2:], True) if value is False else (flag, value)


def _script(path: str, text: str, table: Table) -> Iterator[Start]:
    for number, line in enumerate(text.replace("\\\n", "  ").splitlines(), 1):
        plain = line.strip().lstrip("@-")
        if plain.startswith("#") or "install" in plain or not any(server in plain for server in SERVERS):
            continue
        if start := read_line(plain, f"{path}:{number}", table):
            yield start


# --- which file is what --------------------------------------------------------------------------------------------


def _named(*patterns: str) -> Callable[[str, str], bool]:
    return lambda path, text: any(re.fullmatch(pattern, posixpath.basename(path)) for pattern in patterns)


READERS: tuple[tuple[Callable[[str, str], bool], Reader], ...] = (
    (_named(r".+\.service"), _systemd),
    (lambda path, text: "[program:" in text and path.endswith((".conf", ".ini")), _supervisord),
    (_named("Procfile"), _procfile),
    (_named(r"(Dockerfile|Containerfile)(\..+)?", r".+\.(D|d)ockerfile"), _dockerfile),
    (_named(r"(docker-)?compose.*\.ya?ml"), _compose),
    (_named(r".+\.sh", "Makefile", "justfile"), _script),
)
"""In the order in which they count; what stands in Python comes before scripts, which are often for development."""
PYTHON_RANK = 4.5
