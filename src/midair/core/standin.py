"""Generation 0 serves while no version can (``midair dev``): its pages say that one is waited for, or why the last one went.

    before the first version     it begins with the service, though a version that is quick is not kept from the processors by it
    a version cuts over          it goes, as any old one does, with its connections; nothing of it is kept running
    nothing of that one is left  no worker serves, is on its way or could be soon: it begins again

It is no version: no update brings it, so it has no receipt; no rollback goes to it; its files are midair's own, so it can always
be started. With it the service never ends because a version is bad.
"""

from __future__ import annotations

from msgspec.structs import replace

from midair.core import backoff, workers
from midair.core.effects import StoodIn
from midair.core.ids import STAND_IN
from midair.core.policy import Policy
from midair.core.state import Generation, Role
from midair.core.turn import Turn
from midair.errors import Fault

LONG_WAIT_S = 4.0
"""A version with no worker left, whose next one would have to wait as long as this, is given up: after five deaths of one within
a minute. Before that a page rather waits than changes."""
FIRST_WAIT_S = 0.5
"""A first version that is ready by then needs no page that says it is waited for. Clients wait in the kernel's queue."""
FINGERPRINT = "stand-in"


def begin(turn: Turn) -> None:
    """With the first event: the first version cuts over from it as from any other."""
    service = turn.service
    if service.serving is None and service.stopping is None and service.policy.has_stand_in:
        turn.wake(f"replace:{STAND_IN}:0", FIRST_WAIT_S)
        _serve(turn, StoodIn())


def relieve(turn: Turn) -> None:
    """Take the place of a version of which nothing is left. Looked at after every event."""
    service = turn.service
    is_wanted = service.policy.has_stand_in and service.serving is not None and service.stopping is None
    if not is_wanted or service.serving == STAND_IN or service.switch or turn.in_part():
        return
    assert service.serving is not None
    lost = turn.generation(service.serving)
    why = _why_lost(turn, lost)
    if why:
        _take_over(turn, lost, why)


def _why_lost(turn: Turn, generation: Generation) -> str:
    """Why nothing of it will serve soon; empty: something does, or is on its way."""
    if turn.staying(generation.id):
        return ""
    if generation.runs_short:
        return "has no worker left, and its files have changed since it started"
    if generation.last_fault and generation.last_fault.code == "not-ready":
        # It had the whole ready.timeout, in which nobody was served: the next one would have it again.
        return "has no worker left, and the next one did not start in time"
    workers_wait_s = backoff.delay_s(len(backoff.recent(generation.deaths_s, turn.now_s)), turn.wanted(generation))
    zygotes_wait_s = backoff.delay_s(len(backoff.recent(generation.zygote_deaths_s, turn.now_s)), 1)
    return "ended again and again" if max(workers_wait_s, zygotes_wait_s) >= LONG_WAIT_S else ""


def _take_over(turn: Turn, lost: Generation, why: str) -> None:
    """Nobody accepts, so that no slot has to change hands."""
    service, last = turn.service, lost.last_fault
    message = f"version {lost.version} {why}" + (f": {last.message}" if last else "")
    fault = Fault(
        "version-lost", message, "save a change that mends it, or start it again", last.detail if last else ""
    )
    update, service.baking = service.baking, None
    for timer in ("bake", "look", "canary"):
        turn.forget(timer)
    for other in service.generations.values():
        other.goes_by_slot = False  # Nobody's room has to be waited for any more.
    _serve(turn, StoodIn(lost.id, lost.version, fault))
    if update:
        turn.close(update, "rolled-back", fault)
    workers.retire(turn, lost, 0.0)


def _serve(turn: Turn, said: StoodIn) -> None:
    service = turn.service
    turn.do(said)
    stand_in = service.generations.setdefault(STAND_IN, Generation(STAND_IN, Role.SERVING, service.policy))
    stand_in.policy, stand_in.fingerprint, stand_in.spawns = _policy(service.policy), FINGERPRINT, True
    stand_in.role, service.serving = Role.SERVING, STAND_IN
    workers.fill(turn, stand_in)


def _policy(of_version: Policy) -> Policy:
    """One worker that does nothing but start and answer; how long things may take is as for versions."""
    return replace(
        of_version,
        workers=1,
        by_slot="",
        lacks_room=False,
        canary_workers=0,
        has_health=False,
        forks=False,
        must_fork=False,
        parks=True,
        has_before=False,
        has_after=False,
        has_contract=False,
        companions=(),
        exclusive=frozenset(),
    )
