"""A worker's side of the pages that are open in browsers, under ``midair dev`` alone: imported by nobody otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, cast

from midair.browser.guard import Guard
from midair.browser.hub import Hub
from midair.browser.layer import Layer
from midair.live import EXTENSION
from midair.sockets import words
from midair.worker.asgi import Asgi, Scope
from midair.worker.settings import DevSettings

if TYPE_CHECKING:
    from midair.worker.connection import Connection


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


def peer_of(scope: Scope) -> str | None:
    """The address at the other end of the connection, whatever a proxy says of it; None: a Unix socket."""
    call = cast(_Call, scope["extensions"][EXTENSION])
    client = call.connection.client
    return client[0] if client else None
