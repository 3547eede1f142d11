"""The application and its environment."""

from __future__ import annotations

from midair.doctor.facts import Facts
from midair.doctor.finding import Finding, check

DAY_S = 86400


@check("application", "application")
def application(facts: Facts) -> Finding | None:
    """whether it can be imported, in an interpreter that has midair"""
    found = facts.application
    if not found.fault:
        return None
    return Finding(
        "problem",
        found.fault,
        "the next update is refused, and a restart serves nothing",
        found.fault_hint or "mend it; midair check says whether it is",
    )


@check("forking", "application")
def forking(facts: Facts) -> Finding | None:
    """whether workers can be forked from a process that has imported it"""
    reasons = facts.application.unsafe_to_fork
    if not reasons or facts.settings.zygote == "never":
        return None
    return Finding(
        "problem" if facts.settings.zygote == "always" else "note",
        f"its import leaves something that a fork would break: {'; '.join(reasons)}",
        "each worker imports by itself: slower starts, no shared memory, and a rollback needs the files of the version before",
        "open it in the application's start-up instead of at import, or use midair.before_fork and midair.after_fork",
    )


@check("stray-bytecode", "application")
def stray_bytecode(facts: Facts) -> Finding | None:
    """compiled modules whose source is gone"""
    files = facts.application.stray_bytecode
    if not files:
        return None
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return Finding(
        "warning",
        f"{files[0]}{more} is imported, although its source is gone",
        "code that was removed goes on running, and nobody sees it in the source",
        f"rm {' '.join(files[:5])}",
    )


@check("secrets", "application")
def secrets(facts: Facts) -> Finding | None:
    """who may read the files of the environment"""
    files = facts.application.open_secrets
    if not files or facts.machine.is_container:
        return None
    return Finding(
        "warning",
        f"everybody on this machine may read {', '.join(files)}",
        "passwords stand in there",
        f"chmod o-r {' '.join(files)}",
    )


@check("certificate", "application")
def certificate(facts: Facts) -> Finding | None:
    """how long the certificate holds"""
    left_s = facts.application.certificate_left_s
    if left_s is None or left_s > 14 * DAY_S:
        return None
    when = "has ended" if left_s <= 0 else f"ends in {left_s / DAY_S:.0f} days"
    return Finding(
        "problem" if left_s <= 0 else "warning",
        f"the certificate {when}",
        "clients turn away when it has ended",
        "renew it, then midair reload",
    )
