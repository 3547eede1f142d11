"""The environment of a generation: what its processes are given, read anew for each one.

Four layers, the stronger first: the outer environment (what midair itself was started with), ``[env]``, ``env_files``
(a later file over an earlier one). The outer one wins because it is set last, by whoever starts the service here and
now; what it hides is named, so that nobody wonders why an edit has no effect. Nothing is kept from the generation
before: a key that vanished from a file is gone. Values of ``KEY = "file:PATH"`` are secrets: they are in the result,
and in no message, no fingerprint part and no list.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from midair.config.schema import Settings
from midair.errors import ConfigError
from midair.release.values import Environment

FILE_MAX_BYTES = 1024 * 1024
"""A larger file is not an environment file; a larger secret would not fit into execve."""

NEVER_PASSED = frozenset(
    {
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_PID",
        "LISTEN_PIDFDID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "FDSTORE",
        "MIDAIR_VERSION",
        "MIDAIR_GENERATION",
        "MIDAIR_SLOT",
        "MIDAIR_TLS_KEYFILE_PASSWORD",
        "MIDAIR_HANDOVER",
    }
)
"""Words between systemd and the supervisor, and ours; a secret that is not the application's. By name, not by prefix:
LISTEN_ADDR is the application's."""


class EnvironmentUnreadable(ConfigError):
    """A file that ``env_files`` or ``[env]`` names cannot be read, or a value cannot be one."""

    code = "environment"


def build_environment(settings: Settings, ambient: Mapping[str, str]) -> Environment:
    """The environment that a generation starts with, without MIDAIR_VERSION and MIDAIR_GENERATION.

    ambient: the outer environment. Reads the files of ``env_files`` and ``[env]``. Raises EnvironmentUnreadable.
    """
    given: dict[str, str] = {}
    for name in settings.env_files:
        given.update(_read_env_file(settings.folder, name))
    secrets = set()
    for key, value in settings.env.items():
        path = value.removeprefix("file:")
        if path != value:
            secrets.add(key)
            value = _read_secret(settings.folder, key, path)  # noqa: PLW2901  # the value that the key stands for
        given[key] = value
    outer = {key: value for key, value in ambient.items() if key not in NEVER_PASSED}
    dropped = {key for key, value in outer.items() if not (_is_text(key) and _is_text(value))}
    for key in dropped:
        del outer[key]
    for key, value in given.items():
        _check(key, value)
    return Environment(
        variables={key: value for key, value in given.items() if key not in NEVER_PASSED} | outer,
        shadowed=tuple(sorted(key for key, value in given.items() if key in outer and outer[key] != value)),
        secrets=tuple(sorted(secrets)),
        dropped=tuple(sorted(key.encode(errors="replace").decode() for key in dropped)),
    )


def of_generation(environment: Environment, version: str, generation: int) -> Environment:
    """The same, with the words by which a process knows what it is."""
    ours = {"MIDAIR_VERSION": version, "MIDAIR_GENERATION": str(generation)}
    return msgspec.structs.replace(environment, variables=environment.variables | ours)


def _read_env_file(folder: str, name: str) -> dict[str, str]:
    from midair.release.env_file import BadEnvFile, parse_env_file

    # As in systemd's EnvironmentFile=: a leading minus allows the file to be missing.
    is_optional = name.startswith("-")
    path = os.path.join(folder, name.removeprefix("-"))
    try:
        return parse_env_file(_read(path))
    except FileNotFoundError as exc:
        if is_optional:
            return {}
        raise EnvironmentUnreadable(
            f"env_files: {path} is not there", hint=f"make it, or write {'-' + name!r} where it may be missing"
        ) from exc
    except OSError as exc:
        raise EnvironmentUnreadable(f"env_files: {path} cannot be read: {exc.strerror}") from exc
    except (BadEnvFile, UnicodeDecodeError) as exc:
        reason = str(exc) if isinstance(exc, BadEnvFile) else "it is not UTF-8"
        raise EnvironmentUnreadable(f"env_files: {path}: {reason}", hint="a line is KEY=VALUE") from exc


def _read_secret(folder: str, key: str, name: str) -> str:
    path = os.path.join(folder, name)
    try:
        # One line end at the end belongs to the file, not to the secret.
        return _read(path).removesuffix("\n").removesuffix("\r")
    except OSError as exc:
        hint = "the file must be readable by the user that midair runs as"
        raise EnvironmentUnreadable(f"env: {key}: {path} cannot be read: {exc.strerror}", hint=hint) from exc
    except UnicodeDecodeError:
        # Without its cause: that would carry the bytes.
        raise EnvironmentUnreadable(f"env: {key}: {path} is not UTF-8") from None


def _read(path: str) -> str:
    with open(path, "rb") as file:
        data = file.read(FILE_MAX_BYTES + 1)
    if len(data) > FILE_MAX_BYTES:
        raise OSError(0, f"it is larger than {FILE_MAX_BYTES} bytes")
    return data.decode("utf-8-sig")


def _check(key: str, value: str) -> None:
    if not key or "=" in key or "\0" in key:
        raise EnvironmentUnreadable(f"env: {key!r} cannot be the name of a variable")
    if "\0" in value:
        raise EnvironmentUnreadable(f"env: the value of {key} holds a NUL, which no environment can")


def _is_text(value: str) -> bool:
    # Bytes that are no UTF-8 come in as surrogates; they could not cross to another process as text.
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
