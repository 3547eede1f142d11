"""The words between server and application (ASGI 3), and the names of the client's departure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

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
