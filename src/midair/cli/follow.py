"""Ask for an update, show its phases while it goes on, and say how it ended. For reload, rollback, upgrade and stop."""

from __future__ import annotations

import msgspec

from midair.cli.curve import Curve, sentence
from midair.cli.options import Service
from midair.cli.show import BOLD, Progress, Show, age, clean, json_of, version
from midair.control import client
from midair.control.words import Accepted, MovingStatus, Outcome, Request, Wait
from midair.control.words import Progress as ProgressWord
from midair.errors import UNKNOWN, Fault, UpdateError

GOOD = ("committed", "stopped")


def follow(service: Service, request: Request, *, timeout_s: float, wait: Wait = "commit") -> int:
    """Ask, watch, tell; return the exit code. Ctrl-C stops the watching, never the update."""
    watcher = Watcher(service.show)
    try:
        with watcher.progress:
            if wait == "none":
                return _ask_only(service, request, timeout_s)
            outcome = client.follow(service.address(), request, told=watcher.told, timeout_s=timeout_s, wait=wait)
            watcher.progress.end(outcome.duration_s or watcher.since_s, is_good=outcome.result in GOOD)
    except KeyboardInterrupt:
        return service.show.failure(_interrupted(watcher.update), UNKNOWN)
    code = tell(service.show, outcome)
    if outcome.result == "committed" and wait == "commit" and watcher.left and not service.show.as_json:
        service.show.note(
            f"{watcher.left:,} connections are still on their way to it; midair status shows how far they are"
        )
    return code


def _ask_only(service: Service, request: Request, timeout_s: float) -> int:
    """Ask, and look no further than whether it was taken up."""
    for answer in client.ask(service.address(), request, timeout_s=timeout_s or client.ANSWER_WITHIN_S):
        if isinstance(answer, Accepted):
            if service.show.as_json:
                service.show.json(json_of(answer))
            else:
                note = f" ({answer.note})" if answer.note else ""
                service.show.line(
                    f"update {answer.update} asked for{note}; midair receipt {answer.update} tells how it ended"
                )
            return 0
        if isinstance(answer, Outcome):
            return tell(service.show, answer)
    raise AssertionError("ask yields or raises")


def tell(show: Show, outcome: Outcome) -> int:
    """Print how an update ended; return its exit code."""
    if show.as_json:
        show.json(json_of(outcome))
        return outcome.exit_code
    if outcome.exit_code == 0:
        show.line(
            f"{show.styled(outcome.result, BOLD, show.out) if show.out.isatty() else outcome.result}{_ending(outcome)}"
        )
        return 0
    fault = outcome.fault or Fault(UpdateError.code, f"the update was {outcome.result}")
    message = fault.message + (f"; {version(outcome.version, outcome.generation)} serves" if outcome.generation else "")
    hint = fault.hint or (f"midair receipt {outcome.receipt} tells everything" if outcome.receipt else "")
    return show.failure(Fault(fault.code, message, hint, fault.detail), outcome.exit_code)


def _ending(outcome: Outcome) -> str:
    if not outcome.generation:
        return ""
    was = f", {clean(outcome.previous)} before" if outcome.previous and outcome.previous != outcome.version else ""
    receipt = f"; receipt {outcome.receipt}" if outcome.receipt else ""
    took = f"; {outcome.duration_s:.2f} s" if outcome.duration_s else ""
    return f": {clean(version(outcome.version, outcome.generation))} serves{was}{took}{receipt}"


def _interrupted(update: int) -> Fault:
    if not update:
        return Fault("outcome-unknown", "stopped asking; whether it was taken up is not known", "see midair status")
    return Fault(
        "outcome-unknown",
        f"stopped watching; update {update} goes on",
        f"midair status shows it, midair receipt {update} tells how it ended, midair rollback takes it back",
    )


class Watcher:
    """Turns what the service tells into lines."""

    def __init__(self, show: Show) -> None:
        self.progress: Progress = show.progress()
        self.update = 0
        self.since_s = 0.0
        self.left = 0
        """Connections that have not moved yet, by the latest news."""
        self._phase = ""
        self._curve = Curve()

    def told(self, word: Accepted | ProgressWord) -> None:
        match word:
            case Accepted():
                self.update = word.update
                if word.note:
                    self.progress.note(word.note)
            case ProgressWord():
                self.since_s = word.since_s
                if word.phase:
                    self._enter(word.phase)
                self._moving(word)
                if note := word.fields.get("note"):
                    self.progress.note(f"  {note}")
                if warning := word.fields.get("warning"):
                    self.progress.warning(str(warning))

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self.progress.phase(phase, self.since_s)

    def _moving(self, word: ProgressWord) -> None:
        """Connections on their way to the new version, for as long as somebody looks."""
        fields = word.fields
        match word.event:
            case "connections_moving":
                if self._phase == "commit":
                    self._enter("drain")  # It serves for good; who still looks waits for the old connections.
                moving = msgspec.convert(fields, MovingStatus)
                self.left = moving.left
                self._curve.add(moving.left, moving.of)
                self.progress.state(str(self._curve), sentence(moving), word.since_s)
            case "connections_slowed" | "connections_halted":
                self.progress.warning(_held_back(word))
            case "connections_resumed":
                self.progress.note("  the new version has recovered: connections move at the whole pace")
            case "connections_moved":
                self.left = int(fields.get("left") or 0)
                self.progress.note(f"  {_moved(word)}")
            case _:
                pass


def _held_back(word: ProgressWord) -> str:
    """Why fewer move, or none."""
    errors, slow = float(word.fields.get("errors") or 0), float(word.fields.get("slow") or 0)
    why = [f"{errors:.0%} more of its answers are errors"] if errors else []
    why += [f"{slow:.0%} more of them take over {word.fields.get('slow_over_s')} s"] if slow else []
    what = "no more connections move" if word.event == "connections_halted" else "fewer connections move"
    return f"{what} to the new version for now: {' and '.join(why)}"


def _moved(word: ProgressWord) -> str:
    moved, seconds = int(word.fields.get("moved") or 0), float(word.fields.get("seconds") or 0)
    most = word.fields.get("most_in_1_s")
    return f"{moved:,} connections moved in {age(seconds)}" + (f", at most {most:,} in a second" if most else "")
