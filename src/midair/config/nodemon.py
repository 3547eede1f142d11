"""``nodemon.json``, or ``nodemonConfig`` in package.json, read as it is: a layer of our settings, and what is to be said about it.

Pure: content in, settings out. What a key becomes stands in ``nodemon_keys.py``. Which script runs without one is found as nodemon
finds it: ``main`` of package.json, index.js, the line of its ``start`` script.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from midair.config.keys import all_keys
from midair.config.layers import Document, Layer, Setting, shown, suggestion
from midair.config.lines import Path
from midair.config.nodemon_keys import by_name
from midair.config.origins import Origin
from midair.config.problems import Problem
from midair.config.shell_lines import command_of
from midair.config.theirs import FORMS, Note, TheirKey, is_of
from midair.config.units import read_duration

NODEMONS_DEFAULT = "nodemon's default"
SIGNALS = all_keys()["exit.signal"].choices


class NodemonRead(Struct, frozen=True):
    """What the file says. ``layer.warnings`` has what a developer is to see at each start; ``notes`` all."""

    layer: Layer
    notes: tuple[Note, ...]


class Package(Struct, frozen=True):
    """What nodemon looks up elsewhere."""

    content: Mapping[str, object] = field(default_factory=dict)
    """Of package.json."""
    has_index: bool = False
    """There is an index.js."""


class _File(Struct):
    document: Document
    given: dict[str, object] = field(default_factory=dict)
    layer: Layer = field(default_factory=Layer)
    notes: list[Note] = field(default_factory=list)

    def value(self, name: str) -> object:
        return self.given.get(name, by_name()[name].default)

    def text(self, name: str) -> str:
        return str(self.value(name))

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.given.get(name, ())
        return (
            (value,) if isinstance(value, str) else tuple(map(str, value)) if isinstance(value, (list, tuple)) else ()
        )

    def origin(self, *names: str) -> Origin:
        for name in names:
            if name in self.given:
                return self.document.origin(tuple(name.split(".")))
        return Origin("file", f"{self.document.shown_as} ({NODEMONS_DEFAULT})")

    def set(self, key: str, value: object, *names: str) -> None:
        self.layer.read(all_keys()[key], value, self.origin(*names), is_text=False)

    def warn(self, path: Path, text: str) -> None:
        self.layer.warnings.append(f"{self.document.origin(path)}: {text}")


def read_nodemon(document: Document, *, folder: str, package: Package | None = None) -> NodemonRead:
    """What ``document`` says, in our settings. folder: the service's, absolute."""
    file = _File(document)
    _take(file, document.content, ())
    _program(file, folder, package or Package())
    _watching(file, folder)
    _surroundings(file)
    return NodemonRead(file.layer, tuple(file.notes))


# --- what stands there ---------------------------------------------------------------------------------------------


def _take(file: _File, table: Mapping[str, object], inside: Path) -> None:
    for name, value in table.items():
        path = (*inside, name)
        dotted = ".".join(path)
        if key := by_name().get(dotted):
            _take_one(file, key, path, value)
        elif dotted == "events" and isinstance(value, Mapping):
            _take(file, value, path)
        else:
            hint = suggestion(name, [known.rpartition(".")[2] for known in by_name()])
            file.warn(path, f"nodemon has no {dotted} and passes over it" + (f"; {hint}" if hint else ""))


def _take_one(file: _File, key: TheirKey, path: Path, value: object) -> None:
    if not is_of(key.form, value):
        what = f"{key.name} = {shown(value)} is not {FORMS[key.form]}"
        file.layer.problems.append(Problem(str(file.document.origin(path)), what))
        return
    if key.verdict == "refused" and value != key.default:
        file.warn(path, f"{key.name} has no effect: {key.reason}")
    file.notes.append(Note(str(file.document.origin(path)), key.name, key.verdict, key.sentence))
    file.given[key.name] = value


# --- what it becomes -----------------------------------------------------------------------------------------------


def _program(file: _File, folder: str, package: Package) -> None:
    script = file.text("script")
    line = " ".join(file.texts("exec"))
    if not line and not script:
        script, line = _found(package)
    if not line and not script:
        return
    names = ("exec", "script", "args", "execArgs", "nodeArgs", "execMap")
    words = [*_runner(file, folder, line, script), *file.texts("args")]
    file.set("command", list(command_of(" ".join(words))), *names)
    # The program opens its port by itself, as it does under nodemon.
    file.set("listener", "lent", *names)
    file.set("bind", [], *names)


def _found(package: Package) -> tuple[str, str]:
    """Script and line that run if neither is named."""
    main, scripts = package.content.get("main"), package.content.get("scripts")
    if isinstance(main, str):
        return main, ""
    if package.has_index:
        return "index.js", ""
    start = scripts.get("start") if isinstance(scripts, Mapping) else None
    return "", start if isinstance(start, str) and "nodemon" not in start.split() else ""


