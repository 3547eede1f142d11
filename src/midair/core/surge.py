"""How many slots of the old version switch at a time: all at once, a canary first, or, where memory does not hold both versions
side by side, one after the other.

    a new worker is ready ─ it takes its slot ─ the old one leaves, and its memory is free ─ the next one starts …
                                                the last old worker stays parked through the bake: the way back

In between two versions accept, as in a canary. Any failure leads back: the old version takes the slots again, at first with the
workers that are left, the others start as those of the new one end. Looked at after every event.
"""

from __future__ import annotations

from midair.core import candidate, cutover, workers
from midair.core.state import ALL_SLOTS, Generation, Update, WorkerState
from midair.core.turn import Turn


def next_slots(turn: Turn, generation: Generation) -> int:
    """The slots below this number switch next. The last ones switch together: somebody of the old version is to stay for the
    way back."""
    others = [w for w in turn.accepting() if w.generation != generation.id]
    slots = generation.policy.canary_workers
    if generation.goes_by_slot:
        taking = turn.from_slot_to_slot()
        slots = 1 + (taking.slots if taking and taking.generation == generation.id else 0)
        others = turn.staying(turn.service.serving)
    is_part = 0 < slots < generation.policy.workers and any(w.slot >= slots for w in others)
    return slots if is_part else ALL_SLOTS


def is_canary(generation: Generation, slots: int) -> bool:
    """Whether these slots are all that is to switch until it has proved good."""
    return slots == generation.policy.canary_workers


def go_on(turn: Turn) -> None:
    """One step further on the way from slot to slot, if there is one to take."""
    if turn.service.switch:
        return
    taking, coming = turn.from_slot_to_slot(), turn.service.candidate
    if taking:
        _free_what_was_taken(turn, taking)
    if coming and coming.phase == "start" and turn.workers_of(coming.generation):
        generation = turn.generation(coming.generation)
        if generation.goes_by_slot:
            start_some(turn, generation)
            candidate.become_ready(turn)
    elif taking and not coming:  # What a newer version would only take away again is not taken.
        _take_next(turn, taking)


def start_some(turn: Turn, generation: Generation) -> None:
    """A candidate's workers, as many as there is room for; the first one in any case."""
    count = workers.room(turn, generation)
    if not turn.workers_of(generation.id):
        count = max(1, count)
    for slot in workers.missing_slots(turn, generation)[:count]:
        workers.start(turn, generation, slot)


def _free_what_was_taken(turn: Turn, update: Update) -> None:
    """Only the end of an old worker frees its memory. It is started again if the new version is taken back.

    A version that runs short may have no worker in a slot that was taken, and one beyond its slots instead: that one goes then.
    """
    assert turn.service.serving is not None
    serving = turn.generation(turn.service.serving)
    slots = sorted({old.slot for old in turn.staying(serving.id) if old.slot >= update.slots})
    too_many = max(0, len(slots) - max(1, turn.wanted(serving) - update.slots))
    for old in turn.staying(serving.id):
        if old.slot < update.slots or old.slot in slots[:too_many]:
            workers.leave(turn, old, serving.policy.drain_s)


def _take_next(turn: Turn, update: Update) -> None:
    generation = turn.generation(update.generation)
    workers.fill(turn, generation)
    if turn.has_timer("canary"):
        return
    slots = next_slots(turn, generation)
    ready = {w.slot for w in turn.workers_of(generation.id) if w.state is WorkerState.READY}
    if ready.issuperset(range(update.slots, min(slots, generation.policy.workers))):
        cutover.begin(turn, generation, slots)
