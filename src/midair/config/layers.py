"""The layers of a configuration: what a file, ``midair.serve()``, the environment and the command line each say, converted and
with origin.

A layer is a flat table from key to setting. Reading one never stops at the first mistake: problems are gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec
from msgspec import Struct, field

from midair.config import convert
from midair.config.convert import BadValue
from midair.config.keys import MAIN_KEYS, Key, Kind, all_keys, table_keys, tables, variable_name
from midair.config.lines import Path, line_of
from midair.config.origins import Origin
from midair.config.problems import Problem
from midair.worker.settings import Served, Written

FlagValue: TypeAlias = Written

NOT_SETTINGS = {"MIDAIR_CONFIG", "MIDAIR_VERSION", "MIDAIR_GENERATION", "MIDAIR_SLOT", "MIDAIR_HANDOVER"}
"""Names that begin like a setting's: the option --config, and what every worker or command is told."""


class Setting(Struct, frozen=True):
    value: object
    origin: Origin


class Layer(Struct):
    settings: dict[str, Setting] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read(self, key: Key, raw: object, origin: Origin, *, is_text: bool) -> None:
        """Convert ``raw`` and take it in, or note why not."""
        try:
            self.settings[key.name] = Setting(convert.read(key, raw, is_text=is_text), origin)
        except BadValue as exc:
            is_secret = key.is_secret or key.kind is Kind.ENVIRONMENT
            what, hint = (key.name, "") if is_secret else (f"{key.name} = {shown(raw)}", exc.hint)
            self.problems.append(Problem(str(origin), f"{what} is not {exc}", hint, key.name))


def shown(raw: object) -> str:
    """A value that was refused, as it was written and not at length."""
    text = f'"{raw}"' if isinstance(raw, str) else str(raw).lower() if isinstance(raw, bool) else str(raw)
    return text if len(text) <= 60 else text[:57] + "…"


def suggestion(unknown: str, known: Iterable[str], *, prefix: str = "") -> str:
    """``did you mean …?`` for the nearest known word, else nothing."""
    plain = unknown.replace("-", "_").lower()
    words = list(known)
    begun = [word for word in words if len(plain) > 2 and word.startswith(plain)]
    near = nearest_word(plain, words, cutoff=0.6) or next(iter(begun), "")
    return f"did you mean {prefix}{near}?" if near else ""


def nearest_word(word: str, known: Iterable[str], *, cutoff: float) -> str:
    """The known word that is most like ``word``; empty if none is like it enough (0: any, 1: the same)."""
    # Imported when somebody has misspelt something: every command pays for what stands at the top.
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=cutoff)), "")


# --- a file --------------------------------------------------------------------------------------------------------


class Document(Struct, frozen=True):
    """A TOML file that has been read: its tables, what to call it, and where its keys stand."""

    shown_as: str
    content: Mapping[str, object]
    lines: Mapping[Path, int]
    inside: Path = ()
    """The table that is ours: ``("tool", "midair")`` in pyproject.toml."""

    def origin(self, path: Path) -> Origin:
        line = line_of(dict(self.lines), (*self.inside, *path))
        return Origin("file", f"{self.shown_as}:{line}" if line else self.shown_as)


def file_layer(document: Document) -> Layer:
    """What a file says."""
    layer = Layer()
    for name, value in document.content.items():
        if name == "env":
            _environment_table(layer, document, value)
        elif name in tables() and isinstance(value, Mapping):
            for inner, inner_value in value.items():
                _file_key(layer, document, (name, inner), inner_value)
        else:
            _file_key(layer, document, (name,), value)
    return layer


def _file_key(layer: Layer, document: Document, path: Path, value: object) -> None:
    name = ".".join(path)
    origin = document.origin(path)
    key = all_keys().get(MAIN_KEYS.get(name, name))
    if key is not None and key.kind is Kind.TABLES:
        _array(layer, document, key, path, value)
    elif key is not None:
        layer.read(key, value, origin, is_text=False)
    elif name in tables():
        layer.problems.append(Problem(str(origin), f"{name} = {shown(value)} is not a table", f"write [{name}]"))
    else:
        what = f"table [{name}]" if isinstance(value, Mapping) else f"key {name}"
        layer.problems.append(Problem(str(origin), f"there is no {what}", _nearest(path)))


