"""What differs between two configurations, when each difference counts, and a configuration as people are shown it.

The table below is complete over the schema (a test holds it): whoever adds a setting has to say when it counts.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

import msgspec

from midair.config.checks import value_at
from midair.config.convert import write
from midair.config.keys import SECRETS, Kind, all_keys
from midair.config.load import RunSources, load
from midair.config.origins import DEFAULT, Origin
from midair.config.schema import Settings
from midair.config.values import Change, Effect, Value
from midair.errors import ConfigError, Fault

EFFECTS: dict[str, Effect] = {
    "name": "restart",
    "folder": "restart",
    "app": "update",
    "factory": "update",
    "command": "update",
    "main": "update",
    "arguments": "update",
    "chdir": "update",
    "python": "update",
    "bind": "restart",
    "socket_mode": "restart",
    "socket_owner": "restart",
    "listener": "restart",
    "workers": "update",
    "version_from": "update",
    "env": "update",
    "env_files": "update",
    "zygote": "update",
    "surge": "update",
    "state_dir": "restart",
    "runtime_dir": "restart",
    "serve": "update",
    "serve.backlog": "restart",
    "tls": "update",
    "health": "update",
    "ready": "update",
    "start": "update",
    "canary": "update",
    "bake": "update",
    "drain": "update",
    "carry": "update",
    "rollback": "update",
    "receipts": "update",
    "stop": "update",
    "exit": "update",
    "worker": "update",
    "hooks": "update",
    "control": "restart",
    "signals": "update",
    "log": "restart",
    "log.level": "update",
    "metrics": "restart",
    "admin": "restart",
    "traces": "update",
    "process": "update",
    "is_dev": "restart",
    "watch": "update",
    "build": "update",
    "dev": "update",
    "deploy": "update",
}
"""By key, else by table. ``update``: belongs to a generation, so it counts from the commit of the update that read it.
``restart``: decides what is bound, where the service is found and where it prints to."""

SET = "(set)"
FROM_FILE = "(from a file)"
CHANGED = "(changed)"


def effect_of(name: str) -> Effect:
    """When a change of the key ``name`` (``drain.timeout``, ``env.DEBUG``) counts."""
    return EFFECTS[name] if name in EFFECTS else EFFECTS[name.partition(".")[0]]


def diff(running: Settings, file: Settings) -> list[Change]:
    """The keys whose values differ, in the order of the schema, and when each counts. Secrets are hidden."""
    changes = [
        Change(key=name, running=shown_value(running, name), file=_shown_anew(file, name), effect=effect_of(name))
        for name in all_keys()
        if name != "env" and value_at(running, name) != value_at(file, name)
    ]
    if running.folder != file.folder:
        changes.append(Change(key="folder", running=running.folder, file=file.folder, effect=effect_of("folder")))
    changes += _environment_changes(running.env, file.env)
    return changes


def taken_in(running: Settings, file: Settings) -> Settings:
    """The settings of ``file`` as an update brings them about: what counts only after a restart stays as it runs."""
    kept = file
    for name, key in all_keys().items():
        if name != "env" and effect_of(name) == "restart":
            kept = _with_value(kept, key.path, value_at(running, name))
    return msgspec.structs.replace(kept, folder=running.folder)


def with_values_of(settings: Settings, other: Settings, keys: Iterable[str]) -> Settings:
    """``settings`` with the values that ``other`` has for these keys; those that are no keys are left out."""
    for name in keys:
        if name in all_keys():
            settings = _with_value(settings, all_keys()[name].path, value_at(other, name))
    return settings


def _with_value(settings: Settings, path: tuple[str, ...], value: object) -> Settings:
    if len(path) == 1:
        return msgspec.structs.replace(settings, **{path[0]: value})
    table = msgspec.structs.replace(getattr(settings, path[0]), **{path[1]: value})
    return msgspec.structs.replace(settings, **{path[0]: table})


def _environment_changes(running: Mapping[str, str], file: Mapping[str, str]) -> list[Change]:
    return [
        Change(
            key=f"env.{name}",
            running=_hidden(running[name]) if name in running else "",
            file=(_hidden(file[name]) if name not in running else CHANGED) if name in file else "",
            effect=effect_of("env"),
        )
        for name in sorted(running.keys() | file.keys())
        if running.get(name) != file.get(name)
    ]


def values(settings: Settings, origins: Mapping[str, Origin]) -> tuple[Value, ...]:
    """Every setting as written, with its origin. Secrets are hidden, never shown."""
    names = [name for name in all_keys() if name != "env"] + [f"env.{name}" for name in sorted(settings.env)]
    return tuple(
        Value(
            key=name,
            value=shown_value(settings, name),
            origin=str(origins.get(name, DEFAULT)),
            effect=effect_of(name),
            is_default=origins.get(name, DEFAULT).kind == "default",
        )
        for name in names
    )


def shown_value(settings: Settings, name: str) -> str:
    if name.startswith("env."):
        return _hidden(settings.env[name.removeprefix("env.")])
    if all_keys()[name].kind is Kind.TABLES:
        return _shown_tables(value_at(settings, name))
    value = write(all_keys()[name], value_at(settings, name))
    return _hidden(value) if value and all_keys()[name].is_secret else value


def _shown_tables(tables: object) -> str:
    """By their names, or what they run."""
    assert isinstance(tables, tuple)
    return ", ".join(table.name or shlex.join(table.run) for table in tables)


def _shown_anew(settings: Settings, name: str) -> str:
    """As ``shown_value``, but a hidden one that differs must not look like the one before."""
    shown = shown_value(settings, name)
    return CHANGED if shown and all_keys()[name].is_secret else shown


def redacted(settings: Settings) -> Settings:
    """The same settings with every secret hidden: what may be printed, logged or sent."""
    shown = msgspec.structs.replace(settings, env={name: _hidden(value) for name, value in settings.env.items()})
    for name in SECRETS:
        if all_keys()[name].kind is not Kind.ENVIRONMENT:
            shown = _with_value(shown, all_keys()[name].path, shown_value(settings, name))
    headers = {name: _hidden(value) for name, value in settings.traces.headers.items()}
    shown = _with_value(shown, ("traces", "headers"), headers)
    beside = tuple(
        msgspec.structs.replace(process, env={name: _hidden(value) for name, value in process.env.items()})
        for process in settings.dev.process
    )
    return _with_value(shown, ("dev", "process"), beside)


def _hidden(value: str) -> str:
    return FROM_FILE if value.startswith("file:") else SET


def compare_with_file(running: Settings, sources: RunSources) -> tuple[list[Change], Fault | None]:
    """What the files and variables of ``sources`` would change now; or why they cannot be read."""
    try:
        return diff(running, load(sources, needs_target=True).settings), None
    except ConfigError as exc:
        return [], exc.fault()
