"""Air's ``.air.toml``, read as it is: a layer of our settings, and what is to be said about it.

Pure: content in, settings out. What a key becomes stands in ``air_keys.py``. Where Air is silent we are not: it passes over
misspelt keys and over values that are empty or zero.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from midair.config.air_keys import COMMON, PLATFORMS, RULES, by_name
from midair.config.keys import all_keys
from midair.config.layers import Document, Layer, Setting, shown, suggestion
from midair.config.lines import Path
from midair.config.origins import Origin
from midair.config.problems import Problem
from midair.config.schema import WatchAction
from midair.config.shell_lines import command_of
from midair.config.theirs import FORMS, Note, TheirKey, is_duration, is_of
from midair.config.units import read_duration, write_duration

POLL_LEAST_MS = 500
NS_FROM = 1_000_000
"""A ``kill_delay`` without a unit is in nanoseconds from this on."""
TMP_DEFAULT = "tmp"
AIRS_DEFAULT = "Air's default"


class Rule(Struct, frozen=True):
    """One ``[[build.rules]]``: a line that runs when such a file changes, which then leads to no build."""

    name: str
    line: str
    folders: tuple[str, ...]
    endings: tuple[str, ...]
    files: tuple[str, ...]
    exceptions: tuple[str, ...]
    """Regular expressions."""
    origin: Origin


class AirRead(Struct, frozen=True):
    """What an Air file says. ``layer.warnings`` has what a developer is to see at each start; ``notes`` all."""

    layer: Layer
    notes: tuple[Note, ...]
    rules: tuple[Rule, ...] = ()
    """What ``watch.action`` of the layer was made from."""


class _Given(Struct, frozen=True):
    value: object
    path: Path


class _File(Struct):
    """A file on its way to a layer."""

    document: Document
    platform: str
    given: dict[str, _Given] = field(default_factory=dict)
    layer: Layer = field(default_factory=Layer)
    notes: list[Note] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    root: str = "."
    """From the folder where commands run."""

    def from_root(self, path: str) -> str:
        """A path of the file, from the folder where commands run."""
        return os.path.normpath(os.path.join(self.root, path))

    def value(self, name: str) -> object:
        return self.given[name].value if name in self.given else by_name()[name].default

    def text(self, name: str) -> str:
        return str(self.value(name))

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.value(name)
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, (list, tuple)) else ()

    def number(self, name: str) -> int:
        value = self.value(name)
        return value if isinstance(value, int) else 0

    def is_on(self, name: str) -> bool:
        return self.value(name) is True

    def origin(self, *names: str) -> Origin:
        """Of the first of these keys that stands in the file."""
        for name in names:
            if name in self.given:
                return self.document.origin(self.given[name].path)
        return Origin("file", f"{self.document.shown_as} ({AIRS_DEFAULT})")

    def set(self, key: str, value: object, *names: str) -> None:
        """Our ``key``, as midair.toml would have it, because of these keys of Air."""
        self.layer.read(all_keys()[key], value, self.origin(*names), is_text=False)

    def refuse(self, path: Path, message: str, hint: str = "") -> None:
        self.layer.problems.append(Problem(str(self.document.origin(path)), message, hint))

    def warn(self, path: Path, text: str) -> None:
        self.layer.warnings.append(f"{self.document.origin(path)}: {text}")


def read_air(document: Document, *, folder: str, home: str = "", platform: str = "linux") -> AirRead:
    """What ``document`` says, in our settings.

    folder: where commands run, absolute. home: the user's; watching all of it is refused. platform: which of
    ``[build.linux]`` and the others counts.
    """
    file = _File(document, platform)
    _take(file, document.content, ())
    _prefer_platform(file)
    if _has_good_root(file, folder, home):
        _program(file)
        _steps(file)
        _watching(file)
        _actions(file, folder)
        _leaving(file)
        _surroundings(file)
    return AirRead(file.layer, tuple(file.notes), tuple(file.rules))


def without_rules(document: Document) -> Document:
    """The same file, as if no rule stood in it."""
    build = document.content.get("build")
    if not isinstance(build, Mapping):
        return document
    rest = {name: value for name, value in build.items() if name != "rules"}
    return replace(document, content={**document.content, "build": rest})


# --- what stands there ---------------------------------------------------------------------------------------------


def _take(file: _File, table: Mapping[str, object], inside: Path) -> None:
    """Every key of ``table``: known and of its form, or told."""
    for name, value in table.items():
        path = (*inside, name)
        dotted = ".".join(path)
        if dotted == "build.rules":
            _take_rules(file, value)
        elif path[:1] == ("build",) and path[1:2] and path[1] in PLATFORMS and isinstance(value, Mapping):
            _take_platform(file, path[1], value)
        elif key := by_name().get(dotted):
            _take_one(file, key, path, value)
        elif isinstance(value, Mapping) and dotted in _tables():
            _take(file, value, path)
        else:
            what = f"[{dotted}]" if isinstance(value, Mapping) else dotted
            hint = suggestion(name, [known.rpartition(".")[2] for known in (*by_name(), *_tables())])
            file.warn(path, f"Air has no {what} and passes over it" + (f"; {hint}" if hint else ""))


def _tables() -> frozenset[str]:
    return frozenset(name.partition(".")[0] for name in by_name() if "." in name)


def _take_platform(file: _File, platform: str, table: Mapping[str, object]) -> None:
    for name, value in table.items():
        path = ("build", platform, name)
        if name not in COMMON:
            file.warn(path, f"Air has no build.{platform}.{name} and passes over it")
        elif platform == file.platform:
            _take_one(file, by_name()[f"build.{name}"], path, value)
        else:
            file.notes.append(Note(str(file.document.origin(path)), ".".join(path), "same", "for another system"))


def _take_one(file: _File, key: TheirKey, path: Path, value: object) -> None:
    dotted = ".".join(path)
    if not is_of(key.form, value):
        file.refuse(path, f"{dotted} = {shown(value)} is not {FORMS[key.form]}")
        return
    if not value and not isinstance(value, list) and key.default:
        file.warn(path, f"{dotted} = {shown(value)}: Air passes over it, so it is {shown(key.default)}")
        return
    # A proxy is refused once, and only if there was to be one.
    if key.verdict == "refused" and value != key.default and not dotted.startswith("proxy."):
        file.warn(path, f"{dotted} has no effect: {key.reason}")
    file.notes.append(Note(str(file.document.origin(path)), dotted, key.verdict, key.sentence))
    file.given[dotted] = _Given(value, path)


def _take_rules(file: _File, value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(table, Mapping) for table in value):
        file.refuse(("build", "rules"), "build.rules is not an array of tables", "write [[build.rules]]")
        return
    for place, table in enumerate(value):
        _take_rule(file, place, table)


def _take_rule(file: _File, place: int, table: Mapping[str, object]) -> None:
    here: Path = ("build", "rules", str(place))
    keys = {key.name: key for key in RULES}
    values: dict[str, object] = {name: key.default for name, key in keys.items()}
    is_good = True
    for name, value in table.items():
        if name not in keys:
            file.warn((*here, name), f"Air has no build.rules.{name} and passes over it")
        elif not is_of(keys[name].form, value):
            is_good = False
            file.refuse((*here, name), f"build.rules.{name} = {shown(value)} is not {FORMS[keys[name].form]}")
        else:
            values[name] = value
            where = str(file.document.origin((*here, name)))
            file.notes.append(Note(where, f"build.rules.{name}", keys[name].verdict, keys[name].sentence))
    if is_good and not values["cmd"]:
        file.refuse(here, "a rule needs cmd")
    elif is_good and not any(values[name] for name in ("include_dir", "include_ext", "include_file")):
        file.refuse(here, "a rule needs include_dir, include_ext or include_file")
    elif is_good and (wrong := _wrong_expression(_rule(file, place, values).exceptions)):
        file.refuse((*here, "exclude_regex"), f"build.rules.exclude_regex has {wrong}")
    elif is_good:
        file.rules.append(_rule(file, place, values))


def _rule(file: _File, place: int, values: Mapping[str, object]) -> Rule:
    def texts(name: str) -> tuple[str, ...]:
        value = values[name]
        return tuple(map(str, value)) if isinstance(value, (list, tuple)) else ()

    origin = file.document.origin(("build", "rules", str(place)))
    endings = tuple(each.strip().lstrip(".") for each in texts("include_ext"))
    name = str(values["name"]) or f"rule-{place}"
    return Rule(
        name, str(values["cmd"]), texts("include_dir"), endings, texts("include_file"), texts("exclude_regex"), origin
    )


def _seconds(delay: object) -> float:
    """Of a ``kill_delay``."""
    if isinstance(delay, str) and delay.isdigit():
        delay = int(delay)
    if isinstance(delay, int):
        return delay / (1000 if delay < NS_FROM else 1_000_000_000)
    return read_duration(delay) if isinstance(delay, str) and is_duration(delay) else 0.0


def _prefer_platform(file: _File) -> None:
    """What stands under this system's table replaces the general key; Air passes over empty texts there, too."""
    for name in COMMON:
        own = file.given.pop(f"build.{file.platform}.{name}", None)
        if own is not None and own.value != "":
            file.given[f"build.{name}"] = own


