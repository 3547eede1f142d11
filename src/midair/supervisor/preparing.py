"""From an order to make a generation to its processes: look at the disk, remember what was found, start what it says."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from midair.config.origins import Origin
from midair.config.schema import Settings
from midair.core import effects, events
from midair.core.ids import STAND_IN, GenerationId, ZygoteId
from midair.core.state import Role
from midair.errors import Fault
from midair.release.survey import Survey
from midair.sockets import words
from midair.supervisor.estate import Estate
from midair.supervisor.looking import NewVersion, Prepared, SameFiles, Seen, only_after
from midair.supervisor.members import Zygote
from midair.supervisor.release import Release, make_release, policy_of, snapshots
from midair.supervisor.scout import Scout
from midair.supervisor.standin import settings_of_stand_in, survey_of_stand_in
from midair.supervisor.warm import Warm
from midair.worker.settings import Served


class Settled(msgspec.Struct):
    """The settings of a generation whose program gave others to ``midair.serve()`` than the one before."""

    settings: Settings
    origins: dict[str, Origin]
    warnings: tuple[str, ...] = ()


class Preparing:
    """Carries out Prepare, Verify, StartZygote and StartWorker."""

    def __init__(self, estate: Estate, warm: Warm) -> None:
        self._estate = estate
        self._warm = warm
        self.scout = Scout(estate)

    def prepare(self, effect: effects.Prepare) -> None:
        generation, pinned, estate = effect.generation, effect.pinned, self._estate
        workers, zygotes = self._serving_pids()
        question = NewVersion(
            settings=estate.settings,
            sources=estate.sources,
            generation=generation,
            earlier=next((r.survey.interpreter for r in reversed(estate.releases.values())), None),
            rereads=effect.reread,
            home=self._home_of_target() if pinned else "",
            workers=workers,
            zygotes=zygotes,
        )

        def done(outcome: Prepared | Fault) -> None:
            if isinstance(outcome, Fault):
                self._estate.tell(events.PrepareFailed(generation, outcome))
                return
            self._estate.on_disk = outcome.survey.version
            fingerprint = outcome.survey.fingerprint.value
            if pinned and fingerprint != pinned:
                why = f"its files are gone: on disk is version {outcome.survey.version}"
                hint = "put the files of that version back and run midair reload"
                self._estate.tell(events.PrepareFailed(generation, Fault("rollback-files-gone", why, hint)))
                return
            if generation not in self._estate.service.generations:
                return
            self._adopt(generation, outcome)
            policy = policy_of(outcome.settings)
            if outcome.lack and outcome.lack.fits_by_slot:
                policy = msgspec.structs.replace(policy, by_slot=outcome.lack.why, lacks_room=True)
            elif outcome.lack:
                hint = 'free memory, run fewer workers, or start it all the same with surge = "all"'
                self._estate.tell(events.PrepareFailed(generation, Fault("no-memory", outcome.lack.why, hint)))
                return
            version = outcome.survey.version
            self._estate.tell(events.Prepared(generation, version, fingerprint, policy))

        self.scout.ask("reading the new version", question, Prepared, done)

    def _home_of_target(self) -> str:
        """Where the files are that a rollback goes back to: ``current`` may name another release by now."""
        update = self._estate.service.candidate
        target = self._estate.releases.get(update.rollback_to) if update and update.rollback_to is not None else None
        return target.survey.home if target else ""

    def _serving_pids(self) -> tuple[list[int], list[int]]:
        """Workers and zygotes of the generation that serves."""
        fleet, serving = self._estate.fleet, self._estate.service.serving
        workers = [each.pid for each in self._estate.everybody() if each.generation == serving and each.pid]
        return workers, [each.pid for each in fleet.zygotes.values() if each.generation == serving and each.pid]

    def _adopt(self, generation: GenerationId, prepared: Prepared) -> None:
        earlier = self._estate.releases.get(generation)
        release = self._make(generation, prepared.settings, prepared.survey, self._estate.sources.served)
        self._estate.releases[generation] = release
        warnings = (*prepared.warnings, *prepared.survey.warnings)
        if earlier:  # As it was before its hook: what still holds of it has been said.
            release.warnings += [warning for warning in warnings if warning in earlier.warnings]
            earlier.close()
        self._warn(release, tuple(warning for warning in warnings if warning not in release.warnings))
        receipt = self._estate.ledger.of_generation(generation)
        if receipt is None:
            return
        receipt.version, receipt.fingerprint = release.version, prepared.survey.fingerprint.value
        serving = (
            self._estate.releases.get(self._estate.service.serving)
            if self._estate.service.serving is not None
            else None
        )
        is_last_look = (
            earlier is not None or not prepared.settings.hooks.before
        )  # A hook may build another version yet.
        if is_last_look and serving and serving.survey.fingerprint.value == receipt.fingerprint and not receipt.note:
            receipt.note = f"unchanged: version {serving.version} serves already"
            self._estate.say_update(receipt, "unchanged", serving=serving.generation)
            self._estate.on_progress(receipt, "unchanged", "", {"note": receipt.note})

    def _make(self, generation: GenerationId, settings: Settings, survey: Survey, served: Served) -> Release:
        now_s = self._estate.loop.clock.now_s()
        dev = self._estate.dev_settings(settings)
        traced = self._estate.traced(settings, survey.environment.variables)
        return make_release(generation, settings, survey, self._estate.listeners, now_s, served, dev, traced)

    def release_of(self, generation: GenerationId) -> Release:
        """The release of a generation. One that is a rollback to another has its code under its own number."""
        release = self._estate.releases.get(generation)
        if release is None:
            update = self._estate.service.candidate
            assert update is not None
            assert update.rollback_to is not None
            source = self._estate.releases[update.rollback_to]
            survey = source.survey
            release = self._make(generation, source.settings, survey, source.served)
            release.origins = source.origins
            self._estate.releases[generation] = release
        return release

    def _fingerprint_of(self, release: Release, done: Callable[[str | Fault], None]) -> None:
        question = SameFiles(
            settings=release.settings,
            generation=release.generation,
            earlier=release.survey.interpreter,
            home=release.survey.home,
        )

        def seen(outcome: Seen | Fault) -> None:
            done(outcome if isinstance(outcome, Fault) else outcome.fingerprint)

        self.scout.ask("reading the files once more", question, Seen, seen)

    def verify(self, generation: GenerationId) -> None:
        def done(outcome: str | Fault) -> None:
            fingerprint = outcome if isinstance(outcome, str) else f"unreadable: {outcome.message}"
            self._estate.tell(events.Verified(generation, fingerprint))

        self._fingerprint_of(self.release_of(generation), done)

    def _if_unchanged(self, release: Release, pinned: str, then: Callable[[Fault | None], None]) -> None:
        """Go on only if the files are still what the generation is pinned to."""

        def done(outcome: str | Fault) -> None:
            if isinstance(outcome, Fault):
                then(outcome)
            elif outcome != pinned:
                then(Fault("files-changed", f"the files of version {release.version} have changed since it started"))
            else:
                then(None)

        self._fingerprint_of(release, done)

    def start_zygote(self, effect: effects.StartZygote) -> None:
        release = self.release_of(effect.generation)
        if not effect.pinned:
            self._start_zygote(effect.zygote, release)
            return

        def then(fault: Fault | None) -> None:
            if fault:
                self._estate.tell(events.ZygoteFailed(effect.zygote, fault))
            elif effect.zygote in self._estate.service.zygotes:
                self._start_zygote(effect.zygote, release)

        self._if_unchanged(release, effect.pinned, then)

    def _start_zygote(self, zygote: ZygoteId, release: Release) -> None:
        if snapshots(release.settings):
            self._warm.start_zygote(zygote, release)
        else:
            self._warm.close()
            self._estate.fleet.start_zygote(zygote, release)

    def zygote_imported(self, zygote: Zygote, word: words.Imported) -> None:
        """Its program may have given other settings to ``midair.serve()`` than the one before: take in what can be."""
        release = self._estate.releases.get(zygote.generation)
        unsafe = word.unsafe
        if release and release.settings.zygote == "never":
            unsafe = ('zygote = "never"', *unsafe)  # A main file's is there to be asked, not to be forked.
        if release is None or word.served.values == release.served.values:
            self._estate.tell(events.ZygoteReady(zygote.id, unsafe))
            return

        def done(outcome: Settled | Fault) -> None:
            generation = self._estate.service.generations.get(release.generation)
            if generation is None or zygote.id not in self._estate.fleet.zygotes:
                return  # Given up meanwhile.
            if isinstance(outcome, Fault):
                self._estate.tell(events.ZygoteFailed(zygote.id, outcome))
                self._estate.fleet.drop_zygote(zygote.id)
                return
            release.amend(outcome.settings, self._estate.listeners)
            release.served, release.origins = word.served, outcome.origins
            self._warn(release, outcome.warnings)
            # Whether they fit beside the old ones was asked before anything was started, for the number known then.
            room = generation.policy
            policy = msgspec.structs.replace(
                policy_of(release.settings), by_slot=room.by_slot, lacks_room=room.lacks_room
            )
            self._estate.tell(events.ZygoteReady(zygote.id, unsafe, policy))

        self._settle(release, word.served, done)

    def _settle(self, release: Release, served: Served, done: Callable[[Settled | Fault], None]) -> None:
        running, sources = release.settings, self._estate.sources
        keys = release.served.values.keys() | served.values.keys()

        def look() -> Settled:
            from midair.config.changes import diff, taken_in, with_values_of

            loaded = msgspec.structs.replace(sources, served=served).load()
            asked = with_values_of(running, loaded.settings, keys)
            now = taken_in(running, asked)
            warnings = tuple(only_after(change) for change in diff(now, asked))
            return Settled(now, loaded.origins, warnings)

        self._estate.offload.begin("reading what the program sets", look, Settled, done)

    def _warn(self, release: Release, warnings: tuple[str, ...]) -> None:
        release.warnings += warnings
        receipt = self._estate.ledger.of_generation(release.generation)
        if receipt is None:
            return
        for warning in warnings:
            self._estate.say_update(receipt, "survey_warning", warning=warning)
            self._estate.on_progress(receipt, "survey_warning", "", {"warning": warning})
        receipt.warnings += warnings

    def start_worker(self, effect: effects.StartWorker) -> None:
        if effect.generation == STAND_IN:
            self._estate.fleet.start_worker(effect.worker, self._stand_in(), effect.slot, None)
            return
        release = self.release_of(effect.generation)
        generation = self._estate.service.generations[effect.generation]
        if effect.zygote is not None:
            release.mode = "fork"
            self._estate.fleet.start_worker(effect.worker, release, effect.slot, effect.zygote)
            return
        if release.settings.is_command:
            release.mode = "exec"
        else:
            release.mode, release.why = "spawn", "; ".join(generation.why_spawns) or 'zygote = "never"'
        if generation.role is Role.CANDIDATE:
            self._start(effect, release)
            return

        def then(fault: Fault | None) -> None:
            if effect.worker not in self._estate.service.workers:
                return
            if fault:
                self._estate.tell(events.WorkerFailed(effect.worker, fault, exists=False))
            else:
                self._start(effect, release)

        self._if_unchanged(release, effect.pinned, then)

    def _stand_in(self) -> Release:
        known = self._estate.releases.get(STAND_IN)
        if known:
            return known
        settings = settings_of_stand_in(self._estate.settings)
        release = self._make(STAND_IN, settings, survey_of_stand_in(settings, self._estate.ambient), Served())
        release.mode, release.why = "spawn", "it is midair's own"
        self._estate.releases[STAND_IN] = release
        return release

    def _start(self, effect: effects.StartWorker, release: Release) -> None:
        """By execution: of the release's interpreter, or of its command."""
        if release.settings.is_command:
            self._estate.commands.start_worker(effect.worker, release, effect.slot)
        else:
            self._estate.fleet.start_worker(effect.worker, release, effect.slot, None)
