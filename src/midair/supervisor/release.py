"""A generation as the supervisor keeps it: what it was made from, and what its processes need to be started."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec
from msgspec import Struct, field

from midair.config.origins import Origin
from midair.config.schema import Settings
from midair.core.ids import STAND_IN, GenerationId
from midair.core.policy import Policy
from midair.release.survey import Survey
from midair.sockets import words
from midair.sockets.listener import Listener
from midair.supervisor import document
from midair.supervisor.readiness import read_readiness
from midair.traces import naming
from midair.worker.settings import DevSettings, Served, Traced


class Release(Struct):
    """One generation: number, settings, survey. ``launch_fd``: a memfd with what its Python processes read."""

    generation: GenerationId
    settings: Settings
    survey: Survey
    launch_fd: int = -1
    born_s: float = 0.0
    interface: str = ""
    mode: str = ""
    """``fork``, ``spawn`` or ``exec``; empty while it is not known."""
    why: str = ""
    """Why it is not ``fork``; with ``midair dev``, what it was forked from, too."""
    import_s: float = 0.0
    third_party_s: float = 0.0
    """Of it, what went into installed modules."""
    start_up_s: float = 0.0
    warnings: list[str] = field(default_factory=list)
    served: Served = field(default_factory=Served)
    """What its program gave to ``midair.serve()``."""
    origins: dict[str, Origin] = field(default_factory=dict)
    """Where its settings came from; empty: as the settings that ran before."""
    dev: DevSettings | None = None
    """What its workers are told besides, under ``midair dev``."""
    traced: Traced | None = None
    """How its processes are named in telemetry."""

    @property
    def version(self) -> str:
        return self.survey.version

    def export(self) -> document.ReleaseState:
        return document.ReleaseState(
            generation=self.generation,
            settings=self.settings,
            survey=self.survey,
            launch_fd=self.launch_fd,
            born_s=self.born_s,
            interface=self.interface,
            mode=self.mode,
            why=self.why,
            import_s=self.import_s,
            start_up_s=self.start_up_s,
            warnings=self.warnings,
            served=self.served,
            origins=self.origins,
            traced=self.traced,
        )

    def named(self, slot: int | None = None) -> dict[str, str]:
        """Variables that name a process of it in telemetry. slot: of a worker."""
        if self.traced is None:
            return {}
        return naming.variables(self.survey.environment.variables, self.traced, self.version, self.generation, slot)

    def amend(self, settings: Settings, listeners: Sequence[Listener]) -> None:
        """From now on its workers are started with these settings: its own program gave them at import."""
        before, self.settings = self.launch_fd, settings
        self.launch_fd = _launch_fd(self, listeners)
        os.close(before)

    def close(self) -> None:
        if self.launch_fd >= 0:
            os.close(self.launch_fd)
            self.launch_fd = -1


def adopt_release(state: document.ReleaseState) -> Release:
    """What ``export`` gave in the image before this one."""
    return Release(
        GenerationId(state.generation),
        state.settings,
        state.survey,
        state.launch_fd,
        state.born_s,
        state.interface,
        mode=state.mode,
        why=state.why,
        import_s=state.import_s,
        start_up_s=state.start_up_s,
        warnings=state.warnings,
        served=state.served,
        origins=state.origins,
        traced=state.traced,
    )


def make_release(
    generation: GenerationId,
    settings: Settings,
    survey: Survey,
    listeners: Sequence[Listener],
    now_s: float,
    served: Served | None = None,
    dev: DevSettings | None = None,
    traced: Traced | None = None,
) -> Release:
    """A release ready to be launched. Owns a descriptor: close it when the generation can no longer be needed."""
    release = Release(generation, settings, survey, born_s=now_s, served=served or Served(), dev=dev, traced=traced)
    if not settings.is_command:
        release.launch_fd = _launch_fd(release, listeners)
    return release


def _launch_fd(release: Release, listeners: Sequence[Listener]) -> int:
    settings, survey = release.settings, release.survey
    launch = words.Launch(
        generation=release.generation,
        version=survey.version,
        target=settings.app,
        factory=settings.factory,
        main=settings.main,
        arguments=settings.arguments,
        chdir=survey.folder,
        environment=survey.environment.variables,
        serve=msgspec.structs.replace(settings.serve, drain_idle_grace_s=settings.drain.idle_grace_s),
        exit_s=settings.exit.timeout_s,
        tls=settings.tls.within(settings.folder),
        plain=tuple(
            place
            for place, listener in enumerate(listeners)
            if {listener.typed, listener.actual, listener.name}.intersection(settings.tls.plain)
        ),
        max_requests=settings.worker.max_requests,
        max_requests_jitter=settings.worker.max_requests_jitter,
        max_memory_bytes=settings.worker.max_memory_bytes,
        hang_warn_s=settings.worker.hang_warn_s,
        exclusive_dir=os.path.join(settings.runtime_dir, "exclusive"),
        snapshot=snapshots(settings),
        dev=release.dev,
        traced=release.traced,
        borrows_listeners=release.generation == STAND_IN,
    )
    # It holds the environment, secrets included: a memfd has no name that another user could open.
    fd = os.memfd_create(f"midair:launch:{release.generation}", os.MFD_CLOEXEC)
    os.write(fd, msgspec.msgpack.encode(launch))
    return fd


def snapshots(settings: Settings) -> bool:
    """Whether imports are recorded, so that later ones may go on from within them."""
    can_fork = settings.zygote != "never" and not settings.is_command
    return settings.is_dev and settings.dev.snapshot == "auto" and can_fork


def policy_of(settings: Settings) -> Policy:
    """The numbers that decisions about a generation with these settings depend on."""
    is_command = settings.is_command
    has_health = read_readiness(settings.health.probe).is_asked if is_command else settings.health.path != "off"
    return Policy(
        workers=settings.workers,
        ready_s=settings.ready.timeout_s,
        start_s=settings.start.timeout_s,
        bake_s=settings.bake.for_s,
        bake_error_rate=settings.bake.error_rate,
        by_slot='surge = "slot"' if settings.surge == "slot" else "",
        canary_workers=settings.canary.workers,
        canary_s=settings.canary.for_s,
        drain_s=settings.drain.timeout_s,
        max_generations=settings.drain.max_generations,
        exit_s=settings.exit.timeout_s,
        stop_s=settings.stop.timeout_s,
        stop_delay_s=settings.stop.delay_s,
        warm_s=settings.rollback.warm_s,
        keep=settings.rollback.keep,
        probe_interval_s=settings.health.interval_s,
        has_health=has_health,
        # A main file is imported once in any case: only the import tells what it gives to midair.serve().
        forks=(settings.zygote != "never" or bool(settings.main)) and not is_command,
        must_fork=settings.zygote == "always",
        parks=not is_command,
        rollback_rate_per_s=settings.rollback.rate_per_s,
        migrates=settings.drain.migrate and not is_command,
        has_before=bool(settings.hooks.before),
        has_after=bool(settings.hooks.after),
        has_contract=bool(settings.hooks.contract),
        companions=tuple(process.name for process in settings.process),
        exclusive=frozenset(process.name for process in settings.process if process.update == "exclusive"),
        has_stand_in=settings.is_dev,
    )
