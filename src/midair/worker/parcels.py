"""State as it goes from one worker's process to another's: a parcel of pieces by name, as bytes in a memfd.

Nothing here waits or knows of sockets. What an application's own functions raise comes out as an ApplicationError that names the
state, with the traceback as its detail.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from midair.carried import Carried, Item
from midair.errors import ApplicationError

if TYPE_CHECKING:
    from midair.core.events import Carries

FORMAT = 1
T = TypeVar("T")


class ExportFailed(ApplicationError):
    """The running version could not give its state away: its export raised, or what it gave is no plain data."""

    code = "carry-export"
    hint = "mend the export of the running version, or go without its state: stop and start the service"


class StateTooLarge(ApplicationError):
    """All that a worker carries is more than ``carry.max_size``."""

    code = "carry-too-large"
    hint = "raise carry.max_size, or keep what is large in a database"


class StateUnreadable(ApplicationError):
    """The state was written in a form that this midair does not read."""

    code = "carry-unreadable"


class VersionNotAccepted(ApplicationError):
    """The new version does not take state of the version in which the running one has it."""

    code = "carry-version"
    hint = "name the earlier version in accepts=, with upgrade= if its form differs"


class StatesMeet(ApplicationError):
    """Fewer slots follow than there were, so that several values meet in one, and nothing says what they make together."""

    code = "carry-meets"
    hint = "give it merge=, carry it by export= and restore=, or keep the number of workers"


class RestoreFailed(ApplicationError):
    """The new version could not begin with the state: what it called raised."""

    code = "carry-restore"
    hint = "mend restore=, upgrade= or merge= of the new version; the running one was not touched"


class Piece(msgspec.Struct, frozen=True):
    """One state, and the version of its form."""

    version: int
    state: msgspec.Raw


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    pieces: dict[str, Piece]


def begin(items: Sequence[Item]) -> None:
    """Nothing was carried yet: remember what values begin with, and let the others begin empty. Raises RestoreFailed."""
    for item in items:
        if isinstance(item, Carried):
            _remember_beginning(item)
        else:
            _restore(item, [])


def begin_anew(items: Sequence[Item]) -> None:
    """Throw away what was restored."""
    for item in items:
        _restore(item, [])


def pack(items: Sequence[Item], max_bytes: int) -> bytes:
    """What the items are now. Raises ExportFailed, StateTooLarge."""
    pieces = {item.name: _pack_one(item) for item in items}
    data = msgspec.msgpack.encode(Parcel(pieces=pieces))
    if len(data) > max_bytes:
        raise StateTooLarge(f"the state of one worker has {len(data)} bytes (carry.max_size is {max_bytes})")
    return data


def unpack(data: bytes) -> Parcel:
    """Raises StateUnreadable."""
    try:
        parcel = msgspec.msgpack.decode(data, type=Parcel)
    except msgspec.MsgspecError as exc:
        raise StateUnreadable(f"the state cannot be read: {exc}") from exc
    if parcel.format != FORMAT:
        raise StateUnreadable(f"the state has format {parcel.format}, this midair reads {FORMAT}")
    return parcel


def take(items: Sequence[Item], parcels: Sequence[Parcel], *, is_strict: bool) -> list[str]:
    """Begin with what is in the parcels, the slot's own first. Return what was dropped: state that nobody here carries, and,
    if not ``is_strict``, values that meet another and cannot be merged.

    Raises VersionNotAccepted, StatesMeet, RestoreFailed; then only a part may have been restored.
    """
    dropped = _unknown(items, parcels)
    for item in items:
        states = _states_of(item, parcels)
        if isinstance(item, Carried) and len(states) > 1:
            if item.merge:
                states = [_fold(item, states)]
            elif is_strict:
                raise StatesMeet(f"{len(states)} values of {item.name!r} meet in one slot")
            else:
                dropped.append(item.name)
        _restore(item, states)
    return dropped


def join(items: Sequence[Item], parcels: Sequence[Parcel]) -> list[str]:
    """Add other slots' state to what is here and goes on. Return what was dropped. Raises as ``take``."""
    dropped = _unknown(items, parcels)
    for item in items:
        states = _states_of(item, parcels)
        if not states:
            continue
        mine = _detached(item)
        if item.merge:
            _restore(item, [_fold(item, [mine, *states])])
        elif isinstance(item, Carried):
            dropped.append(item.name)
        else:
            _restore(item, [mine, *states])
    return dropped


