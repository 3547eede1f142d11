"""What outlives this process at systemd: the listening sockets, and a record of what the next one needs to go on.

    asked    whether systemd keeps anything for us (``systemd/store.py``); until then, and without systemd, nothing happens
    used     each listener is stored under its name; the record is stored once, and written to in place
    full     it was kept before, and there is no room for more: FileDescriptorStoreMax is too small

Rules: numbers are on record before anybody is called by them; a listener is on record before it is stored, for what comes back
and is not there is taken for a unit's. A write goes into memory: numbers at once, all else at most every WRITE_EVERY_S.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

import msgspec

from midair.control.words import StoreStatus
from midair.sockets.listener import Listener
from midair.supervisor import leftovers
from midair.supervisor.endpoints import PURPOSES, Endpoints
from midair.supervisor.estate import Estate
from midair.supervisor.loop import Timer
from midair.supervisor.remembered import (
    Left,
    Numbers,
    Remembered,
    StoredListener,
    encode,
    numbers_of,
    recall,
    remember,
)
from midair.supervisor.returned import Returned
from midair.systemd.notify import Notifier
from midair.systemd.record import DOCUMENT_MAX_BYTES, Record
from midair.systemd.store import QUESTION, STATE, Question, Store

WRITE_EVERY_S = 0.1
AGAIN_S = 0.1
"""After systemd had no room for a message."""
ASK_AGAIN_MAX_S = 30.0
"""Nobody may be there at all: the waits between two tries grow up to this."""

StoreState = Literal["none", "used", "full"]


class Kept(msgspec.Struct, kw_only=True):
    """The room, on its way over an upgrade. The record's descriptor travels beside it."""

    state: StoreState = "none"
    have: dict[str, StoredListener] = {}
    unsure: list[str] = []
    left: list[Left] = []


