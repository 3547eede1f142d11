"""Load a configuration: defaults < file < ``midair.serve()`` < environment < command line, every value with its origin.
``midair dev`` has a layer of its own between ``midair.serve()`` and the environment.

The file is ``midair.toml`` in the folder, else ``[tool.midair]`` of ``pyproject.toml`` there, else the one that
``--config`` names. All problems are reported at once. Nothing is made, opened for writing, or looked up by name.

Variables: ``WEB_CONCURRENCY`` is ``workers``; ``FORWARDED_ALLOW_IPS`` is ``serve.forwarded_allow_ips``; ``PORT`` replaces
the port of the first address of ``bind``; and every key has a variable of its own, ``MIDAIR_`` and the key in capitals with
dots as underscores (``MIDAIR_DRAIN_TIMEOUT=30s``, ``MIDAIR_BIND=127.0.0.1:80,[::1]:80``), which beats the others. An empty
variable says nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from midair.config import file, places
from midair.config.checks import TARGETS, check
from midair.config.client import ServiceAddress, load_client
from midair.config.keys import MIRRORS, Key, all_keys
from midair.config.layers import (
    Layer,
    Override,
    Setting,
    dev_layer,
    environment_layer,
    file_layer,
    flags_layer,
    served_layer,
)
from midair.config.origins import DEFAULT, Origin
from midair.config.places import DEV_SUFFIX
from midair.config.problems import BadConfig
from midair.config.schema import Settings
from midair.config.shell_lines import command_of
from midair.worker.settings import Served

if TYPE_CHECKING:
    from midair.config.nodemon import Package

__all__ = ["Loaded", "Override", "RunSources", "ServiceAddress", "load", "load_client", "sources_for_run"]

EXEC = Origin("flag", "--exec")
EXPOSED_BIND = ("0.0.0.0:8000",)
KEPT_VARIABLES = (*places.PLACE_VARIABLES, "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration and where it came from."""

    settings: Settings
    origins: dict[str, Origin]
    """By key (``drain.timeout``); values of ``[env]`` as ``env.NAME``."""
    file: str = ""
    """Path of the file that was read; empty: none."""
    warnings: tuple[str, ...] = ()


