"""Processes that are kept so that the next import is short: a third-party zygote, and checkpoints within the last ones.

Only for ``midair dev``. What a save needs is decided in ``release/starting.py``; here it is ordered, and who cannot be forked from
is replaced by the next best, with the reason. The checkpoint itself has the last word on whether it may be gone on from.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct, field

from midair.core.ids import ZygoteId
from midair.release import starting
from midair.sockets import words
from midair.supervisor.fleet import Fleet
from midair.supervisor.members import Base, Zygote
from midair.supervisor.release import Release

WORTH_S = 0.01
"""Installed modules that take this long to import are worth a process that holds them."""
COMPILE_MAX = 200
"""Files that what is kept compiles in advance after a save: it cannot be forked from meanwhile."""
TRIES_MAX = 4
"""How often a third-party zygote is begun again, with fewer modules each time."""
PASSING_VARIABLES = ("MIDAIR_VERSION", "MIDAIR_GENERATION")

Say = Callable[[str, Mapping[str, str | int | float | bool | None]], None]


class Running(Struct):
    """An import under way. Another process may take it over at each stop."""

    zygote: ZygoteId
    release: Release
    stops: tuple[str, ...]
    relied: dict[str, bytes] = field(default_factory=dict)
    origin: Base | None = None
    why: str = ""
    seconds: float = 0.0
    """Of the parts that are done."""
    third_party_s: float = 0.0


class Warm:
    """Of one service. Knows which processes are kept, and what each has executed."""

    def __init__(self, fleet: Fleet, say: Say) -> None:
        self._fleet = fleet
        self._say = say
        self._third_party: Base | None = None
        """Once it is ready."""
        self._checkpoints: dict[int, tuple[Base, starting.Kept]] = {}
        self._hot: tuple[str, ...] = ()
        self._files: dict[str, bytes] = {}
        self._changed: list[str] = []
        self._keys = b"", b""
        self._imports: dict[ZygoteId, Running] = {}
        self._tries = 0
        self._modules = 0
        """How many the third-party zygote was to import at first: it is not made again for the same."""
        self._why = ""
        """Why there is no third-party zygote."""
        fleet.keeper = self
        self._last = 0

    # --- an import ------------------------------------------------------------------------------------------------

    def start_zygote(self, zygote_id: ZygoteId, release: Release) -> None:
        """Import the release from as far on as may be (→ ZygoteReady, ZygoteFailed)."""
        self._take_keys(release)
        now = files_of(release)
        self._changed = changed = starting.changes(self._files, now) if self._files else []
        self._files, self._hot = now, starting.heat(self._hot, changed)
        start = starting.choose([kept for _, kept in self._checkpoints.values()], now, self._hot, changed)
        why = ""
        for number, name in start.stale.items():
            place = _place(self._checkpoints[number][1].before)
            why = f"{name} has changed, which the checkpoint {place} had seen"
            self._drop(number)
        self._begin(Running(zygote_id, release, start.stops, why=why), start.origin)

    def _begin(self, running: Running, number: int | None) -> None:
        """Fork from a checkpoint, or from what there is without one."""
        running.relied = {}
        if number is not None:
            running.origin, kept = self._checkpoints[number]
            running.release.why = f"from a checkpoint {_place(kept.before)}"
        elif self._third_party is not None:
            running.origin = self._third_party
            running.release.why = _joined("from the third-party zygote", running.why)
        else:
            running.origin = None
            running.release.why = _joined("from the base", running.why or self._why)
        self._imports = {number: each for number, each in self._imports.items() if number in self._fleet.zygotes}
        self._imports[running.zygote] = running
        self._fleet.start_zygote(running.zygote, running.release, running.origin, self._word(running))

    def _word(self, running: Running) -> words.Fork:
        return words.Fork(role="zygote", id=running.zygote, stops=running.stops, late=self._hot)

    def refused(self, zygote: Zygote, origin: Base, why: str) -> bool:
        """A process that is kept could not be forked from. Whether something else is tried instead."""
        running = self._imports.get(zygote.id)
        if running is None or running.origin is not origin:
            return False
        if origin is self._third_party:
            self._drop_third_party(why)
            running.why = f"the third-party zygote could not be used: {why}"
        else:
            self._drop(self._number_of(origin))
            running.why = f"the checkpoint could not be used: {why}"
        start = starting.choose([kept for _, kept in self._checkpoints.values()], self._files, self._hot, self._hot)
        running.stops = start.stops
        self._begin(running, start.origin)
        return True

    def relied(self, zygote: Zygote, word: words.Relied) -> None:
        """What its import has seen."""
        if running := self._imports.get(zygote.id):
            running.relied.update(word.files)

    def imported(self, zygote: Zygote, word: words.Imported) -> words.Imported:
        """The import is over; the word for all its parts."""
        running = self._imports.pop(zygote.id, None)
        if running is None:
            return word
        running.release.third_party_s = running.third_party_s + word.third_party_s
        running.release.why = "; ".join(filter(None, (running.release.why, word.passed)))
        return msgspec.structs.replace(word, seconds=running.seconds + word.seconds)

    def stopped(self, zygote: Zygote, word: words.Stopped, checkpoint: Base) -> None:
        """A zygote stands before a file: it is a checkpoint now, and another process goes on."""
        running = self._imports.get(zygote.id)
        if running is None:
            checkpoint.link.close()
            return
        # Files that the fingerprint does not know are looked at by the checkpoint itself.
        known = {name: digest for name, digest in running.relied.items() if name in self._files}
        self._last += 1
        number = self._last
        self._checkpoints[number] = checkpoint, starting.Kept(number, word.at, known)
        for each in starting.surplus([kept for _, kept in self._checkpoints.values()]):
            self._drop(each)
        running.stops = tuple(name for name in running.stops if name != word.at)
        running.relied, running.origin = {}, checkpoint
        running.seconds += word.seconds
        running.third_party_s += word.third_party_s
        self._fleet.start_zygote(zygote.id, running.release, checkpoint, self._word(running))

    def may_serve_itself(self, zygote: Zygote, release: Release) -> bool:
        """Where there is one worker, and another zygote soon made: a fork less for each save. Not if it has yet to tell what it
        imported of others."""
        return release.settings.is_dev and release.settings.workers == 1 and release.third_party_s < WORTH_S

    def ended(self, base: Base) -> None:
        """A process that was kept is gone."""
        if base is self._third_party:
            self._third_party, self._modules = None, 0
        number = self._number_of(base)
        if number is not None:
            del self._checkpoints[number]

    # --- after an update ------------------------------------------------------------------------------------------

    def committed(self, release: Release, zygote: ZygoteId | None) -> None:
        """This version serves: see that the next import finds ready what this one had to import, and to compile."""
        kept = [base for base, _ in self._checkpoints.values()]
        for base in [*kept, *([self._third_party] if self._third_party else [])]:
            base.link.send(words.Compile(files=tuple(self._changed[:COMPILE_MAX])))
        self._have_spare(release)
        if zygote is not None and release.third_party_s >= WORTH_S:
            self._tries = 0
            self._ask_imports(release, zygote)

    def _have_spare(self, release: Release) -> None:
        """The next import does not wait for its fork, if it is the one that is to be expected. One spare, no more."""
        likely = starting.likely([kept for _, kept in self._checkpoints.values()], self._files, self._hot)
        for number, (base, _) in self._checkpoints.items():
            if number != likely:
                self._fleet.drop_spare(base)
        if likely is not None:
            self._fleet.start_spare(self._checkpoints[likely][0], release)

    def _ask_imports(self, release: Release, zygote: ZygoteId) -> None:
        try:
            fd = os.memfd_create(f"midair:imports:{release.generation}", os.MFD_CLOEXEC)
        except OSError:
            return

        def told(word: words.ImportsTold | None) -> None:
            if word and word.count != self._modules and word.count:
                self._modules = word.count
                self._preload(release, fd, -1, word.left_out)
                return
            os.close(fd)
            self._why = word.left_out if word else ""

        if not self._fleet.ask_imports(zygote, fd, told):
            os.close(fd)

    def _preload(self, release: Release, fd: int, until: int, left_out: str) -> None:
        self._tries += 1
        third_party, key = self._fleet.start_third_party(release, fd, until), self._keys[0]
        if third_party is None:
            os.close(fd)
            return

        def loaded(word: words.Preloaded) -> None:
            if self._keys[0] != key:
                os.close(fd)  # Of an environment that has changed meanwhile.
                self._fleet.drop_kept(third_party)
            elif word.failed < 0:
                os.close(fd)
                self._is_there(third_party, word.seconds, left_out)
            elif word.failed > 0 and self._tries < TRIES_MAX:
                self._preload(release, fd, word.failed, word.why)
            else:
                os.close(fd)
                self._why = word.why

        third_party.on_loaded = loaded

    def _is_there(self, third_party: Base, seconds: float, left_out: str) -> None:
        if self._third_party is not None:
            self._fleet.drop_kept(self._third_party)
        self._third_party, self._why = third_party, left_out
        self._say("third_party_ready", {"seconds": round(seconds, 3), "left_out": left_out or None})

    # --- what is kept ---------------------------------------------------------------------------------------------

    def _take_keys(self, release: Release) -> None:
        """Another environment, configuration or set of packages: nothing that was imported under the old one will do."""
        packages, launch = keys_of(release)
        if self._keys != (b"", b"") and self._keys[0] != packages:
            self._drop_third_party("packages, interpreter or environment have changed")
        if self._keys != (packages, launch):
            for number in list(self._checkpoints):
                self._drop(number)
        self._keys = packages, launch

    def _drop(self, number: int | None) -> None:
        base, _ = self._checkpoints.pop(number, (None, None)) if number is not None else (None, None)
        if base is not None:
            self._fleet.drop_kept(base)

    def _drop_third_party(self, why: str) -> None:
        if self._third_party is not None:
            self._fleet.drop_kept(self._third_party)
        self._third_party, self._modules, self._why = None, 0, why

    def _number_of(self, base: Base) -> int | None:
        return next((number for number, (each, _) in self._checkpoints.items() if each is base), None)

    def all_kept(self) -> list[Base]:
        checkpoints = [checkpoint for checkpoint, _ in self._checkpoints.values()]
        return checkpoints + ([self._third_party] if self._third_party else [])

    def close(self) -> None:
        for number in list(self._checkpoints):
            self._drop(number)
        self._drop_third_party("")
        self._keys = b"", b""


def files_of(release: Release) -> dict[str, bytes]:
    """Digests of the files that count, by name; none if there are too many to be kept."""
    items = next((part.items for part in release.survey.fingerprint.parts if part.kind == "files"), b"")
    return dict(msgspec.msgpack.decode(items, type=list[tuple[str, bytes]])) if items else {}


def keys_of(release: Release) -> tuple[bytes, bytes]:
    """What a third-party zygote, and what a checkpoint besides, has in common with those that are forked from it."""
    survey, settings = release.survey, release.settings
    variables = {k: v for k, v in survey.environment.variables.items() if k not in PASSING_VARIABLES}
    parts = {part.kind: part.digest for part in survey.fingerprint.parts}
    packages = (
        survey.folder,
        parts.get("packages"),
        parts.get("interpreter"),
        sorted(variables.items()),
        settings.main,
    )
    return msgspec.msgpack.encode(packages), msgspec.msgpack.encode(settings)


def _place(before: str) -> str:
    return f"before {before}" if before else "at the end of the import"


def _joined(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what
