"""Hooks: programs that are run once in an update. ``before`` may refuse it, ``after`` and ``contract`` follow it.

One at a time, in the order asked for: a migration that is under way is never joined by another, nor cut short because a newer
request took the update's place. A ``before`` whose update is over when its turn comes is not run any more.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable

from midair.core import effects, events
from midair.errors import Fault
from midair.observe.capture import Line
from midair.supervisor.estate import Estate, FieldValue
from midair.supervisor.loop import Timer
from midair.supervisor.programs import start_program

LINES_KEPT = 40
"""Of a hook's output, in the receipt and in the answer of ``midair reload``."""
TERM_GRACE_S = 3.0
"""Between SIGTERM at the time limit and SIGKILL: a database tool may still end its transaction."""


class Errands:
    """Carries out RunHook (→ HookEnded)."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._waiting: deque[effects.RunHook] = deque()
        self._running: effects.RunHook | None = None

    def run(self, effect: effects.RunHook) -> None:
        self._waiting.append(effect)
        self._next()

    def _next(self) -> None:
        while self._waiting and self._running is None:
            effect = self._waiting.popleft()
            if self._is_over(effect):
                continue
            self._running = effect
            _Hook(self._estate, effect, self._ended).start()

    def _is_over(self, effect: effects.RunHook) -> bool:
        service = self._estate.service
        is_candidate = service.candidate is not None and service.candidate.generation == effect.generation
        if effect.generation not in self._estate.releases:
            return True
        return service.stopping is not None or (effect.hook == "before" and not is_candidate)

    def _ended(self, fault: Fault | None) -> None:
        effect, self._running = self._running, None
        assert effect is not None
        self._estate.tell(events.HookEnded(effect.generation, effect.hook, fault))
        self._next()

    # --- over an upgrade ------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return f"the hook {self._running.hook} runs" if self._running else ""

    def freeze(self) -> tuple[bytes, list[int]]:
        return b"", []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        """Nothing was under way."""


class _Hook:
    """One run of one hook. ``done`` gets what was wrong, once."""

    def __init__(self, estate: Estate, effect: effects.RunHook, done: Callable[[Fault | None], None]) -> None:
        self._estate = estate
        self._effect = effect
        self._done = done
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._pid = 0
        self._timer: Timer | None = None
        self._limit_s = 0.0
        self._is_late = False
        self._began_s = estate.loop.clock.now_s()

    def start(self) -> None:
        estate, effect = self._estate, self._effect
        release = estate.releases[effect.generation]
        hooks = release.settings.hooks
        argv = {"before": hooks.before, "after": hooks.after, "contract": hooks.contract}[effect.hook]
        receipt = estate.ledger.of_generation(effect.generation)
        more = {"MIDAIR_HOOK": effect.hook, "MIDAIR_PREVIOUS_VERSION": receipt.previous_version if receipt else ""}
        self._limit_s = hooks.timeout_s
        estate.outputs.followers.append(self._heard)
        try:
            self._pid = start_program(estate, release, argv, effect.hook, more, self._exited, is_kept=True)
        except OSError as exc:
            how = f"it could not be started: {exc.strerror or exc}"
            estate.loop.call_soon(lambda: self._exited(how))
            return
        self._timer = estate.loop.call_later(self._limit_s, self._overdue)

    def _heard(self, line: Line, stream: str) -> None:
        if line.name == self._effect.hook and line.generation == self._effect.generation:
            self._lines.append(line.text)

    def _overdue(self) -> None:
        self._is_late = True
        self._estate.processes.signal_group(self._pid, signal.SIGTERM)
        self._timer = self._estate.loop.call_later(TERM_GRACE_S, lambda: self._estate.processes.kill(self._pid))

    def _exited(self, how: str) -> None:
        if self._timer:
            self._timer.cancel()
        if self._is_late:
            self._estate.processes.kill_left(self._pid)
        self._estate.outputs.drain()
        self._estate.outputs.followers.remove(self._heard)
        effect = self._effect
        fault = self._fault(how)
        fields: dict[str, FieldValue] = {
            "hook": effect.hook,
            "how": how if not self._is_late else "too slow",
            "seconds": round(self._estate.loop.clock.now_s() - self._began_s, 3),
        }
        self._estate.say("hook_ended", {"generation": effect.generation, **fields})
        if self._lines:
            fields["output"] = "\n".join(self._lines)
        receipt = self._estate.happened(effect.generation, "hook_ended", fields)
        if receipt and receipt.result:
            self._estate.ledger.write(receipt)
        self._done(fault)

    def _fault(self, how: str) -> Fault | None:
        if how == "exit 0" and not self._is_late:
            return None
        hook, detail = self._effect.hook, "\n".join(self._lines)
        if self._is_late:
            hint = "hooks.timeout sets the limit"
            return Fault("hook-failed", f"the hook {hook} did not end within {self._limit_s:g} s", hint, detail)
        return Fault("hook-failed", f"the hook {hook} failed: {how}", "see its own lines", detail)