def _runner(file: _File, folder: str, line: str, script: str) -> Iterable[str]:
    """What stands before the arguments: the runner, its own arguments, the script."""
    by_ending = file.value("execMap")
    assert isinstance(by_ending, Mapping)
    ending = posixpath.splitext(script)[1].removeprefix(".")
    known = {**by_name()["execMap"].default, **by_ending}  # type: ignore[dict-item]  # a default is of any kind
    runner = line or str(known.get(ending, "node"))
    filled = runner.replace("{{pwd}}", folder).replace("{{filename}}", script)
    arguments = [*file.texts("execArgs"), *(file.texts("nodeArgs") if filled == "node" else ())]
    return [filled, *arguments, *([script] if script and "{{filename}}" not in runner else [])]


def _watching(file: _File, folder: str) -> None:
    cwd = file.text("cwd")
    watched = [each for each in file.texts("watch") if each != "*.*"]
    paths = [_from(cwd, _before_star(each)) for each in watched if not each.startswith("!")]
    file.set("watch.paths", list(dict.fromkeys(paths)) or [cwd or "."], "watch", "cwd")
    file.set("watch.extensions", list(_endings(file)), "ext")
    away = [each.removeprefix("!") for each in watched if each.startswith("!")]
    lines = [_line_of(each, folder) for each in (*file.texts("ignoreRoot"), *file.texts("ignore"), *away)]
    if lines:
        file.set("watch.ignore", lines, "ignore", "ignoreRoot", "watch")
    # nodemon does not know .gitignore, and what is compiled is often not checked in.
    file.set("watch.gitignore", False)
    if file.value("legacyWatch"):
        file.set("watch.poll", "always", "legacyWatch")
    if "pollingInterval" in file.given:
        file.set("watch.poll_interval", f"{file.value('pollingInterval')}ms", "pollingInterval")
    _delay(file)


def _delay(file: _File) -> None:
    delay = file.text("delay")
    # A bare number is milliseconds here; on nodemon's command line it is seconds.
    seconds = int(delay) / 1000 if delay.isdigit() else read_duration(delay)
    if "delay" in file.given and seconds != 1.0:
        file.set("watch.delay", f"{seconds * 1000:g}ms", "delay")
        file.set("watch.delay_max", f"{max(2000.0, seconds * 2000):g}ms", "delay")


def _endings(file: _File) -> Iterable[str]:
    """nodemon takes ``js,ts``, ``.js ts`` and ``*.js``."""
    if "ext" in file.given:
        text = file.text("ext")
    else:
        ending = posixpath.splitext(file.text("script"))[1].removeprefix(".")
        text = "js,mjs,cjs,json" if ending in ("", "js", "mjs", "cjs") else f"{ending},json"
    return (each.removeprefix(".") for each in re.findall(r"[^,*\s]+", text))


def _before_star(pattern: str) -> str:
    """``src`` of ``src/**/*.ts``; ``.`` if it begins with a star."""
    whole = re.split(r"[*?\[{]", pattern, maxsplit=1)
    return whole[0].rpartition("/")[0] or "." if len(whole) > 1 else pattern


def _from(cwd: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(cwd, path))


def _line_of(pattern: str, folder: str) -> str:
    """A line of a .gitignore. Patterns begin anywhere for nodemon; there a slash inside anchors them."""
    if pattern.startswith(f"{folder}/"):
        return pattern.removeprefix(folder)
    plain = pattern.removeprefix("./")
    inner = plain.rstrip("/")
    return f"**/{plain}" if "/" in inner and not inner.startswith(("/", "**/")) and pattern == plain else plain


def _surroundings(file: _File) -> None:
    if cwd := file.text("cwd"):
        file.set("chdir", cwd, "cwd")
    values = file.value("env")
    assert isinstance(values, Mapping)
    for name, value in values.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        file.layer.settings[f"env.{name}"] = Setting(text, file.document.origin(("env", name)))
    _signal(file)
    if lines := [file.text(name) for name in ("events.start", "events.restart") if file.value(name)]:
        file.set("build.post", lines, "events.start", "events.restart")
    if file.value("events.quit"):
        file.set("dev.at_exit", [file.text("events.quit")], "events.quit")
    if file.value("verbose") or file.value("quiet"):
        file.set("log.level", "error" if file.value("quiet") else "debug", "quiet", "verbose")


def _signal(file: _File) -> None:
    if "signal" not in file.given:
        return
    name = file.text("signal").removeprefix("SIG")
    if name in SIGNALS:
        file.set("exit.signal", name, "signal")
    else:
        file.warn(("signal",), f"signal has no effect: a program is told by one of {', '.join(SIGNALS)}")


# --- JSON ----------------------------------------------------------------------------------------------------------


def json_lines(text: str) -> dict[Path, int]:
    """Line (from 1) of every key of a JSON document. text: what ``json`` has read. Pure; a key inside a list has none."""
    lines: dict[Path, int] = {}
    place: list[str] = []
    last, is_list = "", [False]
    for match in _TOKEN.finditer(text):
        token, colon = match[0].rstrip(": \t\r\n"), match[1]
        if colon and not any(is_list):
            last = json.loads(token)
            lines.setdefault((*place[1:], last), text.count("\n", 0, match.start()) + 1)
        elif token == "{":
            is_list.append(False)
            place.append(last)
        elif token == "[":
            is_list.append(True)
            place.append(last)
        elif token in ("}", "]"):
            is_list.pop()
            place.pop()
    return lines


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?|[{}\[\]]')