# --- what it becomes -----------------------------------------------------------------------------------------------


def _has_good_root(file: _File, folder: str, home: str) -> bool:
    """Find the root, from ``folder``; whether all that is watched would be inside of a project."""
    typed = file.text("root")
    beside_home = home + typed[1:] if typed == "~" or typed.startswith("~/") else typed
    root = os.path.normpath(os.path.join(folder, beside_home))
    path: Path = ("root",)
    if root in {"/", "/root", os.path.normpath(home or "/")} and not file.is_on("build.ignore_dangerous_root_dir"):
        file.refuse(path, f"root is {root}: far too much to watch", "go to a project's folder")
        return False
    file.root = os.path.relpath(root, folder)
    if file.root.startswith(".."):
        file.refuse(path, f"root = {shown(typed)} is outside of {folder}", f"type midair dev -C {shlex.quote(root)}")
        return False
    return True


def _program(file: _File) -> None:
    """Air gives one line to a shell: the program, a space, its arguments as they are."""
    line = " ".join([*_program_words(file), *file.texts("build.args_bin")])
    names = ("build.full_bin", "build.entrypoint", "build.bin", "build.args_bin")
    file.set("command", list(command_of(line)), *names)
    # The program opens its port by itself, as it does under Air.
    file.set("listener", "lent", *names)
    file.set("bind", [], *names)


