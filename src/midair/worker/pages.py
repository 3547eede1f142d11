"""A worker's side of the pages that are open in browsers, under ``midair dev`` alone: imported by nobody otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, cast

from midair.browser.guard import Guard
from midair.browser.hub import Hub
from midair.browser.layer import Layer, is_own
from midair.live import EXTENSION
from midair.sockets import words
from midair.worker.access import AccessLog
from midair.worker.asgi import Asgi, Scope
from midair.worker.settings import DevSettings

if TYPE_CHECKING:
    from midair.worker.connection import Connection
    from midair.worker.server import Server


class _Quiet(AccessLog):
    """Leaves out what pages ask midair itself: it is nobody's request, and the token stands in it."""

    def note(self, scope: Scope, status: int) -> None:
        if not is_own(scope):
            super().note(scope, status)

    def note_websocket(self, scope: Scope, status: int) -> None:
        if not is_own(scope):
            super().note_websocket(scope, status)


class _Call(Protocol):
    """A request or a WebSocket, as it stands in its scope."""

    connection: Connection


def wrap(app: Asgi, launch: words.Launch, dev: DevSettings, say: Callable[[words.FromHost], None]) -> tuple[Hub, Asgi]:
    """The hub of this worker's pages, and its application with the layer around it."""

    def said(event: str, fields: Mapping[str, str | int | float | None]) -> None:
        say(words.Said(event=event, fields=dict(fields)))

    def counted(count: int) -> None:
        say(words.PagesOpen(count=count))

    hub = Hub(launch.generation, launch.version, can_open=bool(dev.editor), on_count=counted)
    return hub, Layer(app, dev, hub, Guard(dev, peer_of), say=said)


def leave_out_own(server: Server) -> None:
    """Keep our own paths out of the access log."""
    if server.access is not None:
        server.access.close()
        server.access = _Quiet(server.loop)


def peer_of(scope: Scope) -> str | None:
    """The address at the other end of the connection, whatever a proxy says of it; None: a Unix socket."""
    call = cast(_Call, scope["extensions"][EXTENSION])
    client = call.connection.client
    return client[0] if client else None
