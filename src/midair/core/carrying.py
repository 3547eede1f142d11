"""State that outlives a version: from the worker that served a slot to the one that will, and back if that one goes.

    trial     before the cut-over: the serving worker exports and goes on; the candidate's imports, and throws it away
    switch    the old slots hold still ─ export ─ import ─ only then the new ones begin; failing, the old begin again
    back      the same the other way; failing, the old begin with the copy that they kept
    relief    a worker takes the place of a worn one of its own generation
    parting   a slot goes away (scale): its state joins that of the slot j mod n

A worker that carries nothing is never asked, and waits for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

from midair.core import bake, candidate, cutover, joining, workers
from midair.core.effects import Carry, DropCarry, How
from midair.core.events import StateCarried
from midair.core.ids import WorkerId
from midair.core.policy import CARRY_S, TRIAL_S
from midair.core.state import Exchange, Generation, Switch, Worker, WorkerState
from midair.core.turn import Turn
from midair.errors import Fault

STAYS = frozenset({WorkerState.ACCEPTING, WorkerState.STOPPING, WorkerState.PARKED})


def holds(turn: Turn, worker: Worker, target: Generation) -> bool:
    """Whether it has to begin no request from now on: its state is taken, and a later change would be lost."""
    return worker.carries == "moves" and any(each.carries for each in turn.staying(target.id))


def carried(turn: Turn, event: StateCarried) -> None:
    """An exchange has ended, well or not."""
    exchange = turn.service.exchanges.pop(event.exchange, None)
    if exchange is None:
        return
    turn.forget(f"carry:{exchange.number}")
    if exchange.how == "trial":
        _tried(turn, exchange, event.fault)
    elif exchange.is_of_switch:
        _switched(turn, exchange, event.fault)
    else:
        if exchange.how == "join":
            if not event.fault:
                _has_gone(turn, exchange)
            _parted(turn, exchange, event.fault)
        else:
            _relieved(turn, exchange, event.fault)
        part_later(turn)
        candidate.become_ready(turn)


def is_late(turn: Turn, number: int) -> None:
    """Its time is over. What has not reached the target by now never does."""
    if exchange := turn.service.exchanges.get(number):
        limit_s = TRIAL_S if exchange.how == "trial" else CARRY_S
        turn.do(DropCarry(number))
        carried(turn, StateCarried(number, Fault("carry-late", f"the state was not there within {limit_s:g} s")))


def target_gone(turn: Turn, worker: Worker) -> None:
    """Who was to take the state has died: the others' own end is their own news."""
    for exchange in [each for each in turn.service.exchanges.values() if each.target == worker.id]:
        _drop(turn, exchange)
        if exchange.is_of_switch and not cutover.is_under_way(turn):
            turn.note("state_lost", worker=worker.id, error="who was to take it ended")
        if exchange.is_of_switch or exchange.how == "trial":
            continue  # The candidate is refused, or the switch goes on without it.
        fault = Fault("carry-late", f"worker {worker.id} ended before it had the state")
        if exchange.how == "join":
            _parted(turn, exchange, fault)
        else:
            _resume(turn, exchange, fault)


def is_busy(turn: Turn) -> bool:
    """A slot of the serving generation is changing hands within it: a cut-over that may wait waits."""
    return any(not each.is_of_switch and each.how != "trial" for each in turn.service.exchanges.values())


def call_off(turn: Turn) -> None:
    """A switch that cannot wait begins: whoever gave its slot away within its generation keeps it."""
    for exchange in list(turn.service.exchanges.values()):
        if exchange.is_of_switch or exchange.how == "trial":
            continue
        _drop(turn, exchange)
        fault = Fault("carry-late", "slots were switched meanwhile")
        if exchange.how == "join":
            _parted(turn, exchange, fault)
        else:
            _resume(turn, exchange, fault)


def drop_of_switch(turn: Turn) -> None:
    """The switch is given up: no state may arrive any more."""
    for exchange in [each for each in turn.service.exchanges.values() if each.is_of_switch]:
        _drop(turn, exchange)


def drop_all(turn: Turn) -> None:
    """The service stops: state ends with it."""
    for exchange in list(turn.service.exchanges.values()):
        _drop(turn, exchange)


# --- trial --------------------------------------------------------------------------------------------------------


