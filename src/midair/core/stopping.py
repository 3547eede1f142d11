"""The end of the service: everything leaves, then the supervisor does. Stop is not an update."""

from __future__ import annotations

from midair.core import candidate, carrying, cutover, workers
from midair.core.effects import Answer, Closed, End, SayNotReady
from midair.core.events import StopAsked
from midair.core.state import Role, Stopping
from midair.core.turn import Turn
from midair.errors import FAILED, Fault


def ask(turn: Turn, asked: StopAsked) -> None:
    """Stop in good order; asked once more, or ``at_once``: now."""
    service = turn.service
    if asked.at_once or service.stopping:
        service.stopping = service.stopping or Stopping()
        _close_updates(turn)
        turn.forget("stop")
        leave_all(turn)
        for worker in list(service.workers.values()):
            workers.kill(turn, worker)
    else:
        service.stopping = Stopping()
        turn.note("stopping", by=asked.by)
        _close_updates(turn)
        delay_s = service.policy.stop_delay_s
        if delay_s:
            for worker in service.workers.values():
                turn.do(SayNotReady(worker.id))
            turn.wake("stop", delay_s)
        else:
            leave_all(turn)
    turn.do(Answer(asked.request, text="stopping"))


def stop_failed(turn: Turn, fault: Fault) -> None:
    """The first start failed: there is nothing to serve."""
    turn.service.stopping = Stopping(FAILED, fault)
    leave_all(turn)


def leave_all(turn: Turn) -> None:
    service = turn.service
    for worker in list(service.workers.values()):
        workers.leave(turn, worker, service.policy.stop_s)
    service.serving = service.committed = service.previous = None
    for generation in list(service.generations.values()):
        if generation.role is Role.GONE:
            del service.generations[generation.id]
        else:
            workers.retire(turn, generation, service.policy.stop_s)
    workers.drop_zygotes(turn)


def check(turn: Turn) -> None:
    """Leave once nothing is left."""
    service = turn.service
    if service.stopping is None or service.has_ended or service.workers or "stop" in service.timers:
        return
    if any(g.companions for g in service.generations.values()):
        return
    service.has_ended = True
    service.timers.clear()
    turn.do(End(service.stopping.exit_code, service.stopping.fault))


def _close_updates(turn: Turn) -> None:
    service = turn.service
    fault = Fault("stopping", "the service is stopping")
    if service.queued:
        turn.do(Answer(service.queued.request, fault))
        service.queued = None
    cutover.undo(turn)
    carrying.drop_all(turn)
    candidate.refuse(turn, fault, "stopped")
    if service.baking:
        update, service.baking = service.baking, None
        version = turn.generation(update.generation).version
        turn.do(Closed(update.id, update.generation, "stopped", version, service.serving, fault))
    for timer in ("bake", "look", "canary", "warm", "retry", "disk"):
        turn.forget(timer)
