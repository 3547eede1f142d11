"""What people ask for: an update, a rollback, another number of workers, a hold, its release. Each is answered, or becomes an
update that is closed."""

from __future__ import annotations

from midair.core import bake, candidate, cutover, workers
from midair.core.effects import Answer
from midair.core.events import DrainAsked, HoldAsked, ReleaseAsked, RollbackAsked, ScaleAsked, UpdateAsked
from midair.core.state import Hold, Update, WorkerState
from midair.core.turn import Turn
from midair.errors import Fault

WORKERS_MAX = 4096
"""More workers than this are a slip of the finger."""


def ask(turn: Turn, asked: UpdateAsked) -> None:
    """A request for an update: begin it, queue it, or say why not."""
    service = turn.service
    if service.stopping:
        turn.do(Answer(asked.request, Fault("stopping", "the service is stopping")))
    elif service.hold and not asked.force and service.hold.by != asked.by:
        hold = service.hold
        turn.do(
            Answer(
                asked.request,
                Fault("held", f"updates are held by {hold.by}: {hold.reason}", "midair hold --release, or --force"),
            )
        )
    else:
        if service.queued:
            turn.do(Answer(service.queued.request, Fault("superseded", "a newer request took its place")))
            service.queued = None
        if service.switch and not asked.now:
            service.queued = asked
        else:
            candidate.begin(turn, asked)


def rollback(turn: Turn, asked: RollbackAsked) -> None:
    """Back to the version before, wherever the update stands: called off, undone in the bake, or gone back from."""
    service = turn.service
    fault = Fault("rollback-asked", f"rolled back by {asked.by}" + (f": {asked.reason}" if asked.reason else ""))
    if service.stopping:
        turn.do(Answer(asked.request, Fault("stopping", "the service is stopping")))
    elif cutover.is_under_way(turn) or (service.candidate and not service.candidate.is_first and not service.baking):
        assert service.candidate is not None
        update = service.candidate
        turn.do(Answer(asked.request, text=f"update {update.id} was called off before its cut-over", update=update.id))
        fault = Fault("called-off", f"called off by {asked.by}")
        if service.switch:
            cutover.abort(turn, fault)
        else:
            candidate.refuse(turn, fault)
    elif service.baking:
        _rollback_in_bake(turn, asked, service.baking, fault)
    else:
        _rollback_after_commit(turn, asked)


def _rollback_in_bake(turn: Turn, asked: RollbackAsked, update: Update, fault: Fault) -> None:
    service = turn.service
    committed = service.generations.get(service.committed) if service.committed is not None else None
    if update.asked.no_rollback:
        version = turn.generation(update.generation).version
        _bar(turn, asked, f"version {version} was released with --no-rollback")
    elif committed is None:
        _nothing_before(turn, asked)  # It cut over from the stand-in, which is no version to go back to.
    elif bake.way_back(turn):
        turn.do(Answer(asked.request, text=f"update {update.id} is rolled back", update=update.id))
        bake.roll_back(turn, fault, is_automatic=False)
    else:
        # Nobody is parked (a command's old workers left at the cut-over): start the earlier version again beside it.
        candidate.begin_rollback(turn, _as_update(turn, asked), committed)


def _rollback_after_commit(turn: Turn, asked: RollbackAsked) -> None:
    service = turn.service
    target = service.generations.get(service.previous) if service.previous is not None else None
    if service.rollback_barred:
        _bar(turn, asked, service.rollback_barred)
    elif target is None:
        _nothing_before(turn, asked)
    else:
        candidate.begin_rollback(turn, _as_update(turn, asked), target)


def _nothing_before(turn: Turn, asked: RollbackAsked) -> None:
    hint = (
        "rollback.keep and rollback.warm (10 min) say what is kept of the version before; put its files back and reload"
    )
    turn.do(Answer(asked.request, Fault("rollback-nothing", "there is no earlier version to go back to", hint)))


def _as_update(turn: Turn, asked: RollbackAsked) -> UpdateAsked:
    """An ordinary update, whose connections come back as fast as ``rollback.rate`` says."""
    rate_per_s = turn.service.policy.rollback_rate_per_s
    return UpdateAsked(
        asked.request,
        asked.by,
        asked.reason,
        force=True,
        now=asked.now,
        drain_rate_per_s=rate_per_s,
        traceparent=asked.traceparent,
        tracestate=asked.tracestate,
    )


def _bar(turn: Turn, asked: RollbackAsked, why: str) -> None:
    fault = Fault("rollback-barred", f"no way back: {why}", "deploy a version that mends it")
    turn.do(Answer(asked.request, fault))


def scale(turn: Turn, asked: ScaleAsked) -> None:
    service = turn.service
    if not 1 <= asked.workers <= WORKERS_MAX:
        turn.do(Answer(asked.request, Fault("usage", f"workers must be 1 to {WORKERS_MAX}, not {asked.workers}")))
        return
    if service.stopping:
        turn.do(Answer(asked.request, Fault("stopping", "the service is stopping")))
        return
    before, service.wanted = service.wanted, asked.workers
    turn.note("scaled", workers=asked.workers, before=before, by=asked.by)
    if service.serving is not None:
        workers.fill(turn, turn.generation(service.serving))
    turn.do(Answer(asked.request, text=f"{before} → {asked.workers} workers"))


def hold(turn: Turn, asked: HoldAsked) -> None:
    turn.service.hold = Hold(asked.by, asked.reason)
    turn.forget("hold")
    if asked.for_s:
        turn.wake("hold", asked.for_s)
    turn.note("held", by=asked.by, reason=asked.reason, for_s=asked.for_s or None)
    how_long = f"for {_length(asked.for_s)}" if asked.for_s else "until released"
    turn.do(Answer(asked.request, text=f"updates are held {how_long}"))


def _length(for_s: float) -> str:
    """``12 h``, ``90 min``, ``45 s``: in the longest unit that it is a whole number of."""
    for unit_s, name in ((3600, "h"), (60, "min")):
        if for_s % unit_s == 0:
            return f"{for_s / unit_s:g} {name}"
    return f"{for_s:g} s"


def release(turn: Turn, asked: ReleaseAsked) -> None:
    held, turn.service.hold = turn.service.hold, None
    turn.forget("hold")
    if held:
        turn.note("released", by=asked.by)
    turn.do(Answer(asked.request, text="updates may go on" if held else "nothing was held"))


def drain(turn: Turn, asked: DrainAsked) -> None:
    """Workers that leave have to be gone sooner. Those that are parked for a rollback stay: a bake is no drain."""
    leaving = [w for w in turn.service.workers.values() if w.state is WorkerState.LEAVING]
    for worker in sorted(leaving, key=lambda each: each.id):
        workers.hurry(turn, worker, asked.within_s)
    many = "1 worker leaves" if len(leaving) == 1 else f"{len(leaving)} workers leave"
    text = f"{many} within {asked.within_s:g} s" if leaving else "no worker is on its way out"
    turn.do(Answer(asked.request, text=text))
