"""Work that may block, done in a forked child: reading files, hashing, a slow disk, a dead network mount.

The supervisor never waits for a disk. A child costs about 2 ms, inherits everything that the work needs, and can be killed at
its time limit. What comes back is bytes, and an end without any is an outcome, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import msgspec

from midair.errors import Fault, MidairError
from midair.supervisor.loop import Loop
from midair.supervisor.processes import Processes

T = TypeVar("T")
LIMIT_S = 30.0
RESULT_MAX_BYTES = 32 * 1024 * 1024
_OK, _FAULT = b"\x00", b"\x01"


class Offload:
    """Runs functions in forked children and hands their results back in a later turn of the loop."""

    def __init__(self, loop: Loop, processes: Processes) -> None:
        self._loop = loop
        self._processes = processes
        self.running = 0
        """Children at work."""

    def begin(
        self,
        what: str,
        function: Callable[[], T],
        result: type[T],
        done: Callable[[T | Fault], None],
        *,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Run ``function`` in a child; ``done`` gets what it returned, or a Fault if it raised, died or took too long.

        what: names the work in a fault (``reading the version``). result: its type, made of what msgspec packs.
        ``done`` is called exactly once, never before ``begin`` returns.
        """
        try:
            read, write = os.pipe2(os.O_CLOEXEC)
        except OSError as exc:
            no_pipe = _no_process(what, exc)
            self._loop.call_soon(lambda: done(no_pipe))
            return
        try:
            pid = self._processes.fork(lambda: _work(function, read, write), lambda how: None)
        except OSError as exc:
            os.close(read)
            os.close(write)
            failed = _no_process(what, exc)
            self._loop.call_soon(lambda: done(failed))
            return
        os.close(write)
        os.set_blocking(read, False)
        self.running += 1
        received = bytearray()
        timer = self._loop.call_later(limit_s, lambda: finish(Fault("too-slow", f"{what} took over {limit_s:g} s")))

        def finish(outcome: T | Fault) -> None:
            timer.cancel()
            self._loop.forget(read)
            os.close(read)
            self.running -= 1
            if isinstance(outcome, Fault):
                self._processes.kill(pid)
            done(outcome)

        def on_readable() -> None:
            try:
                data = os.read(read, 1 << 20)
            except BlockingIOError:
                return
            received.extend(data)
            if len(received) > RESULT_MAX_BYTES:
                finish(Fault("bug", f"{what} returned too much"))
            elif not data:
                finish(unpack(what, bytes(received), result))

        self._loop.on_readable(read, on_readable)


def _no_process(what: str, exc: OSError) -> Fault:
    hint = "look at the limits on processes and open files (ulimit -u, ulimit -n)"
    return Fault("no-process", f"{what}: no process could be made: {exc.strerror}", hint)


def _work(function: Callable[[], object], read: int, write: int) -> None:
    """In the child."""
    os.close(read)
    view = memoryview(pack(function))
    while view:
        view = view[os.write(write, view) :]


def pack(function: Callable[[], object]) -> bytes:
    """What the function returns, or why it did not, as bytes."""
    try:
        return _OK + msgspec.msgpack.encode(function())
    except MidairError as error:
        return _FAULT + msgspec.msgpack.encode(error.fault())
    except Exception as exc:  # noqa: BLE001 - everything comes back as data
        import traceback

        fault = Fault("bug", f"{type(exc).__name__}: {exc}", "please report it", traceback.format_exc())
        return _FAULT + msgspec.msgpack.encode(fault)


def unpack(what: str, data: bytes, result: type[T]) -> T | Fault:
    """What ``pack`` made, on the other side."""
    try:
        if data[:1] == _OK:
            return msgspec.msgpack.decode(data[1:], type=result)
        if data[:1] == _FAULT:
            return msgspec.msgpack.decode(data[1:], type=Fault)
    except msgspec.MsgspecError as exc:
        return Fault("bug", f"{what} returned something unreadable: {exc}")
    return Fault("offload-died", f"{what} ended without a result")
