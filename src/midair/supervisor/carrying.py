"""The state of slots on its way between workers: who was asked, what has come, and to whom it goes.

It travels in memfds that are made here and never read here. Of workers whose state can be merged, what was given away at the
cut-over is kept until the last of it has come: what has changed since is the difference of the two.
"""

from __future__ import annotations

import os

import msgspec
from msgspec import Struct, field

from midair.core.effects import Carry
from midair.core.events import StateCarried
from midair.core.ids import WorkerId
from midair.core.state import WorkerState
from midair.errors import Fault
from midair.sockets import words
from midair.sockets.passing import DESCRIPTORS_MAX
from midair.supervisor import members
from midair.supervisor.estate import Estate, FieldValue


class Exchange(Struct):
    """State that was asked for and is not in its target yet."""

    order: Carry
    waiting: set[WorkerId]
    began_s: float
    parcels: dict[WorkerId, int] = field(default_factory=dict)
    """Memfds by whose state it is."""
    names: set[str] = field(default_factory=set)
    size_bytes: int = 0
    running: int = 0


class Beside(Struct):
    """A worker whose state goes on beside the copy of it that was given away."""

    before_fd: int
    last_fd: int


class State(msgspec.Struct, kw_only=True):
    """The room's, on its way to the next image. The descriptors, two a worker, come beside it."""

    workers: list[int] = []


