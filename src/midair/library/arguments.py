"""The keyword arguments of ``midair.serve()``, read: each is a key of the configuration.

A keyword is a key with its dots as underscores (``drain_rate`` is ``drain.rate``); keys of ``[serve]`` have their own name alone
(``access_log``), which is uvicorn's where uvicorn has the option. A number is taken in the unit of its key: seconds, bytes, a
share. None says nothing, as with uvicorn. Imported before ``midair run`` is executed and in every zygote of a main file.
"""

from __future__ import annotations

from collections.abc import Mapping

from midair.config.keys import MAIN_KEYS, Key, Kind, all_keys
from midair.config.layers import nearest_word, served_layer
from midair.config.problems import BadConfig
from midair.errors import UsageError
from midair.worker.settings import Served, Written

ALIASES = {
    "limit_max_requests": "worker.max_requests",
    "limit_max_requests_jitter": "worker.max_requests_jitter",
    "timeout_graceful_shutdown": "stop.timeout",
    "ws_max_size": "serve.ws_max",
    "h11_max_incomplete_event_size": "serve.head_max",
}
"""Names of uvicorn's for keys that have another name here."""

ADDRESS = ("host", "port", "uds", "fd")
"""uvicorn's words for ``bind``."""

BEFORE_IMPORT = frozenset(
    {
        *(
            "app",
            "factory",
            "command",
            "main",
            "arguments",
            "chdir",
            "python",
            "version_from",
            "process",
            "surge",
            "zygote",
        ),
        *("env", "env_files", "ready.timeout", "start.timeout", "hooks.before", "name", "runtime_dir", "state_dir"),
    }
)
"""Keys that count before a program is imported, or that commands look for: it cannot set them."""

_DEV = "not needed: midair reload updates a running service to the code on disk"
_TOML = "it counts before the program is imported: set {key} in midair.toml"
ELSEWHERE = {
    "reload": _DEV,
    "reload_dirs": _DEV,
    "reload_includes": _DEV,
    "reload_excludes": _DEV,
    "reload_delay": _DEV,
    "app_dir": _TOML.format(key="chdir"),
    "env_file": _TOML.format(key="env_files"),
    "log_config": "applications configure their own logging; midair's: log_format, log_level",
    "use_colors": "midair's own log: log_format",
    "http": "midair has its own HTTP; there is nothing to choose",
    "ws": "midair has its own WebSocket; there is nothing to choose",
    "timeout_worker_healthcheck": "worker_hang_timeout says when a worker whose event loop stands still is replaced",
}
"""Arguments of uvicorn.run that have no key, and why."""

PAGE = "docs/configuration.md"


class UnknownArgument(UsageError, TypeError):
    """``midair.serve()`` was given an argument that it does not have."""

    code = "serve-argument"


def read_arguments(given: Mapping[str, object], where: str) -> Served:
    """What ``given`` says, by key. where: the call, for people. Raises UnknownArgument, BadConfig."""
    said = {name: value for name, value in given.items() if value is not None}
    values: dict[str, Written] = {}
    for name, value in said.items():
        if name not in ADDRESS:
            key = _key(name)
            values[key.name] = _written(key, value, name)
    if bind := _bind(said):
        values["bind"] = bind
    served = Served(where=where, values=values)
    if problems := served_layer(served).problems:
        raise BadConfig(problems)
    return served


def keywords() -> dict[str, Key]:
    """Every keyword with its key. A name that is two keys' is the one's of ``[serve]``."""
    found = {key.name.replace(".", "_"): key for key in all_keys().values()}
    found |= {name: all_keys()[key] for name, key in MAIN_KEYS.items()}
    found |= {key.name.removeprefix("serve."): key for key in all_keys().values() if key.name.startswith("serve.")}
    found |= {name: all_keys()[key] for name, key in ALIASES.items()}
    return {name: key for name, key in found.items() if key.name not in BEFORE_IMPORT}


def _key(name: str) -> Key:
    known = keywords()
    if name in known:
        return known[name]
    if name in ELSEWHERE:
        raise UnknownArgument(f"midair.serve() has no argument {name!r}", hint=ELSEWHERE[name])
    early = next((key for key in BEFORE_IMPORT if key.replace(".", "_") == name), "")
    if early:
        raise UnknownArgument(f"{early} cannot be given to midair.serve()", hint=f"{_TOML.format(key=early)} ({PAGE})")
    near = nearest_word(name, [*known, *ADDRESS], cutoff=0.6)
    if not near:
        hint = f"the arguments are the keys of {PAGE}, dots as underscores"
    else:
        hint = f"did you mean {near}? ({known[near].name if near in known else 'bind'} in {PAGE})"
    raise UnknownArgument(f"midair.serve() has no argument {name!r}", hint=hint)


def _written(key: Key, value: object, name: str) -> Written:
    """A Python value as a file would have it."""
    if key.name == "log.level":
        return _level(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        match key.kind:
            case Kind.DURATION:
                return f"{value:.9f}".rstrip("0").rstrip(".") + "s"
            case Kind.SIZE:
                return f"{int(value)}B"
            case Kind.RATE | Kind.SHARE:
                return f"{value * 100:.9f}".rstrip("0").rstrip(".") + "%"
            case Kind.MODE:
                return f"{int(value):04o}"
            case _:
                pass
    if isinstance(value, (list, tuple)):
        # uvicorn's headers are pairs; a file has them as lines.
        return tuple(":".join(map(str, each)) if isinstance(each, (list, tuple)) else str(each) for each in value)
    if isinstance(value, (str, int, bool)):
        return value
    raise UnknownArgument(
        f"midair.serve({name}=…) takes no {type(value).__name__}", hint=f"{key.name} in {PAGE} says what it takes"
    )


def _level(value: object) -> str:
    """uvicorn has more levels, and takes numbers."""
    number = value if isinstance(value, int) else {"trace": 5, "critical": 50}.get(str(value).lower())
    if number is None:
        return str(value).lower()
    return next(
        name for name, most in (("debug", 10), ("info", 20), ("warning", 30), ("error", 1 << 30)) if number <= most
    )


def _bind(said: Mapping[str, object]) -> tuple[str, ...]:
    """The address that host, port, uds and fd say; empty: none of them is given."""
    given = [name for name in ADDRESS if name in said]
    if given and "bind" in said:
        raise UnknownArgument(f"bind and {given[0]} exclude each other", hint="give all addresses as bind=[…]")
    if "fd" in said:
        return (f"fd://{said['fd']}",)
    if "uds" in said:
        return (f"unix:{said['uds']}",)
    if not given:
        return ()
    host, port = str(said.get("host", "127.0.0.1")), said.get("port", 8000)
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}",)