def _program_words(file: _File) -> list[str]:
    if file.value("build.full_bin"):
        return [file.text("build.full_bin")]
    if entrypoint := [part for part in file.texts("build.entrypoint") if part]:
        return [_entry(file, entrypoint[0]), *entrypoint[1:]]
    built = file.text("build.bin") if "build.bin" in file.given else f"{file.text('tmp_dir')}/main"
    return [_dotted(os.path.normpath(built))]


def _entry(file: _File, program: str) -> str:
    """The first word of ``entrypoint``: looked up in PATH if it has no slash, else a path from root."""
    return program if "/" not in program else _dotted(file.from_root(program))


def _dotted(path: str) -> str:
    """As a path, not as a name that is looked up."""
    return path if os.path.isabs(path) else f"./{path}"


def _steps(file: _File) -> None:
    tmp = file.text("tmp_dir")
    is_default = "build.cmd" not in file.given
    made = [] if is_default else [f"mkdir -p {shlex.quote(file.from_root(tmp))}"]
    line = file.text("build.cmd")
    if is_default and tmp != TMP_DEFAULT:
        line = f"go build -o {shlex.quote(_dotted(f'{tmp}/main'))} ."
    file.set("build.build", [line], "build.cmd")
    if pre := [*made, *file.texts("build.pre_cmd")]:
        file.set("build.pre", pre, "build.pre_cmd", "tmp_dir")
    at_exit = list(file.texts("build.post_cmd"))
    if file.is_on("misc.clean_on_exit") and (place := _removable(file, tmp)):
        at_exit.append(f"rm -rf {shlex.quote(place)}")
    if at_exit:
        file.set("dev.at_exit", at_exit, "build.post_cmd", "misc.clean_on_exit")


