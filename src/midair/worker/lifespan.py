"""The application's start-up and shutdown (ASGI lifespan), with uvicorn's ``auto``, ``on`` and ``off``.

auto: an application that raises when it is called with a lifespan scope does not know the protocol, and is served
without; one that has taken ``lifespan.startup`` and raises then knows it, and has failed to start. uvicorn serves that
one, too: a version whose database is gone would take the place of one that works. on: any of it is a failure.
Nothing is timed here; whoever waits has the deadline.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import Any, Literal

from midair.errors import ApplicationError
from midair.worker.asgi import Asgi, Message


class StartupFailed(ApplicationError):
    """The application said ``lifespan.startup.failed``, or raised where lifespan is required."""

    code = "startup-failed"
    hint = "the application's own start-up refused; its message is above"


class ShutdownFailed(ApplicationError):
    """The application said ``lifespan.shutdown.failed``, or raised while shutting down."""

    code = "shutdown-failed"


class _NotLifespan(RuntimeError):
    """The application answered a lifespan scope as if it were a request: it does not know the protocol."""


class Lifespan:
    """One application's life. ``startup()`` once, then ``shutdown()`` once; ``state`` is what start-up left for requests."""

    def __init__(self, app: Asgi, mode: Literal["auto", "on", "off"] = "auto") -> None:
        self.state: dict[str, Any] = {}
        self._app, self._mode = app, mode
        self._task: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answered = asyncio.Event()
        self._failure: str | None = None
        self._error: BaseException | None = None
        self._is_startup_taken = False
        self._is_started = False
        self._is_over = False

    @property
    def is_supported(self) -> bool:
        """Start-up was answered: shutdown will be told."""
        return self._is_started

    async def startup(self) -> None:
        """Return when the application has started up. Raises StartupFailed with the application's message."""
        if self._mode == "off":
            return
        self._task = asyncio.create_task(self._run(), name="lifespan")
        self._events.put_nowait({"type": "lifespan.startup"})
        await self._answered.wait()
        if self._failure is not None:
            raise StartupFailed(f"the application failed to start: {_last_line(self._failure)}", detail=self._failure)
        if self._error is not None and (self._mode == "on" or self._has_failed):
            detail = "".join(traceback.format_exception(self._error))
            raise StartupFailed(f"the application failed to start: it raised {self._error!r}", detail=detail)
        if not self._is_started and self._mode == "on":
            raise StartupFailed("lifespan is on and the application returned without completing its start-up")

    async def shutdown(self) -> None:
        """Return when the application has shut down. Raises ShutdownFailed with the application's message."""
        if not self._is_started or self._is_over:
            return
        self._answered.clear()
        self._events.put_nowait({"type": "lifespan.shutdown"})
        await self._answered.wait()
        if self._failure is not None:
            raise ShutdownFailed(
                f"the application failed to shut down: {_last_line(self._failure)}", detail=self._failure
            )
        if self._error is not None:
            detail = "".join(traceback.format_exception(self._error))
            raise ShutdownFailed(f"the application raised {self._error!r} while shutting down", detail=detail)

    @property
    def _has_failed(self) -> bool:
        """It raised in its start-up, not at the sight of a scope that it does not know."""
        return self._is_startup_taken and not self._is_started and not isinstance(self._error, _NotLifespan)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, it is the application's and told to who waits
            self._error = exc
        finally:
            self._is_over = True
            self._answered.set()

    async def _receive(self) -> Message:
        event = await self._events.get()
        self._is_startup_taken = True
        return event

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._is_started = True
        elif kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self._failure = message.get("message", "") or "no message was given"
        elif kind != "lifespan.shutdown.complete":
            raise _NotLifespan(f"unexpected ASGI message {kind!r} in a lifespan")
        self._answered.set()


def _last_line(text: str) -> str:
    """A framework's message is often a whole traceback: its last line says what happened."""
    return text.strip().splitlines()[-1]
