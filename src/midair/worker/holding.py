"""What keeps this worker: its connections, tasks and threads, told while it serves.

Bounded, so that asking costs the loop little.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from heapq import nsmallest
from itertools import islice
from types import FrameType
from typing import TYPE_CHECKING

from midair.observe import holding
from midair.observe.holding import CALLS_MAX, KINDS, Holding, Kind, cut
from midair.worker import connection as phases
from midair.worker import whereabouts

if TYPE_CHECKING:
    from midair.worker.connection import Connection
    from midair.worker.server import Call, Server

LOOKED_AT_MAX = 20_000
"""Connections that are looked at: a microsecond each."""
TASKS_LOOKED_AT_MAX = 2_000
OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
ASYNCIO = os.path.dirname(asyncio.__file__) + os.sep


def report(server: Server, ends_in_s: float | None) -> Holding:
    """What keeps this worker now. ends_in_s: when what is left is cut; None: no limit is set."""
    now_s = time.monotonic()
    calls = {call.connection: call for call in server.running}
    background = [call for call in server.running if server.is_background(call)]
    kinds: Counter[str] = Counter(background=len(background), handshake=server.handshakes())
    found = [(each, kind_of(each)) for each in islice(server.connections, LOOKED_AT_MAX)]
    kinds.update(kind for _, kind in found)
    kinds["idle"] += max(0, len(server.connections) - LOOKED_AT_MAX)
    worst = nsmallest(holding.CONNECTIONS_MAX, found, key=lambda one: (KINDS.index(one[1]), one[0].opened_s))
    rows = [_connection(each, kind, calls.get(each), now_s) for each, kind in worst]
    rows += [_background(call, now_s) for call in background[: holding.CONNECTIONS_MAX - len(rows)]]
    tasks = list(_tasks({call.task for call in server.running}))
    return holding.fitting(
        Holding(
            kinds={kind: count for kind, count in kinds.items() if count},
            connections=tuple(rows),
            tasks=tuple(tasks[: holding.TASKS_MAX]),
            tasks_more=max(0, len(tasks) - holding.TASKS_MAX),
            threads=tuple(_threads()),
            ends_in_s=ends_in_s,
        )
    )


def kind_of(connection: Connection) -> Kind:
    """What a connection is at."""
    match connection.phase:
        case phases.UPGRADED:
            return "websocket"
        case phases.BUSY | phases.BODY | phases.DISCARD:
            cycle = connection.cycle
            return "response" if cycle is not None and cycle.is_head_written else "request"
        case phases.HEADER:
            return "reading"
        case phases.LINGER | phases.GONE:
            return "closing"
        case _:
            return "reading" if connection.reader.has_unread() else "idle"


def _connection(each: Connection, kind: Kind, call: Call | None, now_s: float) -> holding.Connection:
    is_asking = call is not None and kind in ("request", "response", "websocket")
    why_not = _why_it_stays(each, kind)
    return holding.Connection(
        peer=_peer(each),
        kind=kind,
        age_s=now_s - each.opened_s,
        request=_request(call) if call and is_asking else "",
        for_s=now_s - call.started_s if call and is_asking else 0.0,
        can_move=not why_not,
        why_not=why_not,
        stack=_stack(call) if call and is_asking else (),
    )


def _background(call: Call, now_s: float) -> holding.Connection:
    return holding.Connection(
        peer=_peer(call.connection),
        kind="background",
        age_s=now_s - call.connection.opened_s,
        request=_request(call),
        for_s=now_s - call.started_s,
        stack=_stack(call),
    )


def _why_it_stays(each: Connection, kind: Kind) -> str:
    """Why no other worker can go on with it; empty: one can, once it stands between two messages."""
    if not each.can_move:
        return "TLS ends where it began"
    if each.stays_with is not None:
        return "the new version does not go on with it"
    call = each.websocket if kind == "websocket" else each.cycle if kind == "response" else None
    if call is not None and not call.is_carried:
        return "its application carries nothing (midair.carry_on)"
    return ""


def _peer(connection: Connection) -> str:
    client = connection.client
    return f"{client[0]}:{client[1]}" if client else "unix"


def _request(call: Call) -> str:
    scope = call.scope
    method = scope.get("method", "WEBSOCKET") if scope else ""
    return cut(f"{method} {scope['path']}") if scope else ""


def _stack(call: Call) -> tuple[str, ...]:
    """The application's part of it: what is below it is ours each time, and above it what every wait ends in."""
    if call.task is None:
        return ()
    calls = whereabouts.stack(call.task)
    return _shortened([line for line in calls if not line.startswith((OURS, ASYNCIO))] or calls)


def _shortened(calls: Iterable[str]) -> tuple[str, ...]:
    return tuple(cut(line) for line in islice(calls, CALLS_MAX))


def _tasks(of_calls: set[asyncio.Task[None] | None]) -> Iterable[holding.Task]:
    """Tasks that the application began. One that waits for us, as its lifespan does, keeps nobody."""
    for task in islice(asyncio.all_tasks(), TASKS_LOOKED_AT_MAX):
        if task in of_calls or task is asyncio.current_task():
            continue
        calls = whereabouts.stack(task)
        theirs = [line for line in calls if not line.startswith(ASYNCIO)]
        if theirs and not theirs[0].startswith(OURS):
            yield holding.Task(name=cut(task.get_name()), stack=_shortened(calls))


def _threads() -> Iterable[holding.Thread]:
    frames = sys._current_frames()
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    for thread in islice(others, holding.THREADS_MAX):
        frame = frames.get(thread.ident or 0)
        yield holding.Thread(
            name=cut(thread.name), is_daemon=thread.daemon, is_idle=_waits_for_work(frame), stack=_shortened(_up(frame))
        )


def _up(frame: FrameType | None) -> Iterable[str]:
    while frame is not None:
        yield f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back


def _waits_for_work(frame: FrameType | None) -> bool:
    if frame is None:
        return False
    code = frame.f_code
    return code.co_name == "_worker" and code.co_filename.endswith(os.path.join("concurrent", "futures", "thread.py"))
