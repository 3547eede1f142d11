"""Hooks: programs that are run once in an update. ``before`` may refuse it, ``after`` and ``contract`` follow it.

One at a time, in the order asked for: a migration that is under way is never joined by another, nor cut short because a newer
request took the update's place. A ``before`` whose update is over when its turn comes is not run any more.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable

from midair.core import effects, events
from midair.core.ids import GenerationId
from midair.errors import Fault
from midair.observe.capture import Line
from midair.supervisor.estate import Estate, FieldValue
from midair.supervisor.loop import Timer
from midair.supervisor.programs import start_program

LINES_KEPT = 40
"""Of a hook's output, in the receipt and in the answer of ``midair reload``."""
OUTPUT_KEPT = 16 * 1024
"""Characters of these lines."""
TERM_GRACE_S = 3.0
"""Between SIGTERM at the time limit and SIGKILL: a database tool may still end its transaction."""


class Errands:
    """Carries out RunHook (→ HookEnded)."""

    def __init__(self, estate: Estate, traced: Callable[[GenerationId, str], dict[str, str]]) -> None:
        """traced: takes a generation and a hook, gives the variables by which the hook knows of its update's trace."""
        self._estate = estate
        self._traced = traced
        self._waiting: deque[effects.RunHook] = deque()
        self._running: _Hook | None = None
        self._on_finished: Callable[[], None] | None = None

    def run(self, effect: effects.RunHook) -> None:
        self._waiting.append(effect)
        self._next()

    def _next(self) -> None:
        while self._waiting and self._running is None:
            effect = self._waiting.popleft()
            if self._is_over(effect):
                continue
            traced = self._traced(effect.generation, effect.hook)
            self._running = _Hook(self._estate, effect, traced, self._ended)
            self._running.start()

    def _is_over(self, effect: effects.RunHook) -> bool:
        service = self._estate.service
        is_candidate = service.candidate is not None and service.candidate.generation == effect.generation
        if effect.generation not in self._estate.releases:
            return True
        return service.stopping is not None or (effect.hook == "before" and not is_candidate)

    def _ended(self, fault: Fault | None) -> None:
        hook, self._running = self._running, None
        assert hook is not None
        self._estate.tell(events.HookEnded(hook.effect.generation, hook.effect.hook, fault))
        self._next()
        if self._on_finished and self._running is None:
            self._on_finished()

    # --- at the end of the service --------------------------------------------------------------------------------

    def finish(self, then: Callable[[], None]) -> None:
        """The service has ended, and calls ``then`` once no hook runs: what runs gets SIGTERM and a moment."""
        if self._running is None:
            then()
        else:
            self._on_finished = then
            self._running.end("the service stopped")

    def kill(self) -> None:
        """Somebody wants the end now."""
        if self._running:
            self._running.kill()

    # --- over an upgrade ------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return f"the hook {self._running.effect.hook} runs" if self._running else ""

    def freeze(self) -> tuple[bytes, list[int]]:
        return b"", []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        """Nothing was under way."""


class _Hook:
    """One run of one hook. ``done`` gets what was wrong, once."""

    def __init__(
        self,
        estate: Estate,
        effect: effects.RunHook,
        traced: dict[str, str],
        done: Callable[[Fault | None], None],
    ) -> None:
        self._estate = estate
        self.effect = effect
        self._traced = traced
        self._done = done
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._pid = 0
        self._timer: Timer | None = None
        self._limit_s = 0.0
        self._cut_short = ""
        """Why it was told to end before it had done its work."""
        self._began_s = estate.loop.clock.now_s()

    def start(self) -> None:
        estate, effect = self._estate, self.effect
        release = estate.releases[effect.generation]
        hooks = release.settings.hooks
        argv = {"before": hooks.before, "after": hooks.after, "contract": hooks.contract}[effect.hook]
        receipt = estate.ledger.of_generation(effect.generation)
        previous = receipt.previous_version if receipt else ""
        more = {"MIDAIR_HOOK": effect.hook, "MIDAIR_PREVIOUS_VERSION": previous, **self._traced}
        self._limit_s = hooks.timeout_s
        estate.outputs.followers.append(self._heard)
        try:
            self._pid = start_program(estate, release, argv, effect.hook, more, self._exited, is_kept=True)
        except OSError as exc:
            how = f"it could not be started: {exc.strerror or exc}"
            estate.loop.call_soon(lambda: self._exited(how))
            return
        self._timer = estate.loop.call_later(
            self._limit_s, lambda: self.end(f"it did not end within {self._limit_s:g} s")
        )

    def _heard(self, line: Line, stream: str) -> None:
        if line.name == self.effect.hook and line.generation == self.effect.generation:
            self._lines.append(line.text)

    def end(self, why: str) -> None:
        """Tell it to end, and all that it started; kill what is left a moment later."""
        if self._cut_short:
            return
        self._cut_short = why
        if self._timer:
            self._timer.cancel()
        self._estate.processes.signal_group(self._pid, signal.SIGTERM)
        self._timer = self._estate.loop.call_later(TERM_GRACE_S, self.kill)

    def kill(self) -> None:
        self._cut_short = self._cut_short or "the service stopped"
        self._estate.processes.kill(self._pid)

    def _exited(self, how: str) -> None:
        if self._timer:
            self._timer.cancel()
        if self._cut_short:
            self._estate.processes.kill_left(self._pid)
        self._estate.outputs.drain()
        self._estate.outputs.followers.remove(self._heard)
        effect = self.effect
        fault = self._fault(how)
        fields: dict[str, FieldValue] = {
            "hook": effect.hook,
            "how": how if not self._cut_short else f"{how}: {self._cut_short}",
            "seconds": round(self._estate.loop.clock.now_s() - self._began_s, 3),
        }
        self._estate.say("hook_ended", {"generation": effect.generation, **fields})
        kept = fields | ({"output": self._output()} if self._lines else {})
        receipt = self._estate.ledger.happened(effect.generation, "hook_ended", kept)
        if receipt and not receipt.result:
            self._estate.on_progress(receipt, "hook_ended", "", fields)
        else:
            self._estate.ledger.happened_after(effect.generation, "hook_ended", kept)
        self._done(fault)

    def _output(self) -> str:
        return "\n".join(self._lines)[-OUTPUT_KEPT:]

    def _fault(self, how: str) -> Fault | None:
        hook, detail = self.effect.hook, self._output()
        if self._cut_short:
            return Fault(
                "hook-failed", f"the hook {hook} failed: {self._cut_short}", "hooks.timeout sets the limit", detail
            )
        if how == "exit 0":
            return None
        return Fault("hook-failed", f"the hook {hook} failed: {how}", "see its own lines", detail)