class RunSources(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to load the configuration again: at SIGHUP, and after the supervisor re-executed itself.

    The environment is a snapshot of the variables that count, because the supervisor moves to ``/`` and cleans its own.
    """

    folder: str
    """Absolute, as typed."""
    config: str = ""
    """As typed; relative to ``folder``; empty: found in it."""
    overrides: dict[str, Override] = {}
    environment: dict[str, str] = {}
    origins: dict[str, Origin] = {}
    """Of the settings that run now; see ``describing``."""
    served: Served = Served()
    """What the program gave to ``midair.serve()``: it says so itself, since nobody else imports it."""
    is_dev: bool = False
    """For ``midair dev``."""

    def load(self) -> Loaded:
        """The configuration as it is now. Raises ConfigError; whoever runs keeps what it has then."""
        return load(self, needs_target=True)

    def describing(self, loaded: Loaded) -> RunSources:
        """The same sources, remembering where the values of ``loaded`` came from."""
        return msgspec.structs.replace(self, origins=loaded.origins)


def sources_for_run(
    *,
    folder: str = "",
    config: str = "",
    overrides: Mapping[str, Override] | None = None,
    environ: Mapping[str, str],
    is_dev: bool = False,
) -> RunSources:
    """The sources of a service, from what was typed. folder: ``-C``; config: ``--config``; both as typed or empty
    (``file.typed_place``)."""
    base, config = file.typed_place(folder, config, environ)
    kept = {name: value for name, value in environ.items() if name in KEPT_VARIABLES or name.startswith("MIDAIR_")}
    return RunSources(folder=base, config=config, overrides=dict(overrides or {}), environment=kept, is_dev=is_dev)


def load(sources: RunSources, *, needs_target: bool = False) -> Loaded:
    """Read all layers and put them together. needs_target: an application or a command must be there.

    Raises BadConfig with every problem found, Unreadable if a named file cannot be opened.
    """
    if not os.path.isdir(sources.folder):
        raise file.Unreadable(f"there is no folder {sources.folder}")
    path = _find(sources)
    whose = file.tool_of(path)
    layers = [_defaults()]
    layers.append(file_layer(file.read(path)) if path and not whose else Layer())
    layers.append(served_layer(sources.served))
    layers.append(dev_layer() if sources.is_dev else Layer())
    # Above what is different in development: it says nothing about anything else.
    layers.append(_layer_of(whose, sources.folder, path))
    layers.append(environment_layer(sources.environment, _bind_so_far(layers)))
    layers.append(flags_layer(sources.overrides))
    merged = _merge(layers)
    _fill_context(merged, sources)
    problems = [problem for layer in layers for problem in layer.problems]
    settings = msgspec.structs.replace(_build(merged, sources.folder), is_dev=sources.is_dev)
    origins = {name: setting.origin for name, setting in merged.items()}
    unread = {problem.key for problem in problems}
    problems += check(settings, origins, unread=unread, needs_target=needs_target)
    if problems:
        raise BadConfig(problems)
    warnings = [warning for layer in layers for warning in layer.warnings]
    if path and not sources.config and os.path.basename(path) == file.OWN and _is_shadowed(sources.folder):
        warnings.append(f"{file.OWN} counts; [tool.midair] of {file.SHARED} is not read")
    return Loaded(settings=settings, origins=origins, file=path, warnings=tuple(warnings))


def _find(sources: RunSources) -> str:
    """The file that counts. Another tool's says what runs and which files are its own: nothing to somebody who types what runs."""
    is_typed = any(name in sources.overrides for name in TARGETS)
    return file.find(sources.folder, sources.config, is_dev=sources.is_dev and (bool(sources.config) or not is_typed))


def _layer_of(whose: str, folder: str, path: str) -> Layer:
    """What another tool's file says."""
    match whose:
        case "Air":
            from midair.config.air import read_air

            home, platform = os.path.expanduser("~"), _AIRS_NAMES.get(sys.platform, "linux")
            return read_air(file.read(path), folder=folder, home=home, platform=platform).layer
        case "nodemon":
            from midair.config.nodemon import read_nodemon

            return read_nodemon(file.read(path), folder=folder, package=_package(folder)).layer
        case _:
            return Layer()


def _package(folder: str) -> Package:
    """What package.json says about what runs. One that cannot be read says nothing: it is npm's to complain."""
    from midair.config.nodemon import Package

    content: object = {}
    try:
        with open(os.path.join(folder, "package.json"), encoding="utf-8") as opened:
            content = json.load(opened)
    except (OSError, ValueError):
        pass
    has_index = os.path.isfile(os.path.join(folder, "index.js"))
    return Package(content if isinstance(content, Mapping) else {}, has_index)


_AIRS_NAMES = {"linux": "linux", "darwin": "darwin", "win32": "windows"}


def _defaults() -> Layer:
    layer = Layer()
    for key in all_keys().values():
        if key.default is not msgspec.NODEFAULT and key.name != "env":
            layer.settings[key.name] = Setting(key.default, DEFAULT)
    return layer


def _bind_so_far(layers: list[Layer]) -> tuple[str, ...]:
    bind = _merge(layers)["bind"].value
    assert isinstance(bind, tuple)
    return bind


def _merge(layers: list[Layer]) -> dict[str, Setting]:
    """Later layers win. An application typed on the command line replaces the file's command, and the other way."""
    merged: dict[str, Setting] = {}
    for place, layer in enumerate(layers):
        if place and any(one in layer.settings for one in TARGETS):
            merged |= {one: Setting(all_keys()[one].default, DEFAULT) for one in (*TARGETS, "arguments")}
        merged.update(layer.settings)
    return merged


def _fill_context(merged: dict[str, Setting], sources: RunSources) -> None:
    """Defaults that depend on where and as whom we run; relative folders are the service folder's."""
    if "name" not in merged:
        merged["name"] = Setting(places.default_name(sources.folder), Origin("default", "the folder's name"))
    if sources.is_dev:
        _fill_dev(merged)
    name = str(merged["name"].value)
    uid = places.own_uid()
    for key, chosen in (
        ("runtime_dir", places.runtime_dir(name, sources.environment, uid)),
        ("state_dir", places.state_dir(name, sources.environment, uid)),
    ):
        typed = str(merged[key].value)
        if typed:
            merged[key] = Setting(os.path.join(sources.folder, typed), merged[key].origin)
        else:
            merged[key] = Setting(chosen[0], Origin("default", chosen[1]))


def _fill_dev(merged: dict[str, Setting]) -> None:
    """A name of its own, unless one was typed: the service that runs in this folder is not disturbed. Who is to be reached from
    other machines listens to them. A program need not know that it is updated."""
    if merged["name"].origin.kind in ("default", "file"):
        merged["name"] = Setting(f"{merged['name'].value}{DEV_SUFFIX}", merged["name"].origin)
    if merged["dev.expose"].value and merged["bind"].origin == DEFAULT:
        merged["bind"] = Setting(EXPOSED_BIND, Origin("default", "dev.expose"))
    if not any(merged[name].value for name in TARGETS) and merged["build.build"].origin == EXEC:
        _run_line(merged)
    if merged["command"].value and merged["listener"].origin == DEFAULT:
        merged["listener"] = Setting("lent", Origin("default", "midair dev"))


def _run_line(merged: dict[str, Setting]) -> None:
    """``--exec`` and nothing that runs: the line is what runs, as people who come from nodemon type it."""
    lines = merged.pop("build.build").value
    assert isinstance(lines, tuple)
    merged["build.build"] = Setting((), DEFAULT)
    merged["command"] = Setting(command_of(" && ".join(lines)), EXEC)
    merged["listener"] = Setting("lent", EXEC)
    if merged["bind"].origin == DEFAULT:
        merged["bind"] = Setting((), EXEC)


def _build(merged: Mapping[str, Setting], folder: str) -> Settings:
    fields: dict[str, object] = {"folder": folder, "env": {}}
    environment: dict[str, object] = {}
    for name, setting in merged.items():
        if name.startswith("env."):
            environment[name.removeprefix("env.")] = setting.value
        elif key := all_keys().get(name):
            _put(fields, key.path, setting.value)
    fields["env"] = environment
    for target, source in MIRRORS.items():
        _put(fields, tuple(target.split(".")), _at(fields, tuple(source.split("."))))
    return msgspec.convert(fields, Settings)


def _put(fields: dict[str, object], path: tuple[str, ...], value: object) -> None:
    for part in path[:-1]:
        inner = fields.setdefault(part, {})
        assert isinstance(inner, dict)
        fields = inner
    fields[path[-1]] = value


def _at(fields: object, path: tuple[str, ...]) -> object:
    for part in path:
        assert isinstance(fields, dict)
        fields = fields[part]
    return fields


def _is_shadowed(folder: str) -> bool:
    shared = os.path.join(folder, file.SHARED)
    try:
        return os.path.isfile(shared) and bool(file.read(shared).content)
    except (BadConfig, file.Unreadable):
        return False


def key_of(name: str) -> Key | None:
    """The key called ``name``; values of ``[env]`` have none."""
    return all_keys().get(name)