def is_tried(turn: Turn, worker: Worker) -> bool:
    """Whether a healthy worker of a candidate has to be tried first: can it take what its slot's workers have now?"""
    slots = turn.generation(worker.generation).policy.workers
    serving = [old for old in turn.accepting() if old.generation == turn.service.serving and old.carries]
    sources = [old.id for old in serving if old.slot % slots == worker.slot]
    if not worker.carries or not sources:
        return False
    worker.state = WorkerState.TRYING
    _order(turn, worker.id, sources, "trial")
    return True


def _tried(turn: Turn, exchange: Exchange, fault: Fault | None) -> None:
    worker = turn.worker(exchange.target)
    if worker is None or worker.state is not WorkerState.TRYING:
        return
    if not fault:
        joining.able(turn, worker)
    elif turn.candidate(worker.generation):
        candidate.refuse(turn, fault)
    else:  # It was to take a slot on the way from slot to slot. Where there is no way back, the next one tries.
        bake.roll_back(turn, fault, is_automatic=True)
        workers.died(turn, turn.generation(worker.generation))
        workers.kill(turn, worker)


# --- switch -------------------------------------------------------------------------------------------------------


def holds_up(turn: Turn, switch: Switch) -> bool:
    """Whether the new slots must wait for state. It is asked for when the old ones have stopped, once."""
    if not switch.is_carrying:
        switch.is_carrying = True
        _take_over_state(turn, switch)
    return any(each.is_of_switch for each in turn.service.exchanges.values())


def _take_over_state(turn: Turn, switch: Switch) -> None:
    takers = _takers(turn, switch)
    stopped = [worker for each in sorted(switch.stopped) if (worker := turn.worker(each))]
    givers = [each for each in stopped if each.carries and each.generation != switch.target]
    if not takers:
        if givers:
            turn.note("state_lost", generation=switch.target, error="nobody who carries state is there to take it")
        return
    given: dict[WorkerId, list[WorkerId]] = {taker.id: [] for taker in takers}
    by_slot = {taker.slot: taker for taker in takers}
    for giver in givers:  # The slots of some may be empty: then not every number is there.
        given[by_slot.get(giver.slot, takers[giver.slot % len(takers)]).id].append(giver.id)
    for taker in takers:
        sources = given[taker.id]
        has_its_own = taker.state is WorkerState.ACCEPTING or taker.id in switch.stopped
        how: How = "join" if has_its_own else "back" if switch.is_back else "take"
        # One that was kept has state of its own, which lives in another's by now.
        if sources or (how == "take" and givers) or (how == "back" and _has_moved_on(taker, givers)):
            _order(turn, taker.id, sources, how, is_of_switch=True)


def _takers(turn: Turn, switch: Switch) -> list[Worker]:
    """Who will serve the slots, by slot: the worker that has it, or the one that is ready for it."""
    by_slot: dict[int, Worker] = {}
    for worker in turn.staying(switch.target):
        is_there = worker.state in STAYS or (worker.state is WorkerState.READY and predecessor(turn, worker) is None)
        if worker.carries and worker.slot < switch.slots and is_there:
            by_slot[worker.slot] = worker
    takers = [by_slot[slot] for slot in sorted(by_slot)]
    if switch.is_back:  # Whoever accepts beside a canary has never given anything away.
        return [each for each in takers if each.state is not WorkerState.ACCEPTING] or takers
    return takers


def _has_moved_on(taker: Worker, givers: Sequence[Worker]) -> bool:
    """With fewer slots in between, its state lives in that of another, which goes to another slot now. If whoever had it has
    died with it, the copy from the cut-over is the best there is."""
    return any(giver.slot == taker.state_in for giver in givers)


def _has_gone(turn: Turn, exchange: Exchange) -> None:
    """Remember in which slot the state of the old workers goes on, also of those that were parked before them."""
    target = turn.worker(exchange.target)
    if target is None:
        return
    slots = {source.slot for each in exchange.sources if (source := turn.worker(each))}
    for worker in turn.service.workers.values():
        is_theirs = worker.state is WorkerState.PARKED and worker.state_in in slots
        if worker.id in exchange.sources or is_theirs:
            worker.state_in = target.slot


def _switched(turn: Turn, exchange: Exchange, fault: Fault | None) -> None:
    switch = turn.service.switch
    if fault and switch is not None and switch.is_back:
        # Going back must never fail: its own code took this state once, or the copy from the cut-over stands.
        turn.note("state_refused", worker=exchange.target, code=fault.code, error=fault.message)
    elif fault and cutover.is_under_way(turn):
        cutover.abort(turn, fault)
        return
    elif fault:
        cutover.turn_back(turn, fault)
        return
    elif switch and not switch.is_back:
        _has_gone(turn, exchange)
    if switch:
        cutover.finish(turn)


