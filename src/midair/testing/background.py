"""An asynchronous client on a thread of its own, for tests and programs that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class _Client(Protocol[R_co]):
    @property
    def report(self) -> R_co: ...

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *exc: object) -> None: ...


class Background(Generic[R]):
    """``with Background(make) as client:`` runs ``async with make():`` until the block is left.

    ``client.report`` may be read all the while. Leaving raises what the client raised.
    """

    def __init__(
        self, make: Callable[[], _Client[R]], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    ) -> None:
        self._make = make
        self._loop_factory = loop_factory
        self._thread = threading.Thread(target=self._run, name="strict-client", daemon=True)
        self._started = threading.Event()
        self._trouble: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop
        self._leave: asyncio.Event
        self._client: _Client[R]

    @property
    def report(self) -> R:
        return self._client.report

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        if self._trouble is not None:
            raise self._trouble
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> R:
        """Ask no more, wait for the answers in flight; the whole report."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join()
        if self._trouble is not None:
            raise self._trouble
        return self.report

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._loop_factory) as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 - carried to the thread that owns this client
            self._trouble = error
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
        self._client = self._make()
        async with self._client:
            self._started.set()
            await self._leave.wait()
