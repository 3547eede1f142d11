"""The words between server and application (ASGI 3), and the names of the client's departure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from midair.live import NotCarried

# ASGI's dictionaries hold values of many types; the specification, not the type checker, says which.
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Address: TypeAlias = tuple[str, int | None]

SPEC_VERSION = "2.4"


class ClientDisconnected(OSError):
    """The client has gone: what ``send()`` raises from then on, as ASGI 2.4 wants it."""


_CHAIN_MAX = 10


def is_departure(exc: BaseException | None) -> bool:
    """The application has noticed that its client has gone, and says so in its own words: no fault of it.

    Frameworks raise exceptions of their own then (Starlette a ClientDisconnect), in the midst of handling ours.
    """
    for _ in range(_CHAIN_MAX):
        if exc is None:
            return False
        if isinstance(exc, ClientDisconnected | NotCarried | asyncio.CancelledError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False
