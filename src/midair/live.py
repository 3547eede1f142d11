"""What an application says of a connection that is to outlive the version that serves it.

    import midair

    async def chat(websocket):
        await websocket.accept()
        session = midair.carry_on(websocket, {"count": 0})
        if not session.is_resumed:
            await websocket.send_text("hello")
        async for text in websocket.iter_text():
            session.value["count"] += 1
            await websocket.send_text(f"{session.value['count']}: {text}")

At an update the connection goes to the new version, where the handler is entered anew: ``accept`` then sends nothing, since the
client has been accepted long ago, and ``carry_on`` returns what the old version had. The value is taken as it is when the
handler waits for the client's next message, so it has to be right whenever the handler awaits something.

Without midair (under plain uvicorn, in a test) ``carry_on`` returns the initial value, and nothing else happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar, cast

import msgspec

T = TypeVar("T")

EXTENSION = "midair"
"""The key in ``scope["extensions"]`` under which the worker is found."""

TRACE = "midair.trace"
"""The key beside it under which a call's own span stands, if there are traces: it links to that of the worker before."""

draining = asyncio.Event()
"""Set while this worker retires: a newer version serves, and what does not move has until ``drain.timeout``."""


class NotCarried(OSError):
    """What the earlier version carried cannot be taken: the connection stays there, and this call has no client."""


class Carriage:
    """What a call of the application hands to the same call in another worker. Made by the worker, filled by ``carry_on``."""

    __slots__ = ("_changed", "_export", "came", "declined", "has_moved", "version")

    def __init__(self, came: tuple[bytes, int] | None, changed: Callable[[], None]) -> None:
        """came: bytes and version as the earlier worker carried them; changed: told when the application has taken or
        declined them."""
        self.came = came
        self.declined = ""
        """Why the application cannot go on with what came."""
        self.has_moved = False
        self.version = 1
        self._export: Callable[[], object] | None = None
        self._changed = changed

    @property
    def is_taken(self) -> bool:
        """The application carries a state for this connection."""
        return self._export is not None

    def take(self, export: Callable[[], object], version: int) -> None:
        """Carry what ``export()`` returns from now on."""
        if self._export is not None:
            raise RuntimeError("carry_on was called twice for one connection")
        self._export, self.version = export, version
        self._changed()

    def decline(self, why: str) -> NotCarried:
        """Say that what came is of no use; the exception is for the application's handler."""
        self.declined = why
        self._changed()
        return NotCarried(why)

    def data(self) -> bytes:
        """The state as it is now. Raises whatever ``export`` raises, TypeError for what is no plain data."""
        assert self._export is not None
        return msgspec.msgpack.encode(self._export())


class _Call(Protocol):
    """A call of the application, as the worker shows it in the scope."""

    def carriage(self) -> Carriage: ...


class _HasScope(Protocol):
    @property
    def scope(self) -> Mapping[str, object]: ...


class CarriedOn(Generic[T]):
    """A connection's state. ``value`` may be changed in place or replaced at any time."""

    __slots__ = ("_carriage", "is_resumed", "value")

    def __init__(self, value: T, carriage: Carriage | None, *, is_resumed: bool) -> None:
        self.value = value
        self.is_resumed = is_resumed
        """The connection was begun by an earlier version: do not greet again."""
        self._carriage = carriage

    @property
    def has_moved(self) -> bool:
        """The connection lives on in another worker: after ``websocket.disconnect``, leave undone what assumes that the
        client has gone."""
        return self._carriage is not None and self._carriage.has_moved


def carry_on(
    connection: _HasScope | Mapping[str, object],
    initial: T,
    *,
    export: Callable[[], object] | None = None,
    restore: Callable[[object], T] | None = None,
    version: int = 1,
    accepts: tuple[int, ...] = (),
) -> CarriedOn[T]:
    """Let this connection go on with the next version, and return its state: what the earlier version had, or ``initial``.

    connection: a WebSocket or request of any ASGI framework that keeps the scope as ``.scope``, or the scope. initial: plain data
    (what msgpack holds: numbers, texts, bytes, lists, dictionaries; dataclasses too); what comes is read as the same type.
    export, restore: instead of the value itself, ``export()`` is carried, and ``restore(data)`` makes the value of it. version:
    of what is carried; accepts: older versions that can be taken as well. For a WebSocket, or a response that is sent in chunks;
    call it once, before the first message. Only on the event loop's thread.

    Raises NotCarried (an OSError; let it pass) where the state that came cannot be taken: the connection then stays with
    the version that has it. TypeError: the state is no plain data.
    """
    call = _call_of(connection)
    if call is None:
        return CarriedOn(initial, None, is_resumed=False)
    carriage = call.carriage()
    value = initial
    if carriage.came is not None:
        value = _taken(carriage, initial, restore, (version, *accepts))
    carried = CarriedOn(value, carriage, is_resumed=carriage.came is not None)
    give = export or (lambda: carried.value)
    _check(give, object if restore else type(initial))
    carriage.take(give, version)
    return carried


def _check(export: Callable[[], object], kind: type) -> None:
    """There and back once: now, in the handler that did it, rather than in the midst of an update."""
    try:
        msgspec.msgpack.decode(msgspec.msgpack.encode(export()), type=kind)
    except (TypeError, ValueError) as exc:
        raise TypeError(f"what is to be carried is no plain data: {exc}") from None


def _call_of(connection: _HasScope | Mapping[str, object]) -> _Call | None:
    # Starlette's connections are mappings themselves, so the attribute is asked first.
    scope = cast("Mapping[str, object]", getattr(connection, "scope", connection))
    extensions = cast("Mapping[str, object]", scope.get("extensions") or {})
    return cast("_Call | None", extensions.get(EXTENSION))


def _taken(carriage: Carriage, initial: T, restore: Callable[[object], T] | None, versions: tuple[int, ...]) -> T:
    assert carriage.came is not None
    data, version = carriage.came
    if version not in versions:
        raise carriage.decline(f"its state is of version {version}, and version {versions[0]} is wanted")
    try:
        if restore is not None:
            return restore(msgspec.msgpack.decode(data))
        return cast(T, msgspec.msgpack.decode(data, type=type(initial) if initial is not None else object))
    except Exception as exc:  # the application's own code: whatever it raises, the connection stays where it is
        raise carriage.decline(f"its state cannot be taken: {exc!r}") from exc