def merge(items: Sequence[Item], theirs: Parcel, before: Parcel) -> None:
    """Add what has changed in ``theirs`` since ``before`` to what is here. Raises VersionNotAccepted, RestoreFailed."""
    for item in items:
        states, began = _states_of(item, [theirs]), _states_of(item, [before])
        if states and item.merge:
            _restore(item, [_merged(item, _detached(item), states[0], began[0] if began else item.beginning())])


def take_back(items: Sequence[Item], parcels: Sequence[Parcel], before: Parcel | None) -> list[str]:
    """Begin with what a newer version made of our state, and, if we went on beside it since ``before``, with what has
    changed here. Return what was dropped. If it cannot be, everything is as it was, and what hindered is raised."""
    own = unpack(pack(items, 1 << 62))
    try:
        dropped = take(items, parcels, is_strict=False)
        if before is not None:
            merge(items, own, before)
    except ApplicationError:
        take(items, [own], is_strict=False)
        raise
    return dropped


def carries(items: Sequence[Item]) -> Carries:
    """Nothing, ``moves``, or ``merges`` if all of it can be merged."""
    if not items:
        return ""
    return "merges" if all(item.merge for item in items) else "moves"


# --- one item -----------------------------------------------------------------------------------------------------


def _pack_one(item: Item) -> Piece:
    state = _calling(ExportFailed, item, "cannot be exported", item.export)
    data = _calling(ExportFailed, item, "is no plain data", lambda: _encode(state))
    return Piece(item.version, msgspec.Raw(data))


def _remember_beginning(item: Carried[Any]) -> None:
    _calling(ExportFailed, item, "is no plain data", lambda: item.freeze_initial(_encode, _decode))


def _states_of(item: Item, parcels: Sequence[Parcel]) -> list[Any]:
    return [_state_of(item, piece) for parcel in parcels if (piece := parcel.pieces.get(item.name))]


def _state_of(item: Item, piece: Piece) -> Any:
    if piece.version not in item.accepts:
        known = ", ".join(str(version) for version in sorted(item.accepts))
        raise VersionNotAccepted(f"state {item.name!r} has version {piece.version}, the new code accepts {known}")
    upgrade = item.upgrade if piece.version != item.version else None
    if upgrade is None:
        return _calling(RestoreFailed, item, "cannot be read", lambda: _decode(bytes(piece.state), item.shape()))
    raw = _decode(bytes(piece.state), None)
    return _calling(RestoreFailed, item, "cannot be upgraded", lambda: upgrade(raw, piece.version))


def _fold(item: Item, states: Sequence[Any]) -> Any:
    """What states of several slots make together: they have nothing in common but their beginning."""
    whole = states[0]
    for other in states[1:]:
        whole = _merged(item, whole, other, item.beginning())
    return whole


def _merged(item: Item, mine: Any, theirs: Any, before: Any) -> Any:
    function = item.merge
    assert function is not None
    return _calling(RestoreFailed, item, "cannot be merged", lambda: function(mine, theirs, before))


def _detached(item: Item) -> Any:
    """Its state now, sharing nothing with what the application goes on changing."""
    piece = _pack_one(item)
    return _decode(bytes(piece.state), item.shape())


def _restore(item: Item, states: list[Any]) -> None:
    _calling(RestoreFailed, item, "cannot be restored", lambda: item.restore(states))


def _unknown(items: Sequence[Item], parcels: Sequence[Parcel]) -> list[str]:
    known = {item.name for item in items}
    return sorted({name for parcel in parcels for name in parcel.pieces} - known)


def _calling(error: type[ApplicationError], item: Item, what: str, function: Callable[[], T]) -> T:
    try:
        return function()
    except Exception as exc:  # the application's own code may raise anything
        why = f"state {item.name!r} {what}: {type(exc).__name__}: {exc}"
        raise error(why, detail=traceback.format_exc()) from exc


def _encode(state: Any) -> bytes:
    return msgspec.msgpack.encode(state)


def _decode(data: bytes, shape: type | None) -> Any:
    return msgspec.msgpack.decode(data, type=Any if shape is None else shape)


# --- files --------------------------------------------------------------------------------------------------------


def write(fd: int, data: bytes) -> None:
    """Into an empty memfd."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read(fd: int) -> Parcel:
    """Raises StateUnreadable."""
    size = os.fstat(fd).st_size
    data = bytearray()
    while len(data) < size and (part := os.pread(fd, size - len(data), len(data))):
        data += part
    return unpack(bytes(data))
