"""Servers that take in a save by themselves, each started as its own documentation says, one worker, no access log.

Those that are not installed here are left out, and named. Air builds Go programs and comes from no registry that this bench
installs from; what it takes for a program of Gin is in the documentation of its makers.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peers import Peer

HOME = Path(os.environ.get("MIDAIR_BENCH_HOME", Path(sys.executable).parent.parent))
"""Where ``make bench-save`` puts what does not come from this interpreter's own environment."""

MIDAIR = Peer("midair dev", "midair", "-m midair dev app:app --bind 127.0.0.1:{port} --no-access-log", None)
UVICORN = Peer(
    "uvicorn --reload",
    "uvicorn",
    "-m uvicorn app:app --reload --port {port} --no-access-log --log-level warning",
    None,
)
GRANIAN = Peer(
    "granian --reload",
    "granian",
    "-m granian app:app --interface asgi --reload --port {port} --no-access-log --log-level warning",
    None,
)
HMR = Peer(
    "uvicorn-hmr",
    "uvicorn-hmr",
    "app:app --host 127.0.0.1 --port {port} --log-level warning",
    None,
    str(HOME / "python3.12" / "bin" / "uvicorn-hmr"),
)
JURIGGED = Peer(
    "jurigged",
    "jurigged",
    "-m jurigged -m uvicorn app:app --port {port} --no-access-log --log-level warning",
    None,
)
NODEMON = Peer(
    "nodemon",
    "nodemon",
    "--quiet --ext py --signal SIGTERM --exec '{python} -m uvicorn app:app --port {port} --log-level warning'",
    None,
    str(HOME / "node" / "node_modules" / ".bin" / "nodemon"),
)
PEERS = (UVICORN, GRANIAN, HMR, JURIGGED, NODEMON)


def here() -> tuple[Sequence[Peer], Sequence[str]]:
    """Ours and the others that are installed, and the names of those that are not."""
    found = [peer for peer in PEERS if _is_here(peer)]
    return (MIDAIR, *found), [peer.name for peer in PEERS if peer not in found]


def _is_here(peer: Peer) -> bool:
    if peer.program:
        return shutil.which(peer.program) is not None
    # With what uvicorn and granian watch with: without it the one polls and the other does not start.
    return all(importlib.util.find_spec(name) for name in (peer.package, "watchfiles"))