def _nearest(path: Path) -> str:
    """Look in the same table first, then among the last parts of all keys (``timeout_keep_alive`` at the top)."""
    names = list(all_keys())
    if len(path) > 1:
        siblings = [name.partition(".")[2] for name in names if name.startswith(f"{path[0]}.")]
        if found := suggestion(path[1], siblings, prefix=f"{path[0]}."):
            return found
    top = [name for name in names if "." not in name] + sorted(tables())
    last_parts = {name.rpartition(".")[2]: name for name in reversed(names) if "." in name}
    if found := suggestion(path[-1], top):
        return found
    near = nearest_word(path[-1].replace("-", "_"), last_parts, cutoff=0.7)
    return f"did you mean {last_parts[near]}?" if near else ""


def _environment_table(layer: Layer, document: Document, value: object) -> None:
    if not isinstance(value, Mapping):
        layer.problems.append(Problem(str(document.origin(("env",))), "env is not a table", "write [env]"))
        return
    for name, text in value.items():
        origin = document.origin(("env", name))
        if not isinstance(text, str) or "\0" in text:
            # The value is not shown: it may be a secret, of the wrong type or not.
            layer.problems.append(Problem(str(origin), f"env.{name} is not a string", "write it in quotes"))
        elif not name or "=" in name or "\0" in name:
            layer.problems.append(Problem(str(origin), f"{name!r} cannot be a variable's name"))
        else:
            layer.settings[f"env.{name}"] = Setting(text, origin)


def _array(layer: Layer, document: Document, key: Key, path: Path, value: object) -> None:
    """An array of tables, such as ``[[process]]``."""
    assert key.table is not None
    if not isinstance(value, list) or not all(isinstance(table, Mapping) for table in value):
        hint = f"[[{key.name}]]"
        layer.problems.append(Problem(str(document.origin(path)), f"{key.name} is not an array of tables", hint))
        return
    read = [_one_of(layer, document, key, (*path, str(place)), table) for place, table in enumerate(value)]
    found = tuple(table for table in read if table is not None)
    names = [name for table in found if (name := getattr(table, "name", ""))]
    for name in sorted({name for name in names if names.count(name) > 1}):
        what = f"two tables [[{key.name}]] have the name {name!r}"
        layer.problems.append(Problem(str(document.origin(path)), what))
    layer.settings[key.name] = Setting(found, document.origin((*path, "0")))


def _one_of(
    layer: Layer, document: Document, array: Key, here: Path, table: Mapping[str, object]
) -> msgspec.Struct | None:
    inner, keys = Layer(), table_keys(array.name)
    for name, value in table.items():
        origin = document.origin((*here, name))
        if key := keys.get(name):
            inner.read(key, value, origin, is_text=False)
        else:
            hint = suggestion(name, keys, prefix=f"{array.name}.")
            inner.problems.append(Problem(str(origin), f"there is no key {array.name}.{name}", hint))
    for name, key in keys.items():
        is_missing = name not in table or inner.settings.get(name) == Setting((), document.origin((*here, name)))
        if key.default is msgspec.NODEFAULT and is_missing:
            inner.problems.append(Problem(str(document.origin(here)), f"[[{array.name}]] needs {name}"))
    layer.problems += inner.problems
    if inner.problems:
        return None
    assert array.table is not None
    fields = {keys[name].path[-1]: setting.value for name, setting in inner.settings.items()}
    return msgspec.convert(fields, array.table)


# --- midair dev ----------------------------------------------------------------------------------------------------

DEV: Mapping[str, Written] = {
    "workers": 1,
    # A save is live at once, or not at all: nobody watches what nobody depends on.
    "canary.workers": 0,
    "bake.for": "0s",
    "rollback.keep": "none",
    "surge": "all",
    # The version before goes while its developer looks on.
    "drain.rate": "100%",
    "drain.timeout": "2s",
    "drain.idle_grace": "0.2s",
    "stop.timeout": "1s",
    "stop.delay": "0s",
    "exit.timeout": "3s",
    "serve.access_log": True,
    # A shell in the foreground of the same terminal, and nobody who scales.
    "signals.ttin": "ignore",
    "signals.ttou": "ignore",
    "log.format": "console",
    # What belongs to a deployment, and where the deployed service is found.
    "hooks.before": (),
    "hooks.after": (),
    "hooks.contract": (),
    "metrics.address": "",
    "admin.address": "",
    "runtime_dir": "",
    "state_dir": "",
}
"""What ``midair dev`` has instead of what the file says: by key, as written."""


