"""What an application keeps in memory, and wants the next version to go on with.

    import midair

    hits = midair.carry("hits", 0)                                       # a value: hits.value += 1
    midair.carry("rooms", export=rooms.dump, restore=rooms.load)         # or two functions

State belongs to a worker's slot. At an update the worker that serves the slot stops reading, its state is taken, the new version's
worker is given it, and goes on. State is plain data: what msgpack knows, and dataclasses, sets, tuples and msgspec structs
of it. It is taken between two callbacks of the event loop: at every ``await`` it has to make sense.

Without midair (under plain uvicorn, in a test) a value is a value, and the functions are never called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, overload

from midair.errors import ApplicationError

T = TypeVar("T")

_NOTHING = object()


class CarriedTwice(ApplicationError):
    """Two parts of the application carry state under one name."""

    code = "carried-twice"
    hint = "give each a name of its own: the next version finds its state by it"


class CarriedWrongly(ApplicationError):
    """A call of ``midair.carry`` that makes no sense."""

    code = "carried-wrongly"
    hint = "either an initial value, or export= and restore="


class Item:
    """Something that is carried, under a name. The functions are the application's."""

    def __init__(
        self,
        name: str,
        version: int,
        accepts: Iterable[int],
        upgrade: Callable[[Any, int], Any] | None,
        merge: Callable[[Any, Any, Any], Any] | None,
    ) -> None:
        self.name, self.version, self.accepts = name, version, frozenset({version, *accepts})
        self.upgrade, self.merge = upgrade, merge

    def export(self) -> Any:
        """Its state now, as plain data."""
        raise NotImplementedError

    def restore(self, states: list[Any]) -> None:
        """Begin with these: none (a first start, or after a crash), one, or one of each slot whose state meets here."""
        raise NotImplementedError

    def shape(self) -> type | None:
        """What a decoded state is made into; None: it stays as it comes."""
        return None

    def beginning(self) -> Any:
        """What it is before anything was carried, as far as that is known."""
        return None


class Carried(Item, Generic[T]):
    """A value that goes on with the next version: read and set ``value``."""

    def __init__(
        self,
        name: str,
        initial: T,
        version: int,
        accepts: Iterable[int],
        upgrade: Callable[[Any, int], T] | None,
        merge: Callable[[T, T, T], T] | None,
    ) -> None:
        super().__init__(name, version, accepts, upgrade, merge)
        self.value = initial
        self._shape = type(initial)
        self._initial: bytes | None = None

    def freeze_initial(self, encode: Callable[[Any], bytes], decode: Callable[[bytes, type | None], T]) -> None:
        """Remember what it is now as its beginning: nothing was carried yet."""
        self._initial, self._decode = encode(self.value), decode

    def export(self) -> T:
        return self.value

    def restore(self, states: list[Any]) -> None:
        self.value = states[0] if states else self.beginning()

    def shape(self) -> type | None:
        return None if self._shape in PLAIN else self._shape

    def beginning(self) -> T:
        assert self._initial is not None
        return self._decode(self._initial, self.shape())


class CarriedPair(Item):
    """State that the application hands out and takes in by two functions of its own."""

    def __init__(
        self,
        name: str,
        export: Callable[[], Any],
        restore: Callable[[list[Any]], object],
        version: int,
        accepts: Iterable[int],
        upgrade: Callable[[Any, int], Any] | None,
        merge: Callable[[Any, Any, Any], Any] | None,
    ) -> None:
        super().__init__(name, version, accepts, upgrade, merge)
        self._export, self._restore = export, restore

    def export(self) -> Any:
        return self._export()

    def restore(self, states: list[Any]) -> None:
        self._restore(states)


PLAIN = frozenset({bool, int, float, str, bytes, list, dict, type(None)})
"""What msgpack gives back as what it was."""


@overload
def carry(
    name: str,
    initial: T,
    *,
    version: int = 1,
    accepts: Iterable[int] = (),
    upgrade: Callable[[Any, int], T] | None = None,
    merge: Callable[[T, T, T], T] | None = None,
) -> Carried[T]: ...


@overload
def carry(
    name: str,
    *,
    export: Callable[[], Any],
    restore: Callable[[list[Any]], object],
    version: int = 1,
    accepts: Iterable[int] = (),
    upgrade: Callable[[Any, int], Any] | None = None,
    merge: Callable[[Any, Any, Any], Any] | None = None,
) -> CarriedPair: ...


def carry(
    name: str,
    initial: Any = _NOTHING,
    *,
    export: Callable[[], Any] | None = None,
    restore: Callable[[list[Any]], object] | None = None,
    version: int = 1,
    accepts: Iterable[int] = (),
    upgrade: Callable[[Any, int], Any] | None = None,
    merge: Callable[[Any, Any, Any], Any] | None = None,
) -> Item:
    """State of this worker's slot that goes on with the next version, under ``name``.

    Call it at import or in the start-up, once a name. ``initial``: a value, which is returned as ``.value``. Or
    ``export()`` gives plain data, and ``restore(states)`` replaces what is there by the states in the list: it is empty at
    a first start and after a crash, and has several where fewer slots follow than there were.

    version: of the form of the state; ``accepts``: earlier versions that this code takes as well, after ``upgrade(state,
    version)`` if that is given. A state of another version refuses the update before the cut-over.
    merge(mine, theirs, before): one state out of two that went on side by side from ``before``. If everything that is
    carried has one, nobody stops at the cut-over: old connections go on with the old worker, and what changes there
    is merged when it is empty.

    Raises CarriedTwice, CarriedWrongly.
    """
    is_pair = export is not None and restore is not None
    if (initial is _NOTHING) != is_pair or (export is None) != (restore is None):
        raise CarriedWrongly(f"carry({name!r}) needs a value, or export and restore")
    if _registry.is_closed:
        raise CarriedWrongly(
            f"carry({name!r}) is called after the start-up", hint="call it at import or in the start-up"
        )
    if name in _registry.items:
        raise CarriedTwice(f"state {name!r} is carried already")
    item: Item
    if export is not None and restore is not None:
        item = CarriedPair(name, export, restore, version, accepts, upgrade, merge)
    else:
        item = Carried(name, initial, version, accepts, upgrade, merge)
    _registry.items[name] = item
    return item


class _Registry:
    """What this process carries."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.is_closed = False


_registry = _Registry()


def items() -> list[Item]:
    """All that the application carries."""
    return list(_registry.items.values())


def close() -> list[Item]:
    """The application has started: what it carries is known now, and nothing is added any more."""
    _registry.is_closed = True
    return items()