def _removable(file: _File, tmp: str) -> str:
    """``tmp_dir`` if it may be removed at the end: a folder inside of root, not root itself."""
    place = file.from_root(tmp)
    if os.path.isabs(place) or place == "." or place.startswith("..") or place == file.from_root("."):
        file.warn(("tmp_dir",), f"misc.clean_on_exit: {tmp} is not a folder of the project and stays")
        return ""
    return place


def _watching(file: _File) -> None:
    named = [*(file.texts("build.include_dir") or (".",)), *file.texts("build.include_file")]
    paths = [file.from_root(path) for path in named]
    file.set("watch.paths", paths, "build.include_dir", "build.include_file", "root")
    endings = file.texts("build.include_ext")
    file.set(
        "watch.extensions",
        [] if "*" in endings else [each.strip().lstrip(".") for each in endings],
        "build.include_ext",
    )
    file.set("watch.ignore", list(_ignored(file)), "build.exclude_dir", "build.exclude_file", "tmp_dir")
    _expressions(file)
    # Air does not know .gitignore, and people do not check in what they generate.
    file.set("watch.gitignore", False)
    if file.is_on("build.poll"):
        file.set("watch.poll", "always", "build.poll")
    if interval_ms := file.number("build.poll_interval"):
        file.set("watch.poll_interval", f"{max(interval_ms, POLL_LEAST_MS)}ms", "build.poll_interval")
    if "build.delay" in file.given and (delay_ms := file.number("build.delay")) != by_name()["build.delay"].default:
        file.set("watch.delay", f"{delay_ms}ms", "build.delay")
        file.set("watch.delay_max", f"{max(2000, 2 * delay_ms)}ms", "build.delay")


def _ignored(file: _File) -> Iterable[str]:
    """Lines of a .gitignore. Those of folders are anchored: Air compares whole paths."""
    yield ".*/"
    tmp = file.text("tmp_dir")
    folders = [tmp, file.text("testdata_dir")]
    folders += [
        tmp if each == TMP_DEFAULT and "build.exclude_dir" not in file.given else each
        for each in file.texts("build.exclude_dir")
    ]
    for each in dict.fromkeys(os.path.normpath(each) for each in folders if each.strip("/ ")):
        if _has_rule(file, each):
            continue  # A rule counts inside of what is excluded; the rest of it is hidden by an expression.
        yield f"/{_literally(file.from_root(each))}/"
    for each in file.texts("build.exclude_file"):
        yield f"/{file.from_root(each)}"
    built = file.from_root(file.text("build.bin"))
    if "build.bin" in file.given and not built.startswith(("/", "..", f"{file.from_root(tmp)}/")):
        yield f"/{_literally(built)}"


def _has_rule(file: _File, excluded: str) -> bool:
    return any(f"{os.path.normpath(each)}/".startswith(f"{excluded}/") for rule in file.rules for each in rule.folders)


def _literally(path: str) -> str:
    return re.sub(r"([\\*?\[\]!#])", r"\\\1", path)


def _expressions(file: _File) -> None:
    expressions = file.texts("build.exclude_regex")
    if wrong := _wrong_expression(expressions):
        file.refuse(("build", "exclude_regex"), f"build.exclude_regex has {wrong}")
    else:
        file.set("watch.ignore_regex", list(expressions), "build.exclude_regex")


