"""Release folders."""

from __future__ import annotations

from midair.doctor.facts import Facts
from midair.doctor.finding import Finding, check


@check("current", "releases")
def current(facts: Facts) -> Finding | None:
    """whether `current` names what serves"""
    releases = facts.releases
    if releases is None:
        return None
    if releases.serves and releases.serves != releases.current:
        return Finding(
            "problem",
            f"release {releases.serves} serves, and current names {releases.current or 'none'}",
            "a restart would start the other one, which was not watched or was taken back",
            f"ln -sfnT releases/{releases.serves} {releases.root}/current (the next midair deploy does so, too)",
        )
    if releases.is_unfinished:
        return Finding(
            "warning",
            f"a deployment in {releases.root} was killed and has not been put right yet",
            "while nothing runs, current may name a release that never served",
            "midair deploy it again; what is left is put right first",
        )
    return None


@check("started-in-current", "releases")
def started_in_current(facts: Facts) -> Finding | None:
    """whether the service sees the release that `current` names"""
    releases, running = facts.releases, facts.running
    if releases is None or running is None or not running.folder.startswith(f"{releases.root}/releases/"):
        return None
    return Finding(
        "problem",
        f"the service was started in {running.folder}, and not in {releases.root}/current",
        "it stays with that release: an update sees no other (WorkingDirectory= follows the link once, when the unit starts)",
        f"start it with midair run -C {releases.root}/current; midair systemd -C {releases.root}/current writes its unit",
    )


@check("supervisor-in-release", "releases")
def supervisor_in_release(facts: Facts) -> Finding | None:
    """whether the supervisor outlives the releases"""
    releases, running = facts.releases, facts.running
    if releases is None or running is None or not running.supervisor.startswith(f"{releases.root}/"):
        return None
    return Finding(
        "warning",
        f"the supervisor runs in {running.supervisor}, which goes with its release",
        "when that release is removed, midair upgrade and a restart of the unit find nothing to execute",
        "install midair outside of the releases (pipx install midair), and start the service with that one",
    )


@check("late-imports", "releases")
def late_imports(facts: Facts) -> Finding | None:
    """whether an old version still finds its own files"""
    if facts.releases is not None or facts.settings.is_dev or facts.machine.is_container or facts.running is None:
        return None
    return Finding(
        "note",
        f"new versions are written over the old one in {facts.running.folder}",
        "what the old version imports or reads later, while it drains or after a rollback, is the new one's",
        "midair deploy puts each version into a folder of its own",
    )
