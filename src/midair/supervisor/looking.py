"""A look at the disk: what a new version would be, and whether the files are still those of before.

A question and its answer are values, so that it does not matter who looks: a child that is forked for one question
(``offload.py``), or, in ``midair dev``, one that stays (``scout.py``). What looking takes is imported there, and not by the
supervisor.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import msgspec

from midair.config.load import RunSources
from midair.config.schema import Settings
from midair.config.values import Change
from midair.errors import ConfigError
from midair.release.survey import Survey
from midair.release.values import Digests, Interpreter
from midair.sockets.configured import check_addresses
from midair.supervisor.memory import Lack, lack_of_room


class NewVersion(msgspec.Struct, tag=True, kw_only=True):
    """What would a new generation be? (→ Prepared)"""

    settings: Settings
    sources: RunSources
    generation: int
    earlier: Interpreter | None
    """Of the last survey."""
    rereads: bool
    """Its configuration, too."""
    home: str = ""
    """The release folder to look at; empty: the service's folder, wherever its links lead now."""
    workers: list[int] = []
    """PIDs of those that serve, and of their zygotes: there must be room beside them."""
    zygotes: list[int] = []


class SameFiles(msgspec.Struct, tag=True, kw_only=True):
    """What is the fingerprint of the files now? (→ Seen)"""

    settings: Settings
    generation: int
    earlier: Interpreter | None
    home: str = ""
    """As of ``NewVersion``: where the version was found."""


class Prepared(msgspec.Struct):
    """What a look at the disk gave."""

    settings: Settings
    survey: Survey
    warnings: tuple[str, ...] = ()
    lack: Lack | None = None
    """There is no room for all its workers beside those that serve."""


class Seen(msgspec.Struct):
    """What a second look at the files gave."""

    fingerprint: str


Question = NewVersion | SameFiles


def answer(question: Question, ambient: Mapping[str, str], known: Digests | None = None) -> Prepared | Seen:
    """Look. Blocks. ambient: the environment that midair was started with. known: digests of before, extended in place.

    Raises MidairError, as ``survey`` and the loading of a configuration do.
    """
    from midair.release.survey import survey

    if isinstance(question, NewVersion):
        return _new_version(question, ambient, known)
    seen = survey(
        _at(question.home, question.settings), question.generation, ambient, earlier=question.earlier, known=known
    )
    return Seen(seen.fingerprint.value)


def prepare_to_look() -> None:
    """Import what looking takes, which the first look would do otherwise: 20 ms."""
    for name in (
        "config.changes",
        "release.bytecode",
        "release.environment",
        "release.fingerprint",
        "release.interpreter",
    ):
        importlib.import_module(f"midair.{name}")
    importlib.import_module("midair.release.version")


def _new_version(question: NewVersion, ambient: Mapping[str, str], known: Digests | None) -> Prepared:
    from midair.release.survey import survey

    now, warnings = question.settings, tuple[str, ...]()
    if question.rereads:
        from midair.config.changes import diff, taken_in

        loaded = question.sources.load()
        check_addresses(loaded)
        _check_kind(question.settings, loaded.settings)
        now = taken_in(question.settings, loaded.settings)
        warnings = (*loaded.warnings, *map(only_after, diff(now, loaded.settings)))
    if now.tls.certfile:
        from midair.worker.certificates import load

        load(now.tls.within(now.folder))
    found = survey(_at(question.home, now), question.generation, ambient, earlier=question.earlier, known=known)
    lack = lack_of_room(question.workers, question.zygotes, now.workers) if now.surge == "auto" else None
    return Prepared(now, found, warnings, lack)


def _at(home: str, settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, folder=home) if home else settings


def only_after(change: Change) -> str:
    """What is said of a setting that an update cannot take in."""
    return f"{change.key} = {change.file} counts only after a {change.effect}"


def _check_kind(running: Settings, file: Settings) -> None:
    # Their listeners differ (blocking or not, one or one a slot), and both would accept on them at the cut-over.
    if running.is_command != file.is_command:
        kinds = {True: "a command", False: "an application"}
        raise ConfigError(
            f"the service runs {kinds[running.is_command]}; an update cannot make it {kinds[file.is_command]}",
            hint="stop it with midair stop and start it again with midair run",
        )
