"""Something that one worker of the service does at a time: a scheduler, a poller, whoever must not run twice.

    async def schedule():                          # a task of every worker, begun in the start-up
        while True:
            async with midair.exclusive("scheduler") as held:
                while not held.leaving.is_set():
                    await run_what_is_due()

One worker of the serving version is inside, the others wait. At an update ``held.leaving`` is set in the old version; what has not
left LEAVE_WITHIN_S later is cancelled at its ``await``, the context takes that cancellation up, and the loop above
waits for its turn again: after a rollback that may come. A worker of the new version enters when the old one has left, or has
ended in whatever way: the lock is the kernel's (flock), and goes with the process that held it.

``with midair.exclusive(...)`` is the same for a thread; nobody can cancel a thread, so it has to look at ``held.leaving``.
Without midair (under plain uvicorn, in a test) it is entered at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from msgspec import Struct, field

LEAVE_WITHIN_S = 5.0
"""From ``held.leaving`` to the cancellation of what is still inside. So long nobody may be inside, at most."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

E = TypeVar("E", bound="asyncio.Event | threading.Event")


class Held(Generic[E]):
    """Whoever is inside. ``leaving`` is set when it has to come to an end."""

    def __init__(self, leaving: E) -> None:
        self.leaving = leaving


def exclusive(name: str) -> Exclusive:
    """A context that one worker of the serving version is in at a time; ``async with`` in a task, ``with`` in a thread.

    Raises ValueError for a name that is no plain word.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a name of letters, digits, '.', '_' and '-' is needed, not {name!r}")
    return Exclusive(name)


class Exclusive:
    """See ``exclusive``. Each may be entered once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn: _Turn | None = None
        self._task: asyncio.Task[object] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_cancelled = False

    async def __aenter__(self) -> Held[asyncio.Event]:
        loop = asyncio.get_running_loop()
        leaving = asyncio.Event()
        place = _here.place
        if place is None:
            return Held(leaving)
        self._task = asyncio.current_task()
        entered: asyncio.Future[None] = loop.create_future()

        def enter() -> None:
            if not entered.done():
                entered.set_result(None)

        def tell_entered() -> None:
            _thread_safe(loop, enter)

        def tell_leaving() -> None:
            _thread_safe(loop, lambda: self._leave_soon(loop, leaving))

        self._turn = place.ask(self._name, tell_entered, tell_leaving)
        try:
            await entered
        except asyncio.CancelledError:
            self._turn.end()
            raise
        return Held(leaving)

    def _leave_soon(self, loop: asyncio.AbstractEventLoop, leaving: asyncio.Event) -> None:
        leaving.set()
        if self._turn is not None and self._deadline is None:
            self._deadline = loop.call_later(LEAVE_WITHIN_S, self._cancel)

    def _cancel(self) -> None:
        if self._task is not None and self._turn is not None:
            self._is_cancelled = True
            self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, where: TracebackType | None
    ) -> bool:
        self._end()
        if self._is_cancelled and kind is asyncio.CancelledError and self._task is not None:
            # Ours, as with asyncio.timeout(): whoever else cancelled the task still does.
            return self._task.uncancel() <= 0
        return False

    def __enter__(self) -> Held[threading.Event]:
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            raise TypeError("in a coroutine it is: async with midair.exclusive(...)")
        leaving, entered = threading.Event(), threading.Event()
        if _here.place is not None:
            self._turn = _here.place.ask(self._name, entered.set, leaving.set)
            entered.wait()
        return Held(leaving)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, where: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.end()


def _thread_safe(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits there any more.
        loop.call_soon_threadsafe(call)


# --- this process -------------------------------------------------------------------------------------------------


class _Turn(Struct, eq=False):
    """Somebody who waits for a name, or has it (``fd``)."""

    place: _Place
    name: str
    tell_entered: Callable[[], None]
    tell_leaving: Callable[[], None]
    fd: int = -1
    has_ended: bool = False

    def end(self) -> None:
        self.place.ended(self)


class _Place(Struct):
    """Where this worker stands: who waits, who is inside, and whether it serves."""

    folder: str
    is_serving: bool = False
    waiting: dict[str, deque[_Turn]] = field(default_factory=dict)
    asking: set[str] = field(default_factory=set)
    """Names that a thread of ours waits for, in the kernel: one a name."""
    inside: set[_Turn] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, name: str, tell_entered: Callable[[], None], tell_leaving: Callable[[], None]) -> _Turn:
        turn = _Turn(self, name, tell_entered, tell_leaving)
        with self.lock:
            self.waiting.setdefault(name, deque()).append(turn)
            self._wait_for(name)
        return turn

    def ended(self, turn: _Turn) -> None:
        with self.lock:
            turn.has_ended = True
            self.inside.discard(turn)
            fd, turn.fd = turn.fd, -1
            if fd >= 0:
                os.close(fd)

    def serve(self) -> None:
        with self.lock:
            self.is_serving = True
            for name in self.waiting:
                self._wait_for(name)

    def stop_serving(self) -> None:
        with self.lock:
            self.is_serving = False
            leaving = list(self.inside)
        for turn in leaving:
            turn.tell_leaving()

    def _wait_for(self, name: str) -> None:
        """With the lock held: let a thread wait in the kernel, if there is reason to."""
        if self.is_serving and name not in self.asking and self._next(name):
            self.asking.add(name)
            threading.Thread(target=self._take, args=(name,), name=f"midair:exclusive:{name}", daemon=True).start()

    def _next(self, name: str) -> _Turn | None:
        waiting = self.waiting.get(name, deque())
        while waiting and waiting[0].has_ended:
            waiting.popleft()
        return waiting[0] if waiting else None

    def _take(self, name: str) -> None:
        import fcntl  # not on every system where an application that imports us is written

        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        fd = os.open(os.path.join(self.folder, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        with self.lock:
            self.asking.discard(name)
            turn = self._next(name)
            if turn is None or not self.is_serving:
                os.close(fd)  # Whoever wanted it is gone, or the slot is another worker's by now.
                return
            self.waiting[name].popleft()
            turn.fd = fd
            self.inside.add(turn)
            self._wait_for(name)
        turn.tell_entered()


class _Here:
    """This process."""

    def __init__(self) -> None:
        self.place: _Place | None = None


_here = _Here()


def install(folder: str) -> None:
    """This process is a worker of midair: it enters nothing until ``serve``. ``folder``: where the lock files are."""
    _here.place = _Place(folder) if folder else None


def serve() -> None:
    """It serves: from now on it may enter."""
    if _here.place is not None:
        _here.place.serve()


def stop_serving() -> None:
    """Another worker's turn: whoever is inside is told to leave."""
    if _here.place is not None:
        _here.place.stop_serving()


def _leave_to_parent() -> None:
    """A child that the application forks must not keep the lock when its parent has died."""
    if _here.place is not None:
        for turn in _here.place.inside:
            if turn.fd >= 0:
                os.close(turn.fd)
                turn.fd = -1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
