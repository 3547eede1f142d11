"""What a deployment does, decided from facts: the steps in their order, or why not. Pure.

    settle    put right what a deployment that was killed left behind
    sweep     remove what is no whole release
    fetch     copy or unpack into releases/ID, where it stays
    share     link what outlives releases
    environment, prepare    what [deploy] asks for
    check     as midair check, in the new folder
    switch    current names the new release
    update    as midair reload; refused or rolled back: current goes back
    tidy      remove the oldest releases that nothing uses

Until ``switch`` nothing that serves has been touched, and whatever goes wrong takes the new folder with it. A deployment that
was killed before that left a folder with a mark, which is swept; one that was killed after it left a journal, which is settled.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from midair.config.schema import Deploy
from midair.deploy.errors import Elsewhere, NoRoom, UnknownRelease, Updating
from midair.deploy.facts import Facts
from midair.errors import MidairError
from midair.release.folders import Manifest

ROOM = 1.1
"""Of what the files need: folders and block ends."""
ROOM_LEFT_BYTES = 16 << 20
"""What a deployment leaves to everybody else, the service's own receipts among them."""

StepName = Literal[
    "settle",
    "sweep",
    "fetch",
    "share",
    "environment",
    "prepare",
    "check",
    "switch",
    "update",
    "tidy",
]


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``names``: the releases or paths that it is about."""

    name: StepName
    shown: str
    """For people: what it does."""
    names: tuple[str, ...] = ()


def objection(facts: Facts, *, has_room: bool = False) -> MidairError | None:
    """Why nothing may be deployed now; None: nothing stands in the way. has_room: nothing is written that needs any."""
    serving = facts.serving
    if serving and serving.folder.rstrip("/") != facts.layout.current:
        return Elsewhere(
            f"the service runs in {serving.folder}, not in {facts.layout.current}: it would not see a new release",
            hint=f"stop it, and start it there: midair run -C {facts.layout.current}",
        )
    if serving and serving.is_updating:
        return Updating("the service is in the middle of an update")
    need_bytes = int(facts.need_bytes * ROOM) + ROOM_LEFT_BYTES
    if not has_room and facts.free_bytes < need_bytes:
        mib = 1 << 20
        return NoRoom(f"the release needs about {need_bytes // mib} MiB, and {facts.free_bytes // mib} MiB are free")
    return None


def new_id(facts: Facts, typed: str = "") -> str:
    """The name of the new release: what was typed, else the time in UTC, so that names sort as they were made."""
    taken = {each.id for each in facts.releases} | set(facts.leftovers)
    if typed:
        return typed
    stem = time.strftime("%Y%m%d-%H%M%S", time.gmtime(facts.now_s))
    number, name = 1, stem
    while name in taken:
        number, name = number + 1, f"{stem}-{number + 1}"
    return name


def id_problem(facts: Facts, name: str) -> str:
    """Why a release cannot be called so; empty: it can."""
    if name.startswith((".", "-")) or "/" in name or not name.isprintable() or not name or len(name) > 100:
        return "it is a folder's name: no slash, and it begins with neither a dot nor a dash"
    return "there is a release of that name" if facts.manifest(name) else ""


# --- what a deployment that was killed left behind -----------------------------------------------------------------


def right_current(facts: Facts) -> str:
    """What ``current`` should name: what serves. While nothing runs, what it named before a deployment that was not finished."""
    serving = facts.serving
    if serving and serving.folder.rstrip("/") == facts.layout.current and facts.manifest(serving.release):
        return serving.release
    if facts.journal and not serving:
        return facts.journal.source if facts.manifest(facts.journal.source) else facts.current
    return facts.current


def settling(facts: Facts) -> list[Step]:
    """The step that makes disk and service agree, if they do not."""
    name = right_current(facts)
    if name == facts.current and facts.journal is None:
        return []
    what = f"current names {name} again, which serves" if name != facts.current else "an unfinished deployment is over"
    return [Step("settle", what, (name,))]


# --- deploying -----------------------------------------------------------------------------------------------------


def first_steps(facts: Facts, name: str, source: str) -> list[Step]:
    """Up to the new folder: what is in it says how it goes on."""
    steps = settling(facts)
    if facts.leftovers:
        steps.append(Step("sweep", f"remove what is no whole release: {', '.join(facts.leftovers)}", facts.leftovers))
    steps.append(Step("fetch", f"{source} to {facts.layout.release(name)}", (name,)))
    return steps


def further_steps(facts: Facts, name: str, deploy: Deploy) -> list[Step]:
    """From the new folder on."""
    steps = []
    if deploy.shared:
        steps.append(Step("share", f"link {', '.join(deploy.shared)} to {facts.layout.shared}", deploy.shared))
    if deploy.venv != "none":
        steps.append(Step("environment", f"make its own virtual environment with {deploy.venv}", (name,)))
    steps += [Step("prepare", line, (line,)) for line in deploy.prepare]
    steps.append(Step("check", "as midair check, in the new folder", (name,)))
    steps += _changing(facts, name)
    old = removable(facts, deploy.keep, new=name)
    if old:
        steps.append(Step("tidy", f"remove {', '.join(old)}; the newest {deploy.keep} stay, and what is in use", old))
    return steps


def steps_back(facts: Facts, name: str) -> list[Step]:
    """To a release that is there. Raises UnknownRelease."""
    if facts.manifest(name) is None:
        raise UnknownRelease(f"there is no whole release {name!r} in {facts.layout.releases}")
    return [*settling(facts), Step("check", f"as midair check, in {name}", (name,)), *_changing(facts, name)]


def release_before(facts: Facts) -> str:
    """The release that was current before the one that is. Raises UnknownRelease."""
    manifest = facts.manifest(facts.current)
    name = manifest.replaced if manifest else ""
    if facts.manifest(name) is None:
        raise UnknownRelease(
            "there is no release to go back to", hint="midair deploy --list shows those that are there"
        )
    return name


def _changing(facts: Facts, name: str) -> list[Step]:
    steps = [Step("switch", f"current names {name}" + (f", not {facts.current}" if facts.current else ""), (name,))]
    if facts.serving:
        steps.append(Step("update", "as midair reload; if it does not serve in the end, current goes back", (name,)))
    return steps


# --- what goes -----------------------------------------------------------------------------------------------------


def removable(facts: Facts, keep: int, *, new: str = "") -> tuple[str, ...]:
    """Releases that may go, oldest first: beyond the newest ``keep`` that served, and those that failed, except the latest one
    (somebody wants to look into it).

    Never one that serves, drains or is kept for a rollback, nor what ``current`` names or would go back to. new: a release
    that is about to be current, and counts as one of the ``keep``.
    """
    stays = {facts.current, new} | (set(facts.serving.in_use) if facts.serving else set())
    manifest = facts.manifest(facts.current)
    if manifest and not new:  # Else it is what is current now.
        stays.add(manifest.replaced)
    ours = [each for each in facts.releases if each.state != "foreign"]
    failed = [each for each in ours if each.state != "deployed"]
    good = [each for each in ours if each.state == "deployed" and each.id != new]
    kept = good[max(0, len(good) - (keep - bool(new))) :]
    stays |= {each.id for each in (*kept, *failed[-1:])}
    return tuple(each.id for each in ours if each.id not in stays)


# --- how it is shown -----------------------------------------------------------------------------------------------


def state_of(facts: Facts, manifest: Manifest) -> str:
    """A word for people about one release."""
    serving = facts.serving
    if serving and manifest.id == serving.release:
        return "serves" if manifest.id == facts.current else "serves, and current names another"
    if manifest.id == facts.current:
        return "current" if not serving else "current, and does not serve"
    if serving and manifest.id in serving.in_use:
        return "in use"
    return manifest.state
