"""The Python processes of a service, as the supervisor remembers them: values, no orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct, field

from midair.core.ids import GenerationId, WorkerId, ZygoteId
from midair.errors import Fault
from midair.observe.counters import Page
from midair.observe.holding import Holding
from midair.sockets import words
from midair.supervisor.link import Link
from midair.supervisor.release import Release


class Outputs(Protocol):
    """Where the standard output and error of a process go."""

    def open(self, generation: int, slot: int) -> tuple[int, int]:
        """Descriptors to be its stdout and stderr: the caller closes its copies once the process has them."""


class Worker(Struct):
    id: WorkerId
    generation: GenerationId
    slot: int
    page: Page
    stacks_fd: int
    started_s: float
    stopped_s: float = 0.0
    """Since when it has accepted no more (monotonic seconds); 0: it accepts, or has never."""
    link: Link | None = None
    pid: int = 0
    zygote: ZygoteId | None = None
    state: str = "starting"
    """For people: starting, ready, serving, draining, parked, leaving."""
    interface: str = ""
    fork_fault: Fault | None = None
    """Why there may be no process: the end of its link decides."""
    on_stacks: Callable[[str], None] | None = None
    on_holding: list[Callable[[Holding], None]] = field(default_factory=list)
    """Who has asked what keeps it, and waits."""
    last: Fault | None = None


class Zygote(Struct):
    id: ZygoteId
    generation: GenerationId
    link: Link | None = None
    pid: int = 0
    origin: Base | None = None
    """What it is forked from, other than the base."""
    has_answered: bool = True
    """Not yet, if it was a spare that was just told to go on."""
    fork_fault: Fault | None = None
    owes: set[int] = field(default_factory=set)
    """Workers it was told to fork and has not named yet."""


class Base(Struct):
    """Whatever zygotes are forked from: the base itself, a third-party zygote, a checkpoint."""

    key: bytes
    """What its children must have in common with it."""
    link: Link
    pid: int
    owes: set[int] = field(default_factory=set)
    on_loaded: Callable[[words.Preloaded], None] | None = None
    """Of a third-party zygote."""
    spare: Base | None = None
    """Forked from it already, for the next import."""

    def take_spare(self) -> Base | None:
        """Its spare, if that is there by now: the caller's from here on."""
        spare = self.spare
        if spare is None or spare.pid == 0 or not spare.link.is_open:
            return None
        self.spare = None
        return spare


class Keeper(Protocol):
    """Who knows what is kept (``warm.py``)."""

    def relied(self, zygote: Zygote, word: words.Relied) -> None:
        """What the import of a zygote has seen."""

    def imported(self, zygote: Zygote, word: words.Imported) -> words.Imported:
        """The import of a zygote is over. The word for all its parts."""

    def stopped(self, zygote: Zygote, word: words.Stopped, checkpoint: Base) -> None:
        """A zygote has become a checkpoint; nobody imports for it now."""

    def refused(self, zygote: Zygote, origin: Base, why: str) -> bool:
        """A zygote could not be forked from what was kept. Whether something else is tried."""

    def may_serve_itself(self, zygote: Zygote, release: Release) -> bool:
        """Whether a zygote need not be there once its first worker is."""

    def ended(self, base: Base) -> None:
        """Something that was kept is gone."""

    def all_kept(self) -> list[Base]:
        """Everything that is kept now."""

    def close(self) -> None:
        """Nothing needs to be kept any more."""
