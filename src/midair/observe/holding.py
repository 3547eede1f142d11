"""What keeps a process of an old version alive, as values: its connections, tasks, threads and children. No I/O here.

A worker gathers them of itself (``worker/holding.py``), the supervisor looks at processes from outside
(``supervisor/holding.py``), commands show them (``midair why-alive``). All of it is bounded: so many of each, those that hold
longest first, and texts are cut.
"""

from __future__ import annotations

from typing import Literal

import msgspec

CONNECTIONS_MAX = 40
"""Of one worker that are told one by one."""
TASKS_MAX = 20
THREADS_MAX = 20
CALLS_MAX = 6
"""Of a stack: the innermost ones, which say what is waited for."""
TEXT_MAX = 160
"""Characters of a path or of a line of a stack."""
PROCESSES_MAX = 40

Kind = Literal["idle", "reading", "request", "response", "websocket", "background", "handshake", "closing", "open"]
"""idle: between two requests; reading: a request is still arriving; request: the application has not begun to answer; response:
it has, and goes on; background: answered, but the application's call has not returned; open: a command's, of which no more is
known."""
KINDS: tuple[Kind, ...] = (
    "websocket",
    "response",
    "request",
    "background",
    "reading",
    "handshake",
    "closing",
    "open",
    "idle",
)
"""In the order in which people look at them: what ends least by itself first."""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    peer: str
    """``10.0.0.7:51234``; ``unix``."""
    kind: Kind
    age_s: float
    """Since it was accepted (or taken over from another worker)."""
    request: str = ""
    """``GET /orders``: method and path of what it asks for, never the query."""
    for_s: float = 0.0
    """Since that request began."""
    can_move: bool = False
    """Another worker can go on with it, at some moment."""
    why_not: str = ""
    """Why no other worker can."""
    stack: tuple[str, ...] = ()
    """Where the application's call for it stands, innermost first; empty: not known."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    stack: tuple[str, ...] = ()


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    is_daemon: bool = False
    """As Python says; a worker waits for neither kind when it ends."""
    is_idle: bool = False
    """It is a pool's, and waits for work."""
    stack: tuple[str, ...] = ()


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process below a worker, or a command's own."""

    pid: int
    parent: int = 0
    command: str = ""
    state: str = ""
    """As in /proc: R runs, S sleeps, D waits for a device, Z has ended and is not waited for, T is stopped."""
    age_s: float = 0.0
    threads: int = 1
    connections: int = 0
    """Its established sockets. One that was inherited is counted for each process that has it."""


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself, at one moment."""

    kinds: dict[str, int] = {}
    """Connections by kind, all of them."""
    connections: tuple[Connection, ...] = ()
    tasks: tuple[Task, ...] = ()
    """Those that neither midair nor a request began."""
    tasks_more: int = 0
    threads: tuple[Thread, ...] = ()
    """Beside the main one."""
    ends_in_s: float | None = None
    """When what is left is cut. None: nobody has set it a limit."""


BYTES_MAX = 48 * 1024
"""It crosses from a worker in one message."""


def fitting(found: Holding) -> Holding:
    """As much of it as fits into a message: fewer rows, the first ones."""
    while len(msgspec.msgpack.encode(found)) > BYTES_MAX:
        found = msgspec.structs.replace(
            found,
            connections=found.connections[: len(found.connections) // 2],
            tasks=found.tasks[: len(found.tasks) // 2],
            tasks_more=found.tasks_more + (len(found.tasks) + 1) // 2,
            threads=found.threads[: len(found.threads) // 2],
        )
    return found


def cut(text: str, most: int = TEXT_MAX) -> str:
    """At most so many characters; the end of a path says more than its beginning."""
    return text if len(text) <= most else f"…{text[1 - most :]}"
