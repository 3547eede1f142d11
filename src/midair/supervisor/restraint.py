"""Holds the pace back while the new version fails or is slow, as far as ``core/strain.py`` finds right; and says so.

Twice a second the serving generation's own counters are looked at. What clients were used to is what its predecessor's last
minute was, kept as long as connections move, over further updates too: the second of two bad versions in a row is not measured
by the first.
"""

from __future__ import annotations

import msgspec

from midair.core.ids import GenerationId
from midair.core.strain import Before, Brake, Record, Strain, bearable, before_of, strain_of
from midair.observe.counters import LATENCY_BOUNDS_S
from midair.supervisor.accounts import Accounts
from midair.supervisor.estate import Estate, FieldValue
from midair.supervisor.pulse import Pulse

LOOK_EVERY_S = 0.5


class State(msgspec.Struct, kw_only=True):
    """On its way to the next image of the supervisor. What the new side has answered lately is known again in seconds."""

    before: Before | None = None
    brake: Brake = msgspec.field(default_factory=Brake)


class Restraint:
    """What share of the pace is right at present."""

    def __init__(self, estate: Estate, accounts: Accounts, pulse: Pulse) -> None:
        self._estate = estate
        self._accounts = accounts
        self._pulse = pulse
        self._record = Record()
        self.strain = Strain()
        self.state = State()

    @property
    def brake(self) -> Brake:
        return self.state.brake

    def cut_over(self, previous: GenerationId | None, *, is_back: bool) -> None:
        """Another generation serves. On the way back nothing is held back: it is where clients are used to be."""
        self._record, self.strain = Record(), Strain()
        if previous is None or is_back:
            self.state.before = None
        elif self.state.before is None:
            self.state.before = before_of(self._pulse.record_of(previous), LATENCY_BOUNDS_S)
        self.state.brake = Brake()

    def ended(self) -> None:
        """Nothing moves any more."""
        self.state, self.strain = State(), Strain()

    def share(self, serving: GenerationId, halt_at: float, left: int, now_s: float) -> float:
        """0..1. halt_at: see ``drain.halt_at``; 0: never held back."""
        before, brake = self.state.before, self.brake
        if before is None or not halt_at:
            return 1.0
        if not brake.at_s or now_s - brake.at_s >= LOOK_EVERY_S:
            self._record.add(self._accounts.figures(serving))
            self.strain = strain_of(self._record, before, LATENCY_BOUNDS_S)
            if brake.set(bearable(self.strain.worst, halt_at), now_s):
                self._say(serving, left)
        return brake.share

    def _say(self, serving: GenerationId, left: int) -> None:
        brake = self.brake
        if brake.level == "full":
            self._estate.moved_on(serving, "connections_resumed", {"left": left, **self.spent()})
            return
        told: dict[str, FieldValue] = {
            "left": left,
            "share": round(brake.share, 3),
            "errors": round(self.strain.errors, 3),
            "slow": round(self.strain.slow, 3),
        }
        if self.state.before and self.state.before.slow_over >= 0:
            told["slow_over_s"] = LATENCY_BOUNDS_S[self.state.before.slow_over]
        self._estate.moved_on(serving, f"connections_{brake.level}", told)

    def spent(self) -> dict[str, float]:
        """For how long it was held back, in this update."""
        return {f"{level}_s": round(self.brake.spent_s[level], 1) for level in ("slowed", "halted")}
