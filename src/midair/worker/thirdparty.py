"""A third-party zygote: has imported the installed modules of the last import, and no line of the project.

It imports them in the order of that import (``sequence.py``). Whatever it cannot import as it was imported there ends it, by name:
the supervisor begins another one that imports only what came before.
"""

from __future__ import annotations

import gc
import importlib
import os
import time
from typing import NoReturn

import msgspec

from midair.sockets import words
from midair.worker import forking, forksafety, program
from midair.worker.checkpoint import Stops
from midair.worker.forking import Birth, Host
from midair.worker.recorder import Recorder


class Refused(BaseException):
    """Not to be caught by whom we import."""


def import_first(host: Host, stops: Stops, birth: Birth) -> Birth:
    """Import, compile, and wait for orders. Returns in the zygotes that are forked from here."""
    assert host.launch is not None
    assert birth.word is not None
    imports = msgspec.msgpack.decode(forking.read_memfd(birth.fds[0]), type=words.Imports)
    began_s = time.perf_counter()
    if host.launch.main:
        program.stage(host.launch.main, host.launch.arguments)
    modules = imports.modules if birth.word.until < 0 else imports.modules[: birth.word.until]
    for number, name in enumerate(modules):
        if why := _import(host, stops.recorder, name):
            _failed(host, number, f"{name}: {why}")
    with stops.recorder.unseen():
        for path in imports.files:
            stops.recorder.codes.compile(path)
    gc.collect()
    gc.freeze()
    forking.flush()
    host.stale = stops.stale
    host.say(words.Preloaded(seconds=time.perf_counter() - began_s))
    # No zygote of a version sees what was opened on the way to here: it was found to be safe.
    with stops.recorder.unseen():
        born = forking.serve_forks(host)
    stops.go_on(born)
    return born


def _import(host: Host, recorder: Recorder, name: str) -> str:
    """Why it cannot be had in advance."""

    def refuse(module: str) -> NoReturn:
        raise Refused(f"it imports {module}")

    recorder.order.refused = refuse
    try:
        importlib.import_module(name)
    except Refused as refused:
        return str(refused)
    except BaseException as exc:  # noqa: BLE001 - a library's, said by name; sys.exit() among them
        return f"{type(exc).__name__}: {exc}"
    finally:
        recorder.order.refused = lambda module: None
    if recorder.executed:
        return f"it imports {recorder.project.name(next(iter(recorder.executed)))}"
    return recorder.deed or "; ".join(forksafety.findings(host.known_fds, forksafety.RESTARTED))


def _failed(host: Host, number: int, why: str) -> NoReturn:
    host.say(words.Preloaded(failed=number, why=words.shorten(why, words.MESSAGE_CHARS)))
    forking.flush()
    os._exit(1)