class Keeping:
    """Keeps them at systemd, and gives out what came back."""

    def __init__(self, estate: Estate, endpoints: Endpoints) -> None:
        self._estate = estate
        self._endpoints = endpoints
        self._notifier = Notifier(estate.ambient.get("NOTIFY_SOCKET", ""))
        self._store = Store(self._notifier)
        self._state: StoreState = "none"
        self._record: Record | None = None
        self._question: Question | None = None
        self._is_to_ask_again = False
        """Something was stored since the question was asked: its answer says nothing of that."""
        self._ask_again_s = AGAIN_S
        self._have: dict[str, StoredListener] = {}
        """What is in the store, by its name there."""
        self._unsure: set[str] = set()
        """Those of them of which it is not known: sent, and not asked about yet, or the answer was no."""
        self._numbers = Numbers()
        self._document = b""
        self._write_timer: Timer | None = None
        self._store_timer: Timer | None = None
        self._began: dict[int, int] = {}
        self._left: list[Left] = []
        """Processes of those before us that have not had their time yet."""
        self._has_failed = False
        estate.stored = self.status
        estate.commands.on_listeners = self._store_soon

    @property
    def _is_possible(self) -> bool:
        return self._notifier.is_heard and not self._estate.settings.is_dev

    @property
    def _sure(self) -> list[str]:
        return sorted(self._have.keys() - self._unsure)

    def status(self) -> StoreStatus | None:
        """None: nobody is there who could keep anything."""
        if not self._is_possible:
            return None
        names = (*self._sure, STATE) if self._record else ()
        return StoreStatus(state=self._state, names=names)

    # --- the start ------------------------------------------------------------------------------------------------

    def begin(self, returned: Returned) -> None:
        """Give out what came back, and see whether more is kept. Before the first event, with the listeners bound."""
        if returned.trouble:
            self._estate.say("stored_state_unreadable", {"error": str(returned.trouble), "hint": returned.trouble.hint})
            self._store.remove(STATE)
        if returned.state:
            self._go_on(returned, returned.state)
        self.ask()

    def _go_on(self, returned: Returned, state: Remembered) -> None:
        estate = self._estate
        self._have = dict(state.listeners)  # Those that were given up are not wanted, and will be removed.
        self._record, returned.record = returned.record, None
        self._state, self._left = "used", state.processes
        recall(state, estate.service)
        estate.ledger.take_back(state.receipts)
        self._hand_out(returned)
        self._wait_for_leftovers()
        if returned.is_after_crash:
            fields = {
                "served": state.served.version if state.served else None,
                "generation": state.numbers.generation,
                "update": state.numbers.update,
                "listeners": " ".join(each.actual for each in estate.listeners if self.holds(each)),
            }
            estate.say("supervisor_restored", fields)

    def _hand_out(self, returned: Returned) -> None:
        """To each room what was its. The service's own listeners were taken when it bound."""
        own = [(about.slot, each) for about, each in returned.of_use("own")]
        self._estate.commands.take_back(own, [each for _, each in returned.of_use("lent")])
        for about, each in returned.of_use(*PURPOSES):
            self._endpoints.take_back(about.use, each)
        for name, address in returned.given_up:
            self._estate.say("listener_given_up", {"address": address, "name": name})

    def _wait_for_leftovers(self) -> None:
        """They have the time that they would have at a stop."""
        settings = self._estate.settings
        self._estate.loop.call_later(settings.stop.timeout_s + settings.exit.timeout_s, self._end_leftovers)

    def _end_leftovers(self) -> None:
        for left in self._left:
            if leftovers.end(left):
                self._estate.say("leftover_killed", {"pid": left.pid})
        self._left = []

    # --- whether it is used ---------------------------------------------------------------------------------------

    def ask(self) -> None:
        """See whether things are kept. At the start, after an upgrade, and when something more was stored."""
        if not self._is_possible:
            return
        if self._question:
            self._is_to_ask_again = True
            return
        self._question = self._store.ask()
        if self._question:
            self._estate.loop.on_readable(self._question.fd, self._answered)
        else:
            self._estate.loop.call_later(self._ask_again_s, self.ask)
            self._ask_again_s = min(2 * self._ask_again_s, ASK_AGAIN_MAX_S)

    def _answered(self) -> None:
        question = self._question
        assert question is not None
        is_kept = question.answer()
        self._drop_question()
        if is_kept:
            self._send(lambda: self._store.remove(QUESTION))
        if self._is_to_ask_again:
            self._is_to_ask_again = False
            self.ask()
        elif is_kept:
            self._state = "used"
            self._unsure.clear()
            self._begin_record()
            self._store_soon()
        elif self._record:
            self._full()

    def _full(self) -> None:
        """There was no room for the question. What was sent last may be kept or not; it is sent again with the next."""
        if self._state != "full":
            self._estate.say("store_full", {"kept": len(self._sure) + 1})
        self._state = "full"

    def _drop_question(self) -> None:
        if self._question:
            self._estate.loop.forget(self._question.fd)
            self._question.close()
            self._question = None

    def _begin_record(self) -> None:
        if self._record:
            return
        try:
            self._record = Record.make(STATE)
        except OSError as exc:
            self._failed(exc)
            return
        self._write()
        self._send(lambda: self._record is None or self._store.keep(STATE, self._record.fd))

    def _send(self, message: Callable[[], bool]) -> None:
        """Say it until it is taken."""
        if not message():
            self._estate.loop.call_later(AGAIN_S, lambda: self._send(message))

    # --- listeners ------------------------------------------------------------------------------------------------

    def holds(self, listener: Listener) -> bool:
        """Whether it may outlive this process: the file of such a Unix socket is not to be removed at the end."""
        return any(each.inode == listener.inode for each in self._have.values())

    def _store_soon(self) -> None:
        if self._record and not self._store_timer:
            self._store_timer = self._estate.loop.call_later(0.0, self._store_now)

    def _store_now(self) -> None:
        """Store what is not there yet, and remove what is not ours any more."""
        self._store_timer = None
        wanted = self._wanted()
        gone = [name for name, each in self._have.items() if name not in wanted or wanted[name][0] != each]
        has_sent = all(self._remove(name) for name in gone)
        self._write()
        # Removed first: one file is kept under one name, and a second one for it would not be heard.
        new = [name for name in wanted if name not in self._have or name in self._unsure] if has_sent else []
        has_sent = has_sent and all(self._keep(name, *wanted[name]) for name in new)
        if not has_sent:
            self._store_timer = self._estate.loop.call_later(AGAIN_S, self._store_now)
        elif new:
            self.ask()

    def _remove(self, name: str) -> bool:
        if self._store.remove(name):
            del self._have[name]
            self._unsure.discard(name)
            return True
        return False

    def _keep(self, name: str, about: StoredListener, fd: int) -> bool:
        if self._store.keep(name, fd):
            self._have[name] = about
            self._unsure.add(name)
            return True
        return False

    def _wanted(self) -> dict[str, tuple[StoredListener, int]]:
        """What should be in the store, with its descriptor. What systemd has opened itself it keeps anyhow."""
        estate = self._estate
        found = [("bind", each.name, 0, each) for each in estate.listeners if not each.is_passed]
        found += [("own", f"{each.name}.{slot}", slot, each) for slot, each in estate.commands.own]
        found += [("lent", each.name, 0, each) for each in estate.commands.stored]
        found += [(purpose, purpose, 0, each) for purpose, each in self._endpoints.listeners.items()]
        return {name: (_about(use, slot, each), each.fd) for use, name, slot, each in found}

    # --- the record -----------------------------------------------------------------------------------------------

    def decided(self) -> None:
        """The core has decided something, and nothing of it is begun yet."""
        if self._record is None:
            return
        if numbers_of(self._estate.service) != self._numbers:
            self._write()
        if self._write_timer is None:
            self._write_timer = self._estate.loop.call_later(WRITE_EVERY_S, self._write_later)

    def end(self) -> None:
        """The service has ended: who follows begins after a stop."""
        self._write()

    def _write_later(self) -> None:
        self._write_timer = None
        self._write()

    def _write(self) -> None:
        """Write what has changed."""
        if self._record is None:
            return
        estate = self._estate
        listeners = self._have | {name: about for name, (about, _) in self._wanted().items()}
        state = remember(estate.service, listeners, estate.ledger.unwritten(), self._processes())
        document = encode(state)
        if len(document) > DOCUMENT_MAX_BYTES:
            document = encode(msgspec.structs.replace(state, receipts=[]))  # The numbers matter more.
        self._numbers = state.numbers
        if document == self._document:
            return
        try:
            self._record.write(document)
        except OSError as exc:
            self._failed(exc)
            return
        self._document, self._has_failed = document, False

    def _failed(self, exc: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._estate.say("stored_state_unwritten", {"error": exc.strerror or str(exc)})

    def _processes(self) -> list[Left]:
        """Who is left behind if we are killed: our own, and those that we were to end."""
        pids = self._estate.processes.pids
        self._began = {pid: self._began.get(pid) or leftovers.began(pid) for pid in pids}
        return [*self._left, *(Left(pid=pid, began=ticks) for pid, ticks in self._began.items() if ticks)]

    # --- over an upgrade (a Room of supervisor/upgrade.py) --------------------------------------------------------

    def busy(self) -> str:
        return ""

    def freeze(self) -> tuple[bytes, list[int]]:
        self._drop_question()
        self._write()
        kept = Kept(state=self._state, have=self._have, unsure=sorted(self._unsure), left=self._left)
        return msgspec.msgpack.encode(kept), [self._record.fd] if self._record else []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        if self._record is None and fds:
            kept = msgspec.msgpack.decode(state, type=Kept)
            self._state, self._have, self._left = kept.state, kept.have, kept.left
            self._unsure = set(kept.unsure)
            self._wait_for_leftovers()
            os.set_inheritable(fds[0], False)
            self._record, self._document = Record.adopt(fds[0])
        self.ask()


def _about(use: str, slot: int, each: Listener) -> StoredListener:
    return StoredListener(use=use, name=each.name, typed=each.typed, inode=each.inode, file=each.file, slot=slot)