# --- relief -------------------------------------------------------------------------------------------------------


def predecessor(turn: Turn, worker: Worker) -> Worker | None:
    """Whose place and state it is to take within its generation. One that hangs gives nothing any more."""
    for old in turn.staying(worker.generation):
        if old.successor == worker.id and old.carries and worker.carries and not old.hangs and old.state in STAYS:
            return old
    return None


def is_relieving(turn: Turn, worker: Worker) -> bool:
    """Whether a worker that could take its predecessor's place takes its state first: begun here."""
    if any(each.target == worker.id for each in turn.service.exchanges.values()):
        return True
    old = predecessor(turn, worker)
    if old is None:
        return False
    workers.stop_accepting(turn, old, holds=old.carries == "moves")
    _order(turn, worker.id, [old.id], "take")
    return True


def _relieved(turn: Turn, exchange: Exchange, fault: Fault | None) -> None:
    worker = turn.worker(exchange.target)
    if fault:
        _resume(turn, exchange, fault)
    elif worker and worker.state is WorkerState.READY:
        joining.take_over(turn, worker)


def _resume(turn: Turn, exchange: Exchange, fault: Fault) -> None:
    """The old worker goes on in its slot; the one that could not take its state goes."""
    turn.note("state_refused", worker=exchange.target, code=fault.code, error=fault.message)
    for source in exchange.sources:
        old = turn.worker(source)
        if old and old.state in {WorkerState.STOPPING, WorkerState.PARKED}:
            old.successor = None
            workers.accept(turn, old)
    if target := turn.worker(exchange.target):
        workers.leave(turn, target, 0.0)


# --- parting ------------------------------------------------------------------------------------------------------


def is_parting(turn: Turn, worker: Worker) -> bool:
    """Whether a worker that is too many has something to give to another slot first: begun here."""
    service = turn.service
    if any(each.how == "join" and worker.id in {each.target, *each.sources} for each in service.exchanges.values()):
        return True  # It has begun; or it waits for another slot's, and parts with both.
    if not worker.carries or worker.state not in STAYS or service.stopping:
        return False
    if service.switch:
        return True  # Later: its state may be on its way already.
    if worker.state is not WorkerState.ACCEPTING:
        return False
    wanted = turn.wanted(turn.generation(worker.generation))
    busy = {source for each in service.exchanges.values() if each.how != "trial" for source in each.sources}
    takers = [
        each
        for each in turn.accepting()
        if each.generation == worker.generation and each.slot < wanted and each.carries and each.id not in busy
    ]
    if not takers:
        return False
    takers.sort(key=lambda each: each.slot)
    workers.stop_accepting(turn, worker, holds=worker.carries == "moves")
    _order(turn, takers[worker.slot % len(takers)].id, [worker.id], "join")
    return True


def _parted(turn: Turn, exchange: Exchange, fault: Fault | None) -> None:
    for source in exchange.sources:
        worker = turn.worker(source)
        if fault:
            turn.note("state_lost", worker=source, error=fault.message)
        if worker and worker.state in {WorkerState.STOPPING, WorkerState.PARKED}:
            workers.leave(turn, worker, turn.generation(worker.generation).policy.drain_s)


def part_later(turn: Turn) -> None:
    """Who was too many and had to wait may part now."""
    serving = turn.service.serving
    if serving is not None and not turn.service.switch and any(each.carries for each in turn.accepting()):
        workers.let_go(turn, turn.generation(serving))


# --- exchanges ----------------------------------------------------------------------------------------------------


def _order(
    turn: Turn, target: WorkerId, sources: Sequence[WorkerId], how: How, *, is_of_switch: bool = False
) -> Exchange:
    service = turn.service
    service.last_exchange += 1
    exchange = Exchange(service.last_exchange, target, tuple(sources), how, is_of_switch)
    service.exchanges[exchange.number] = exchange
    turn.wake(f"carry:{exchange.number}", TRIAL_S if how == "trial" else CARRY_S)
    turn.do(Carry(exchange.number, target, exchange.sources, how))
    return exchange


def _drop(turn: Turn, exchange: Exchange) -> None:
    del turn.service.exchanges[exchange.number]
    turn.forget(f"carry:{exchange.number}")
    turn.do(DropCarry(exchange.number))