def _wrong_expression(expressions: Iterable[str]) -> str:
    """The first that cannot be read, and why; empty: all can."""
    for each in expressions:
        try:
            re.compile(each)
        except re.error as exc:
            return f"{shown(each)}, which cannot be read: {exc}"
    return ""


def _actions(file: _File, folder: str) -> None:
    """Rules as actions. Their files count beside those of the build, and for a rule alone; the first rule that matches takes them.

    What counts at all is said by expressions then: an ending counts in one folder and not in another.
    """
    if not file.rules or _wrong_expression(file.texts("build.exclude_regex")):
        return
    rules = [_expression_of(file, rule, "") for rule in file.rules]
    actions = [
        WatchAction(
            name=rule.name,
            # What has changed follows, as the shell's own $1, $2: its line has no place for it.
            run=("/bin/sh", "-c", rule.line, rule.name),
            ignore_regex=(f"^(?!{rules[place]})", *(f"^{earlier}" for earlier in rules[:place])),
            update=False,
        )
        for place, rule in enumerate(file.rules)
    ]
    file.layer.settings["watch.action"] = Setting(tuple(actions), file.rules[0].origin)
    endings = [re.escape(each.strip().lstrip(".")) for each in file.texts("build.include_ext")]
    unless = "".join(f"(?!{_expression_of(file, rule, f'{folder}/')})" for rule in file.rules)
    hidden = [f"^{unless}(?:(?={each})|.*?(?:{each}))" for each in file.texts("build.exclude_regex")]
    excluded = [os.path.normpath(each) for each in file.texts("build.exclude_dir")]
    hidden += [
        f"^{unless}{re.escape(f'{folder}/{file.from_root(each)}/')}" for each in excluded if _has_rule(file, each)
    ]
    if "*" not in endings:
        hidden.append(rf"^{unless}(?!.*\.(?:{'|'.join(endings)})$)")
    file.set("watch.ignore_regex", hidden, "build.exclude_regex")
    file.set("watch.extensions", [], "build.include_ext")


def _expression_of(file: _File, rule: Rule, base: str) -> str:
    """Finds, at the beginning of a path below ``base``, those that the rule is for."""
    folders = "|".join(re.escape(base + file.from_root(each)) for each in rule.folders)
    endings = "|".join(re.escape(each) for each in rule.endings)
    ways = [f"{re.escape(base + file.from_root(each))}$" for each in rule.files]
    if folders or endings:
        inside = f"(?:{folders})/" if folders else re.escape(base)
        ways.append(inside + (rf".*\.(?:{endings})$" if endings else ""))
    unless = "".join(f"(?!(?:{each})|.*(?:{each}))" for each in rule.exceptions)
    return f"{unless}(?:{'|'.join(ways)})"


def _leaving(file: _File) -> None:
    """How a program that has to go is told."""
    if file.is_on("build.send_interrupt"):
        file.set("exit.signal", "INT", "build.send_interrupt")
        if seconds := _seconds(file.value("build.kill_delay")):
            file.set("drain.timeout", write_duration(seconds), "build.kill_delay")
            file.set("exit.timeout", "0s", "build.kill_delay")
    if "build.rerun" in file.given:
        file.set("dev.rerun", file.is_on("build.rerun"), "build.rerun")


def _surroundings(file: _File) -> None:
    if files := file.texts("env_files"):
        file.set("env_files", [f"-{file.from_root(each)}" for each in files if each], "env_files")
    if file.is_on("screen.clear_on_rebuild"):
        file.set("dev.clear", True, "screen.clear_on_rebuild")
    if file.is_on("log.silent"):
        file.set("log.level", "error", "log.silent")
    if file.is_on("proxy.enabled"):
        port = file.number("proxy.app_port")
        where = f": open http://localhost:{port}" if port else ""
        file.warn(("proxy", "enabled"), f"proxy.enabled has no effect: {by_name()['proxy.enabled'].reason}{where}")
