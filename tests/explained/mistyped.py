"""Commands that fail before anything runs: what is in the folder, what is typed there, and with what else going on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from midair.alerting.incidents import Incidents
from midair.release.folders import Layout, held

Around = Callable[[Path], contextlib.AbstractContextManager[object]]


@contextlib.contextmanager
def nothing(place: Path) -> Iterator[None]:
    yield


@contextlib.contextmanager
def somebody_listens(place: Path) -> Iterator[None]:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(place / "shop" / "web.sock"))
        listener.listen()
        yield


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def it_runs(place: Path) -> contextlib.AbstractContextManager[None]:
    return locked(place / "run" / "lock")


def somebody_deploys(place: Path) -> contextlib.AbstractContextManager[None]:
    (place / "live").mkdir()
    return held(Layout(str(place / "live")), "midair deploy . --ref v1.9")


@contextlib.contextmanager
def a_link_leads_out(place: Path) -> Iterator[None]:
    (place / "shop" / "uploads").symlink_to(place / "uploads")
    yield


@contextlib.contextmanager
def somebody_receives(place: Path) -> Iterator[None]:
    with Incidents(str(place / "shop" / "incidents.jsonl")):
        yield


class Mistyped(NamedTuple):
    line: str
    """Without ``midair``."""
    files: Mapping[str, str] = {}
    around: Around = nothing
    """Gets the folder that holds the service's folder, ``shop``, and its runtime folder, ``run``."""


APP = {"app.py": "app = None\n"}
COMMAND = 'command = "./server"\n'

MISTYPED: dict[str, Mistyped] = {
    "config-exists": Mistyped(
        "init", {"midair.toml": 'app = "app:app"\n', "app.py": "from fastapi import FastAPI\n\napp = FastAPI()\n"}
    ),
    "project-exists": Mistyped("new shop --template fastapi", {"shop/app.py": ""}),
    "bad-project-name": Mistyped("new 2shop --template fastapi"),
    "nothing-to-run": Mistyped("init"),
    "deploy-nowhere": Mistyped("deploy .", {"midair.toml": 'app = "app:app"\n'}),
    "deploy-source": Mistyped("deploy shop.tar --to ../releases"),
    "deploy-unknown-release": Mistyped("deploy --rollback 20261125-170210 --to ../releases"),
    "deploy-busy": Mistyped("deploy . --to ../live", {"midair.toml": 'app = "app:app"\n'}, somebody_deploys),
    "deploy-unsafe": Mistyped("deploy . --to ../live", {"midair.toml": 'app = "app:app"\n'}, a_link_leads_out),
    "deploy-shared": Mistyped(
        "deploy . --to ../live", {"midair.toml": 'app = "app:app"\n[deploy]\nshared = [".env"]\n'}
    ),
    "program-missing": Mistyped("check", {"midair.toml": COMMAND}),
    "config-unreadable": Mistyped("check --config shop.toml"),
    "config-for-dev": Mistyped("run --config .air.toml", {".air.toml": 'root = "."\n'}),
    "unknown-owner": Mistyped("run app:app --bind unix:web.sock --set socket_owner=www-daata", APP),
    "socket-folder": Mistyped("run app:app --bind unix:run/web.sock", APP),
    "path-in-use": Mistyped("run app:app --bind unix:web.sock", APP, somebody_listens),
    "name-taken": Mistyped("run app:app", APP, it_runs),
    "address-missing": Mistyped("run app:app --bind 192.0.2.1:8000", APP),
    "not-ownable": Mistyped("run --bind unix:web.sock", {"midair.toml": f'{COMMAND}listener = "own"\n'}),
    "not-a-listener": Mistyped("run app:app --bind fd://999", APP),
    "no-socket-unit": Mistyped("systemd app:app --socket", {"midair.toml": 'bind = ":0"\n'}),
    "no-stop-signal": Mistyped(
        "systemd app:app --plain", {"midair.toml": '[signals]\nterm = "reload"\nint = "ignore"\nquit = "ignore"\n'}
    ),
    "token-needed": Mistyped("alerts serve --bind :0"),
    "bad-token": Mistyped("alerts serve --token-file token", {"token": ""}),
    "incidents-locked": Mistyped("alerts serve --incidents incidents.jsonl", {}, somebody_receives),
    "no-incident": Mistyped("alerts show"),
    "alert-not-delivered": Mistyped("alerts test --to http://127.0.0.1:1"),
}
"""Code → how it is come by."""
