"""What systemd hands back at the start, told apart: sockets of a ``.socket`` unit, our own of before, and our state.

    midair-state      the record of the process before; it names the sockets that we had stored
    midair-question   was stored to see whether things are kept
    named there       ours: by the inode, for a unit may call its socket ``web``, too
    all others        opened by a ``.socket`` unit, as without a store

Without a record that can be read, all sockets are taken as a unit's: the service starts, on all of them, but for those whose names
say that they are for something else. They are closed, and opened anew.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from midair.config.schema import Settings
from midair.errors import MidairError
from midair.sockets.address import DescriptorAddress, parse
from midair.sockets.bind import Passed, find_kept, passed_by_systemd
from midair.sockets.listener import Listener, adopt
from midair.supervisor.endpoints import PURPOSES, addresses_of
from midair.supervisor.remembered import Remembered, StoredListener, decode
from midair.systemd.notify import Notifier
from midair.systemd.record import Record
from midair.systemd.store import QUESTION, STATE, Store


@dataclass(slots=True)
class Returned:
    """What came back. Whoever takes something out of it owns it."""

    record: Record | None = None
    state: Remembered | None = None
    trouble: MidairError | None = None
    """Why the record of before was put aside."""
    listeners: dict[str, Listener] = field(default_factory=dict)
    """By their names in the store."""
    taken: frozenset[int] = frozenset()
    """Descriptors that are no sockets of a unit."""
    has_sockets_of_unit: bool = False
    given_up: list[tuple[str, str]] = field(default_factory=list)
    """Name and address of those that nobody wants any more."""

    @property
    def is_after_crash(self) -> bool:
        """The process before was killed: nobody had asked it to end."""
        return self.state is not None and not self.state.is_stopping

    def of_use(self, *uses: str) -> list[tuple[StoredListener, Listener]]:
        """The listeners that were stored for one of these uses, in the order of their names in the store."""
        if self.state is None:
            return []
        known = self.state.listeners
        return [(known[name], self.listeners[name]) for name in sorted(self.listeners) if known[name].use in uses]


def take_back(environ: Mapping[str, str], pid: int, settings: Settings) -> Returned:
    """What systemd has kept for us, if anything. Our own listeners that these settings do not ask for are closed, here and there:
    they would be in the way of what takes their place. Raises NotAListener when LISTEN_FDS makes no sense."""
    passed = passed_by_systemd(environ, pid)
    returned = sort(passed, is_blocking=settings.is_command)
    notifier = Notifier(environ.get("NOTIFY_SOCKET", ""))
    if returned.trouble:
        give_up_unknown(passed, returned, settings, Store(notifier))
    give_up_unwanted(returned, settings, Store(notifier))
    notifier.close()
    return returned


def sort(passed: tuple[Passed, ...], *, is_blocking: bool) -> Returned:
    """Tell apart what was passed. is_blocking: the mode for accepts on our own listeners."""
    returned = Returned()
    for each in passed:
        _close_on_exec(each.fd)
        if each.name == STATE:
            _take_record(each.fd, returned)
        elif each.name == QUESTION:
            os.close(each.fd)
    theirs = {each.fd for each in passed if each.name in {STATE, QUESTION}}
    rest = [each for each in passed if each.fd not in theirs]
    returned.taken = frozenset(theirs | _take_listeners(rest, returned, is_blocking))
    returned.has_sockets_of_unit = len(returned.taken) < len(passed)
    return returned


def give_up_unknown(passed: Iterable[Passed], returned: Returned, settings: Settings, store: Store) -> None:
    """Without a record: close what would not do as a listener of the service, and is in the way of the one that will."""
    for each in passed:
        if each.fd in returned.taken or not (_is_own(settings) or each.name in PURPOSES):
            continue
        os.close(each.fd)
        store.remove(each.name)
        returned.taken |= {each.fd}
    returned.has_sockets_of_unit = any(each.fd not in returned.taken for each in passed)


def give_up_unwanted(returned: Returned, settings: Settings, store: Store) -> None:
    """Close our own listeners that these settings do not ask for."""
    wanted = {each.fd for each in _wanted(returned, settings)}
    for name, each in list(returned.listeners.items()):
        if each.fd not in wanted:
            returned.given_up.append((each.name, each.actual))
            del returned.listeners[name]
            each.close()
            store.remove(name)


def _wanted(returned: Returned, settings: Settings) -> Iterator[Listener]:
    """Our own listeners that are asked for."""
    is_own = _is_own(settings)
    # Without SO_REUSEPORT no other slot can join; with it a second service could.
    kept = [each for _, each in returned.of_use("bind") if _is_reuse_port(each) == is_own]
    addresses = [parse(typed, settings.folder) for typed in settings.bind]
    if returned.has_sockets_of_unit and not any(isinstance(each, DescriptorAddress) for each in addresses):
        addresses = []
    bound = [each for address in addresses if (each := find_kept(address, kept))]
    yield from bound
    if is_own:
        yield from (each for _, each in returned.of_use("own") if each.actual in {first.actual for first in bound})
    if settings.is_command and settings.listener == "lent":
        yield from (each for _, each in returned.of_use("lent"))
    for purpose, address in addresses_of(settings).items():
        served = [each for _, each in returned.of_use(purpose)]
        if address and (found := find_kept(parse(address, settings.folder), served)):
            yield found


def _is_own(settings: Settings) -> bool:
    return settings.is_command and settings.listener == "own"


def _is_reuse_port(listener: Listener) -> bool:
    return not listener.is_unix and bool(listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))


def _close_on_exec(fd: int) -> None:
    try:
        os.set_inheritable(fd, False)
    except OSError:
        pass  # LISTEN_FDS says more than there is: whoever listens on it will tell.


def _take_record(fd: int, returned: Returned) -> None:
    if returned.record:
        os.close(fd)  # One is enough.
        return
    try:
        record, document = Record.adopt(fd)
    except MidairError as error:
        os.close(fd)
        returned.trouble = error
        return
    try:
        returned.state = decode(document)
    except MidairError as error:
        record.close()
        returned.trouble = error
        return
    returned.record = record


def _take_listeners(passed: list[Passed], returned: Returned, is_blocking: bool) -> set[int]:
    """Adopt those that the record names; the descriptors that are done with."""
    if returned.state is None:
        return set()
    known = {each.inode: name for name, each in returned.state.listeners.items()}
    done = set()
    for each in passed:
        name = known.get(_inode(each.fd))
        if name is None:
            continue
        done.add(each.fd)
        about = returned.state.listeners[name]
        try:
            if name in returned.listeners:
                os.close(each.fd)  # It came twice.
            else:
                listener = adopt(each.fd, about.name, about.typed, file=about.file, is_blocking=is_blocking)
                returned.listeners[name] = listener
        except MidairError:
            os.close(each.fd)  # Somebody has made something else of it: it is opened anew.
    return done


def _inode(fd: int) -> int:
    """Of an open socket; 0: it is none."""
    try:
        found = os.fstat(fd)
    except OSError:
        return 0
    return found.st_ino if stat.S_ISSOCK(found.st_mode) else 0