class Carrying:
    """Carries out ``Carry``, and merges what comes later."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._exchanges: dict[int, Exchange] = {}
        self._beside: dict[WorkerId, Beside] = {}

    # --- orders -----------------------------------------------------------------------------------------------------

    def carry(self, order: Carry) -> None:
        """Begin an exchange (→ StateCarried)."""
        exchange = Exchange(order, set(order.sources), self._estate.loop.clock.now_s())
        self._exchanges[order.exchange] = exchange
        if len(order.sources) >= DESCRIPTORS_MAX:
            self._end(exchange, Fault("carry-meets", f"the state of {len(order.sources)} slots meets in one"))
            return
        try:
            for source in order.sources:
                self._ask(exchange, source)
        except OSError as exc:
            self._end(exchange, Fault("carry-no-room", f"the state cannot be carried: {exc.strerror}"))
            return
        self._deliver_if_there(exchange)

    def _ask(self, exchange: Exchange, source: WorkerId) -> None:
        order = exchange.order
        worker = self._estate.fleet.workers.get(source)
        if worker is None or worker.link is None:
            self._lost(exchange, source)
            return
        fd = exchange.parcels[source] = _memfd(f"midair:state:{source}")
        fds = [fd]
        if order.how != "trial" and self._estate.service.workers[source].carries == "merges":
            self._forget_beside(source)
            beside = self._beside[source] = Beside(os.dup(fd), _memfd(f"midair:last:{source}"))
            fds.append(beside.last_fd)
        release = self._estate.releases[worker.generation]
        word = words.ExportState(
            exchange=order.exchange,
            grace_s=0.0 if order.how == "trial" else release.settings.carry.grace_s,
            max_bytes=release.settings.carry.max_size_bytes,
            is_trial=order.how == "trial",
        )
        worker.link.send(word, fds)

    def drop(self, number: int) -> None:
        """Nobody waits for it any more."""
        if exchange := self._exchanges.pop(number, None):
            _close(exchange)

    def began_to_accept(self, worker: WorkerId) -> None:
        """It serves (again): what it has is its own, not the other half of another's."""
        self._forget_beside(worker)

    # --- what workers say -------------------------------------------------------------------------------------------

    def heard(self, worker: members.Worker, word: words.StateExported | words.StateImported) -> None:
        if isinstance(word, words.StateExported) and word.is_last:
            self._merge_last(worker, word)
            return
        exchange = self._exchanges.get(word.exchange)
        if exchange is None:
            if isinstance(word, words.StateImported) and word.fault:
                self._say_lost(worker, word.fault.message)  # A last part that could not be merged.
        elif isinstance(word, words.StateImported):
            self._imported(exchange, worker, word)
        elif word.fault:
            self._end(exchange, word.fault)
        elif worker.id in exchange.waiting:
            exchange.names.update(word.names)
            exchange.size_bytes += word.size_bytes
            exchange.running += word.running
            exchange.waiting.discard(worker.id)
            self._deliver_if_there(exchange)

    def ended(self, worker: members.Worker) -> None:
        """Its process is gone, and what it had not given away with it."""
        if worker.id in self._beside:
            self._say_lost(worker, "what changed since the cut-over died with it")
            self._forget_beside(worker.id)
        for exchange in list(self._exchanges.values()):
            if worker.id == exchange.order.target:
                self.drop(exchange.order.exchange)
            elif worker.id in exchange.waiting:
                self._lost(exchange, worker.id)
                self._deliver_if_there(exchange)

    def _lost(self, exchange: Exchange, source: WorkerId) -> None:
        exchange.waiting.discard(source)
        fd = exchange.parcels.pop(source, -1)
        if fd >= 0:
            os.close(fd)

    def _deliver_if_there(self, exchange: Exchange) -> None:
        order = exchange.order
        if exchange.waiting or order.exchange not in self._exchanges:
            return
        if order.how != "trial" and len(exchange.parcels) < len(order.sources):
            fields: dict[str, FieldValue] = {"worker": order.target, "error": "a worker died with it"}
            self._estate.say("state_lost", {"generation": self._generation(order.target), **fields})
        target = self._estate.fleet.workers.get(order.target)
        if target is None or target.link is None or (order.sources and not exchange.parcels):
            self._end(exchange, None)  # Nothing is left that could be brought.
            return
        fds = [exchange.parcels[source] for source in order.sources if source in exchange.parcels]
        beside = self._beside.get(order.target) if order.how == "back" else None
        if beside:
            fds.append(beside.before_fd)
        target.link.send(words.ImportState(exchange=order.exchange, how=order.how, has_before=beside is not None), fds)

    def _imported(self, exchange: Exchange, worker: members.Worker, word: words.StateImported) -> None:
        order = exchange.order
        fields: dict[str, FieldValue] = {
            "worker": worker.id,
            "slot": worker.slot,
            "how": order.how,
            "names": ", ".join(sorted(exchange.names)) or None,
            "bytes": exchange.size_bytes,
            "seconds": round(self._estate.loop.clock.now_s() - exchange.began_s, 4),
            "running": exchange.running or None,
            "dropped": ", ".join(word.dropped) or None,
        }
        if word.fault is None and order.how != "trial":
            self._estate.say("state_carried", {"generation": worker.generation, **fields})
        if word.dropped and order.how != "trial":
            self._say_lost(worker, f"nothing here takes {', '.join(word.dropped)}")
        about = worker.generation
        baking = self._estate.service.baking
        if order.how == "back" and baking:
            about = baking.generation
        self._estate.happened(about, "state_tried" if order.how == "trial" else "state_carried", fields)
        self._end(exchange, word.fault)

    def _end(self, exchange: Exchange, fault: Fault | None) -> None:
        self.drop(exchange.order.exchange)
        event = StateCarried(exchange.order.exchange, fault)
        self._estate.loop.call_soon(lambda: self._estate.tell(event))

    # --- what comes later -------------------------------------------------------------------------------------------

    def _merge_last(self, worker: members.Worker, word: words.StateExported) -> None:
        """The last of an old worker's state is there: whoever serves its slot now adds what has changed."""
        beside = self._beside.get(worker.id)
        if beside is None:
            return
        service = self._estate.service
        takers = sorted(
            (
                w
                for w in service.workers.values()
                if w.state is WorkerState.ACCEPTING and w.generation == service.serving
            ),
            key=lambda each: each.slot,
        )
        taker = self._estate.fleet.workers.get(takers[worker.slot % len(takers)].id) if takers else None
        if word.fault or taker is None or taker.link is None:
            self._say_lost(worker, word.fault.message if word.fault else "nobody serves who could take it")
        else:
            last = words.ImportState(exchange=0, how="merge", has_before=True)
            taker.link.send(last, [beside.last_fd, beside.before_fd])
            fields: dict[str, FieldValue] = {
                "worker": taker.id,
                "slot": taker.slot,
                "how": "merge",
                "bytes": word.size_bytes,
            }
            self._estate.say("state_carried", {"generation": taker.generation, **fields})
        self._forget_beside(worker.id)

    def _forget_beside(self, worker: WorkerId) -> None:
        if beside := self._beside.pop(worker, None):
            os.close(beside.before_fd)
            os.close(beside.last_fd)

    def _say_lost(self, worker: members.Worker, error: str) -> None:
        self._estate.say("state_lost", {"generation": worker.generation, "worker": worker.id, "error": error})

    def _generation(self, worker: WorkerId) -> int | None:
        known = self._estate.service.workers.get(worker)
        return known.generation if known else None

    # --- over an upgrade ----------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return "state is on its way between workers" if self._exchanges else ""

    def freeze(self) -> tuple[bytes, list[int]]:
        fds = [fd for beside in self._beside.values() for fd in (beside.before_fd, beside.last_fd)]
        return msgspec.msgpack.encode(State(workers=[int(worker) for worker in self._beside])), fds

    def thaw(self, state: bytes, fds: list[int]) -> None:
        known = msgspec.msgpack.decode(state, type=State)
        pairs = zip(fds[::2], fds[1::2], strict=True)
        self._beside = {WorkerId(worker): Beside(*pair) for worker, pair in zip(known.workers, pairs, strict=True)}


def _memfd(name: str) -> int:
    return os.memfd_create(name, os.MFD_CLOEXEC)


def _close(exchange: Exchange) -> None:
    for fd in exchange.parcels.values():
        os.close(fd)
    exchange.parcels.clear()