def dev_layer() -> Layer:
    """What is different while a service is developed. Above the file: that one is about the service as it is deployed."""
    layer = Layer()
    origin = Origin("default", "midair dev")
    for name, value in DEV.items():
        layer.read(all_keys()[name], value, origin, is_text=False)
    return layer


# --- the program ---------------------------------------------------------------------------------------------------


def served_layer(served: Served) -> Layer:
    """What a program gave to ``midair.serve()``, by key."""
    layer = Layer()
    origin = Origin("code", served.where)
    for name, value in served.values.items():
        if key := all_keys().get(name):  # Else it is one of another midair's, in the application's environment.
            layer.read(key, value, origin, is_text=True)
    return layer


# --- the environment and the command line --------------------------------------------------------------------------


def environment_layer(environ: Mapping[str, str], bind: tuple[str, ...]) -> Layer:
    """What the environment says: WEB_CONCURRENCY, PORT, FORWARDED_ALLOW_IPS, and MIDAIR_… for any key but tables.

    bind: the addresses so far; PORT replaces the port of the first that has one. An empty variable says nothing.
    """
    layer = Layer()
    keys = all_keys()
    if count := environ.get("WEB_CONCURRENCY"):
        layer.read(keys["workers"], count, Origin("environment", "WEB_CONCURRENCY"), is_text=True)
    if proxies := environ.get("FORWARDED_ALLOW_IPS"):
        origin = Origin("environment", "FORWARDED_ALLOW_IPS")
        layer.read(keys["serve.forwarded_allow_ips"], proxies, origin, is_text=True)
    if port := environ.get("PORT"):
        _port(layer, port, bind)
    known = {key.variable: key for key in keys.values() if key.kind not in (Kind.ENVIRONMENT, Kind.TABLES)}
    known |= {variable_name(table): keys[main] for table, main in MAIN_KEYS.items()}
    for name, value in sorted(environ.items()):
        if name in known and value:
            layer.read(known[name], value, Origin("environment", name), is_text=True)
        elif name.startswith("MIDAIR_") and name not in NOT_SETTINGS and name not in known:
            near = nearest_word(name, known, cutoff=0.8)
            # Not an error: another tool's variable must not keep a service from starting.
            hint = f"; did you mean {near}?" if near else ""
            layer.warnings.append(f"${name} is not a setting and is ignored{hint}")
    return layer


def _port(layer: Layer, port: str, bind: tuple[str, ...]) -> None:
    origin = Origin("environment", "PORT")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        layer.problems.append(Problem(str(origin), f"PORT = {shown(port)} is not a port", "a number from 0 to 65535"))
        return
    for place, address in enumerate(bind):
        if "://" not in address and not address.startswith("unix:"):
            host, colon, _ = address.rpartition(":")
            changed = (*bind[:place], f"{host}:{port}" if colon else f"{address}:{port}", *bind[place + 1 :])
            layer.settings["bind"] = Setting(changed, origin)
            return
    if not bind:
        return  # The program binds for itself, and finds PORT in its environment.
    layer.warnings.append("$PORT is ignored: no address of bind has a port")


class Override(msgspec.Struct, frozen=True):
    """A value of the command line, as typed, and the flag it came with."""

    value: FlagValue
    flag: str


def flags_layer(overrides: Mapping[str, Override]) -> Layer:
    """What the command line says: any key, by its name."""
    layer = Layer()
    for name, override in overrides.items():
        origin = Origin("flag", override.flag)
        key = all_keys().get(MAIN_KEYS.get(name, name))
        if key is None:
            layer.problems.append(Problem(str(origin), f"there is no key {name}", _nearest(tuple(name.split(".", 1)))))
        else:
            layer.read(key, override.value, origin, is_text=True)
    return layer
