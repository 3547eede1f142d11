"""The developer's loop, beside a supervisor: changes come in, things are built, an update is asked for, a line says what happened.

    change -> plan -> actions
                  |-> pages are told (assets)
                  `-> pre, build, check -> update -> post
                          |                  `- refused: the version before serves on
                          `- failed: the version before serves on

A newer change takes the place of whatever is on its way. It updates nothing by itself: it asks the core, as ``midair reload`` does.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from midair.config.schema import Settings
from midair.core import effects, events
from midair.core.ids import RequestId
from midair.dev.actions import Actions
from midair.dev.beside import Beside
from midair.dev.children import Children
from midair.dev.feeding import Feeding
from midair.dev.keys import Keys
from midair.dev.lending import Lending
from midair.dev.line import Saved, named, times_of
from midair.dev.pipeline import Built, Pipeline, steps_after, steps_at_exit, steps_before
from midair.dev.plan import Plan, is_built, plan
from midair.dev.telling import HELP, Telling
from midair.dev.watching import Watching, what_to_watch
from midair.errors import Fault
from midair.observe.capture import Line
from midair.observe.metrics import DevFigures
from midair.supervisor.estate import FieldValue
from midair.supervisor.ledger import Receipt
from midair.supervisor.loop import Timer
from midair.supervisor.supervisor import Supervisor
from midair.watch import words
from midair.watch.words import Change

BY_SAVE, BY_KEY, BY_START, BY_WATCHER = "save", "key r", "start", "watcher"
OURS = frozenset({BY_SAVE, BY_KEY, BY_START, BY_WATCHER})
"""Who asks for updates here, as receipts have it."""
AFTERWARDS_S = 0.5
"""While pages are open, what changes so soon after an update may be its doing: they ask anew, and the application writes."""
AT_EXIT_WITHIN_S = 10.0
"""For the lines of ``dev.at_exit``, all together. A second Ctrl-C does not wait so long."""
READY_WITHIN_S = 3.0
"""A folder that takes longer to look through (a slow disk, a network) must not hold up the first version."""


class DevLoop:
    """The attendant of a supervisor under ``midair dev``."""

    def __init__(self, supervisor: Supervisor, write: Callable[[str], None], *, opens: bool = False) -> None:
        """opens: the page is shown in a browser as soon as there is one."""
        self._supervisor, self._estate = supervisor, supervisor.estate
        self._opens = opens
        estate = self._estate
        self._telling = Telling(estate, write)
        self._keys = Keys(estate.loop, self._key)
        self._children = children = Children(estate)
        self._watching = Watching(children, self._watched, self._changed, self._telling.warn)
        self._pipeline, self._afterwards = Pipeline(children), Pipeline(children)
        self._actions = Actions(children, self._telling.warn)
        self._beside = Beside(children, self._telling.warn)
        self._feeding = Feeding()
        self._lending = Lending(estate, self._keys, self._go_on)
        self._settings = estate.settings
        """Those that the next round goes by: newer than the serving version's, if a change of the file is on its way."""
        self._watched_as = what_to_watch(self._settings, estate.sources.config)
        self._unserved: dict[str, None] = {}
        """Paths that have changed since a version began to serve or was refused, in their order."""
        self._put_off: list[Change] = []
        """Changes that wait until the developer goes on."""
        self._suspected: list[Change] = []
        """Changes that our own work has made, it seems. If it has not, they are somebody's saves: one more round takes them in."""
        self._is_paused = False
        self._starting: Timer | None = None
        """What starts the first round if nothing does before."""
        self._began_s = 0.0
        """When the newest change was made."""
        self._built = Built()
        self._worked_until_s = 0.0
        self._was_updated = False
        """By somebody else, while our steps ran: they ask for it themselves (``npm run reload``)."""
        self._has_gone_by = False
        """What is wrong now was printed as it was found."""
        self._is_stale = False
        """The configuration has changed, and no version serves that was made with it."""
        self._rounds = 0
        self._then: Callable[[], None] | None = None
        """What is to be called when all is over."""
        self._figures = supervisor.accounts.dev = DevFigures()
        self._pages = supervisor.pages
        self._pages.on_error = lambda error: self._telling.failed(error, has_gone_by=self._has_gone_by)
        self._asked: RequestId | None = None
        """Our newest request for an update."""
        supervisor.closed.append(self._closed)
        supervisor.answered.append(self._answered)

    # --- as an attendant ------------------------------------------------------------------------------------------

    @property
    def signals(self) -> tuple[int, ...]:
        return (signal.SIGCONT,)

    def signalled(self, number: int) -> None:
        if not self._lending.is_lent:
            self._keys.look()  # A shell has brought us back to the foreground, or sent us to the background.

    def begin(self) -> None:
        self._keys.open()
        self._telling.began(has_keys=self._keys.are_read)
        self._watching.start(self._watched_as)
        self._beside.want(self._settings.dev.process)
        self._supervisor.tell(events.Tick())  # The stand-in serves while the first build runs.
        # Not before the folder is watched: a save between the first look at it and the second would be in neither.
        self._starting = self._estate.loop.call_later(READY_WITHIN_S, self._start)

    def _start(self) -> None:
        if self._starting:
            self._starting.cancel()
            self._starting = None
            self._round(BY_START)

    def passes(self, event: str, fields: Mapping[str, FieldValue]) -> bool:
        return self._telling.passes(event, fields)

    def prefix(self, line: Line) -> str:
        return self._telling.prefix(line)

    def finish(self, then: Callable[[], None]) -> None:
        if self._starting:
            self._starting.cancel()
        self._watching.close()
        self._pipeline.cancel()
        self._afterwards.cancel()
        self._actions.end()
        self._beside.end()
        self._then = then
        self._children.finish(self._at_exit)

    def _at_exit(self) -> None:
        self._pipeline.run(steps_at_exit(self._settings.dev.at_exit), lambda built: self._finished())
        self._estate.loop.call_later(AT_EXIT_WITHIN_S, self._finished)

    def _finished(self) -> None:
        then, self._then = self._then, None
        if then:
            then()

    def hurry(self) -> None:
        self._children.kill()
        self._finished()

    def end(self) -> None:
        self._lending.close()
        self._keys.close()

    # --- changes --------------------------------------------------------------------------------------------------

    def _watched(self, word: words.Ready, has_missed: bool) -> None:
        """has_missed: for a while nobody watched, and something may have been saved."""
        why = f" ({word.why})" if word.why else ""
        self._figures.watches = word.folders
        self._telling.note(f"watching {word.files} files in {word.folders} folders, {word.how}{why}")
        if has_missed:
            self._is_stale = True
            self._round(BY_WATCHER)
        self._start()

    def _changed(self, changes: Sequence[Change], settled_s: float) -> None:
        """A settled batch, ``settled_s`` after its first event."""
        for change in changes:
            self._figures.changes[change.kind] += 1
        now_s = self._estate.loop.clock.now_s()
        began_s = now_s - settled_s
        paths = tuple(dict.fromkeys(change.path for change in changes))
        is_working = self._is_working or began_s <= self._worked_until_s + (AFTERWARDS_S if self._pages.open else 0.0)
        fed = self._feeding.took(paths, is_working=is_working, is_built=is_built(self._settings))
        if fed.written:
            hint = "if somebody else changes it: save again in a moment; if not: name it in watch.ignore"
            message = f"{named(fed.written)} changes again each time something is done here, and is left alone for now"
            self._telling.warn(Fault("feeds-itself", message, hint))
            self._suspected += [change for change in changes if change.path in fed.written]
        counted = [change for change in changes if change.path in fed.paths]
        if not counted:
            return
        if self._is_paused or self._lending.is_lent:
            self._put_off += counted
            if self._lending.is_lent:
                self._telling.note(f"{named(fed.paths)} waits until the debugger goes on")
            return
        self._begin(counted, began_s)

    def _begin(self, changes: Sequence[Change], began_s: float) -> None:
        self._began_s = began_s
        self._carry_out(plan(changes, self._settings, self._estate.sources.config))

    def _take_suspected(self) -> None:
        """At the end of a round. Whoever feeds himself does so in the next one, too, and has been named: it stays at one."""
        if self._suspected and not self._is_working:
            changes, self._suspected = self._suspected, []
            self._begin(changes, self._estate.loop.clock.now_s())

    def _has_worked(self) -> None:
        self._worked_until_s = self._estate.loop.clock.now_s()
        if self._suspected:
            self._estate.loop.call_soon(self._take_suspected)

    @property
    def _is_working(self) -> bool:
        service = self._estate.service
        runs = self._pipeline.is_running or self._afterwards.is_running or self._actions.is_running
        return runs or service.candidate is not None or service.switch is not None

    def _carry_out(self, chosen: Plan) -> None:
        self._actions.run(chosen.due)
        if chosen.what == "assets":
            self._pages.assets(chosen.paths)
            self._telling.saved(Saved(named(chosen.paths), "asset", told=self._pages.open))
        elif chosen.what == "update":
            self._unserved |= dict.fromkeys(chosen.paths)
            self._is_stale |= chosen.reread
            self._round(BY_SAVE)

    # --- a round --------------------------------------------------------------------------------------------------

    def _round(self, by: str) -> None:
        """Build and update, in the place of whatever is on its way."""
        self._rounds += 1
        self._afterwards.cancel()
        self._pipeline.cancel()
        self._was_updated = False
        if self._settings.dev.clear:
            self._telling.clear()
        if self._is_stale:
            self._reread(by)
        else:
            self._build(by)

    def _reread(self, by: str) -> None:
        """Take in the configuration first: what is built, and by which rules, may stand in what was saved."""
        sources, number = self._estate.sources, self._rounds

        def done(outcome: Settings | Fault) -> None:
            if number != self._rounds:
                return  # A newer round reads it, too.
            if isinstance(outcome, Fault):
                self._keep({})
                self._pages.failed(outcome)
                return
            self._settings = outcome
            self._build(by)

        self._estate.offload.begin("reading the configuration", lambda: sources.load().settings, Settings, done)

    def _build(self, by: str) -> None:
        if is_built(self._settings):
            self._pages.building()
            self._pipeline.run(steps_before(self._settings.build), lambda built: self._has_built(built, by))
        else:
            self._has_built(Built(), by)

    def _has_built(self, built: Built, by: str) -> None:
        self._has_worked()
        self._figures.built(built.times, built.failed.phase if built.failed else "")
        if built.failed:
            self._keep(built.times, has_gone_by=True)
            self._pages.step_failed(built.failed.phase, built.output or f"{built.how}: {built.failed.line}")
            return
        if self._was_updated:
            return  # A step has asked for the update itself.
        self._built = built
        self._asked = request = self._supervisor.next_request()
        reason, force = named(tuple(self._unserved)), by == BY_KEY
        self._supervisor.tell(events.UpdateAsked(request, by, reason, reread=self._is_stale, force=force))

    def _keep(self, times: Mapping[str, float], *, what: str = BY_START, has_gone_by: bool = False) -> None:
        """The save is not live. Why is told as soon as it is read, to pages and here."""
        self._has_gone_by = has_gone_by
        what = named(tuple(self._unserved)) or what
        self._unserved.clear()
        self._telling.saved(Saved(what, "kept", times=tuple(times.items()), told=self._pages.open))

    # --- updates --------------------------------------------------------------------------------------------------

    def _answered(self, effect: effects.Answer) -> None:
        """No update came of a request: somebody holds them back. One that a newer one has overtaken is not told of."""
        if effect.fault and effect.request == self._asked and effect.fault.code not in ("superseded", "stopping"):
            self._keep({})
            self._pages.failed(effect.fault)

    def _closed(self, effect: effects.Closed, receipt: Receipt) -> None:
        self._has_worked()
        if effect.result in ("superseded", "stopped"):
            return
        is_ours = receipt.by in OURS
        self._was_updated = not is_ours and self._pipeline.is_running
        built, self._built = self._built, Built()
        if effect.result != "committed":
            times = (*built.times.items(), *times_of(receipt))
            self._keep(dict(times), what=self._what(receipt))
            return
        self._served(receipt, built, is_ours=is_ours)

    def _served(self, receipt: Receipt, built: Built, *, is_ours: bool) -> None:
        serving = self._estate.service.serving
        release = self._estate.releases.get(serving) if serving is not None else None
        waited_s = receipt.began_s - self._began_s if receipt.by == BY_SAVE else 0.0
        times = (*built.times.items(), *times_of(receipt, waited_s))
        did, why = (release.mode, release.why) if release else ("", "")
        self._telling.saved(Saved(self._what(receipt), did, why, times, self._pages.open))
        self._unserved.clear()
        self._is_stale = self._has_gone_by = False
        self._take_in(self._estate.settings)
        if is_ours and self._settings.build.post:
            self._afterwards.run(steps_after(self._settings.build), self._has_run_afterwards)
        if self._opens:
            self._opens = False
            self._open()

    def _what(self, receipt: Receipt) -> str:
        """What has led to an update: paths, or whoever asked for it."""
        if self._unserved:
            return named(tuple(self._unserved))
        return receipt.by if receipt.by in OURS else f"midair reload ({receipt.by})"

    def _take_in(self, settings: Settings) -> None:
        """The settings of the version that serves count from now on."""
        self._settings = settings
        self._beside.want(settings.dev.process)
        wanted = what_to_watch(settings, self._estate.sources.config)
        if wanted != self._watched_as:
            self._watched_as = wanted
            self._watching.start(wanted)

    def _has_run_afterwards(self, built: Built) -> None:
        self._has_worked()
        self._figures.built(built.times, built.failed.phase if built.failed else "")
        if built.failed:
            message = f"post failed ({built.how}): {built.failed.line}"
            self._telling.warn(Fault("step-failed", message, "what you saved is live all the same"))

    # --- keys -----------------------------------------------------------------------------------------------------

    def _key(self, key: str) -> None:
        match key:
            case "r":
                self._began_s = self._estate.loop.clock.now_s()
                self._is_stale = True
                self._round(BY_KEY)
            case "e":
                self._telling.whole(self._pages.error)
            case "o":
                self._open()
            case "p":
                self._pause()
            case "q" | "\x04":
                self._supervisor.tell(events.StopAsked(self._supervisor.next_request(), "key q"))
            case "h" | "?":
                self._telling.line(HELP)
            case "\r" | "\n":
                self._telling.line("")  # Room between one save and the next.
            case _:
                pass

    def _pause(self) -> None:
        self._is_paused = not self._is_paused
        self._telling.note("paused: what you save waits until you press p again" if self._is_paused else "goes on")
        self._go_on()

    def _go_on(self) -> None:
        """Take up what was put off, if nothing puts it off any more."""
        if self._put_off and not self._is_paused and not self._lending.is_lent:
            changes, self._put_off = self._put_off, []
            self._begin(changes, self._estate.loop.clock.now_s())

    def _open(self) -> None:
        """Show the page, in whatever browser this person has (BROWSER, xdg-open)."""
        address = next(iter(self._telling.addresses()), "")
        if not address.startswith("http"):
            self._telling.note("there is no address that a browser could open")
            return
        child = self._children.make("browser", lambda child, how: None)
        child.start([sys.executable, "-m", "webbrowser", address])
