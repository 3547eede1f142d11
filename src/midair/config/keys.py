"""The keys of the configuration, made mechanically from the schema.

A field's unit is the end of its name; the key has none, because there the unit is part of the value:

    ``timeout_s``  -> ``timeout = "30s"``       ``rate_per_s`` -> ``rate = "5%"``
    ``max_bytes``  -> ``max = "10MB"``          ``socket_mode`` -> ``socket_mode = "0660"``
    ``error_rate`` -> ``error_rate = "50%"``     ``halt_at_share`` -> ``halt_at = "20%"``

The variable of a key is ``MIDAIR_`` and the key in capitals, dots as underscores: ``drain.timeout`` is
``MIDAIR_DRAIN_TIMEOUT``.
"""

from __future__ import annotations

import types
import typing
from enum import Enum, auto
from functools import cache

import msgspec
from msgspec import Struct

from midair.config.schema import Settings


class Kind(Enum):
    """How a value is written."""

    FLAG = auto()
    COUNT = auto()
    TEXT = auto()
    CHOICE = auto()
    LIST = auto()
    """A list of strings; one string is a list of one."""
    CHOICES = auto()
    """A list of words out of a few."""
    COMMAND = auto()
    """A list of arguments, or a line that is split as a shell would."""
    DURATION = auto()
    RATE = auto()
    SHARE = auto()
    SIZE = auto()
    MODE = auto()
    WORKERS = auto()
    """A count, or ``auto``."""
    ENVIRONMENT = auto()
    """A table of strings."""
    TABLES = auto()
    """An array of tables: ``[[process]]``, ``[[watch.action]]``."""


COMMANDS = {
    "command",
    "arguments",
    "hooks.before",
    "hooks.after",
    "hooks.contract",
    "process.command",
    "dev.process.command",
    "watch.action.run",
}
MAIN_KEYS = {
    "health": "health.path",
    "metrics": "metrics.address",
    "admin": "admin.address",
    "traces": "traces.endpoint",
    "bake": "bake.for",
}
"""A table written as a plain value sets its main key: ``health = "/healthz"``."""
NOT_KEYS = {"folder", "is_dev"}
"""Fields that nobody writes: where the configuration was found, and which command reads it."""
SECRETS = {"tls.keyfile_password", "traces.headers"}
"""Keys whose values are shown nowhere, not even when they are refused. (Those of ``[env]`` are not, either.)"""
MIRRORS = {"serve.drain_idle_grace_s": "drain.idle_grace_s"}
"""Fields that the worker must be told, under the name by which it knows them: field -> the field that it repeats."""


class Key(Struct, frozen=True):
    name: str
    """As in the file: ``drain.timeout``."""
    path: tuple[str, ...]
    """As in ``Settings``: ``("drain", "timeout_s")``."""
    kind: Kind
    default: object
    choices: tuple[str, ...] = ()
    table: type[msgspec.Struct] | None = None
    """Of an array of tables: the class of one."""

    @property
    def variable(self) -> str:
        return variable_name(self.name)

    @property
    def is_secret(self) -> bool:
        return self.name in SECRETS


def variable_name(key: str) -> str:
    return "MIDAIR_" + key.replace(".", "_").upper()


@cache
def all_keys() -> dict[str, Key]:
    """Every key that a file may have, by name, in the order of the schema."""
    return {key.name: key for key in _keys_of(Settings, (), ())}


@cache
def table_keys(name: str) -> dict[str, Key]:
    """The keys of one table of an array (``process``, ``watch.action``), by their name in it."""
    array = all_keys()[name]
    assert array.table is not None
    return {key.name: key for key in _keys_of(array.table, (), array.path)}


@cache
def arrays() -> tuple[str, ...]:
    """The keys that are arrays of tables."""
    return tuple(key.name for key in all_keys().values() if key.kind is Kind.TABLES)


@cache
def tables() -> frozenset[str]:
    return frozenset(key.name.partition(".")[0] for key in all_keys().values() if "." in key.name)


def _keys_of(table: type[msgspec.Struct], names: tuple[str, ...], path: tuple[str, ...]) -> typing.Iterator[Key]:
    for field in msgspec.structs.fields(table):
        field_path = (*path, field.name)
        dotted = ".".join(field_path)
        if dotted in NOT_KEYS or dotted in MIRRORS:
            continue
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _keys_of(field.type, (*names, field.name), field_path)
            continue
        kind, written = _kind_and_name(dotted, field.name, field.type)
        of = typing.get_args(field.type)[0] if kind is Kind.TABLES else None
        default = {} if kind is Kind.ENVIRONMENT else field.default
        yield Key(".".join((*names, written)), field_path, kind, default, _choices(kind, field.type), of)


def _choices(kind: Kind, type_: object) -> tuple[str, ...]:
    if kind is Kind.CHOICES:
        type_ = typing.get_args(type_)[0]
    return typing.get_args(type_) if kind in (Kind.CHOICE, Kind.CHOICES) else ()


_UNIT_ENDS = (("_per_s", Kind.RATE), ("_s", Kind.DURATION), ("_bytes", Kind.SIZE), ("_share", Kind.SHARE))


def _kind_and_name(dotted: str, field: str, type_: object) -> tuple[Kind, str]:
    """How a field is written, and its name without the unit."""
    if dotted == "workers":
        return Kind.WORKERS, field
    if type_ in (float, int):
        for end, kind in _UNIT_ENDS:
            if field.endswith(end):
                return kind, field.removesuffix(end)
        if field.endswith("_rate"):
            return Kind.SHARE, field
        if field.endswith("_mode"):
            return Kind.MODE, field
    return _kind_of_type(dotted, type_), field


def _kind_of_type(dotted: str, type_: object) -> Kind:
    if type_ is bool:
        return Kind.FLAG
    if type_ is int:
        return Kind.COUNT
    if type_ is str:
        return Kind.TEXT
    if typing.get_origin(type_) is typing.Literal:
        return Kind.CHOICE
    if type_ == tuple[str, ...]:
        return Kind.COMMAND if dotted in COMMANDS else Kind.LIST
    if type_ == dict[str, str]:
        return Kind.ENVIRONMENT
    if isinstance(type_, types.GenericAlias) and typing.get_origin(type_) is tuple:
        of = typing.get_args(type_)[0]
        return Kind.CHOICES if typing.get_origin(of) is typing.Literal else Kind.TABLES
    raise TypeError(f"{dotted}: the configuration has no way of writing {type_}")
