"""Combinations of settings that are allowed, and that somebody will be sorry for."""

from __future__ import annotations

from midair.control.ondisk import TOLD
from midair.doctor.facts import Facts
from midair.doctor.finding import Finding, check

LOOPBACK = ("127.", "localhost", "[::1]", "unix:", "fd://")


def _is_open(address: str) -> bool:
    """Whether other machines may reach it."""
    return bool(address) and not address.startswith(LOOPBACK)


@check("health-off", "configuration")
def health_off(facts: Facts) -> Finding | None:
    """whether a new version has to show that it can serve"""
    settings = facts.settings
    if settings.is_command and not settings.health.probe:
        return None  # It says READY itself.
    if settings.health.path == "off":
        return Finding(
            "warning",
            "health is off: a version that starts counts as one that serves",
            "a database that it cannot reach, or a broken route, shows only when clients meet it",
            'give it a path that answers 200 when it can serve, and write health = "/health" in midair.toml',
        )
    if settings.health.path == "auto" and facts.application.has_health_route is False:
        return Finding(
            "note",
            "the application has no /health that answers 200: start-up counts",
            "a version that starts and cannot serve is noticed by its errors in the bake, not before",
            'add a route that answers 200 when it can serve, and write health = "/health" in midair.toml',
        )
    return None


@check("bake-off", "configuration")
def bake_off(facts: Facts) -> Finding | None:
    """whether a new version is watched after the cut-over"""
    bake = facts.settings.bake
    if bake.for_s == 0:
        return Finding(
            "warning",
            "bake.for is 0: an update is committed at the cut-over",
            "a version that fails under real requests is not taken back by itself",
            'write bake = "10s" in midair.toml, then midair reload',
        )
    if bake.error_rate == 0:
        return Finding(
            "note",
            "bake.error_rate is off: errors of a new version do not take it back",
            "only its death and its health probe do",
            'write error_rate = "50%" under [bake] in midair.toml, then midair reload',
        )
    return None


@check("one-worker", "configuration")
def one_worker(facts: Facts) -> Finding | None:
    """whether somebody serves while a worker that died is replaced"""
    if facts.settings.workers > 1:
        return None
    return Finding(
        "note",
        "there is one worker",
        "if it dies or hangs, connections wait in the queue until the next one has started",
        "write workers = 2 in midair.toml, then midair reload",
    )


@check("workers-and-cpus", "configuration")
def workers_and_cpus(facts: Facts) -> Finding | None:
    """the number of workers beside the CPUs that may be used"""
    cpus, workers = facts.machine.limits.usable_cpus, facts.settings.workers
    if workers <= 4 * cpus:
        return None
    return Finding(
        "warning",
        f"{workers} workers on {cpus} usable {'CPU' if cpus == 1 else 'CPUs'} (quota of the control group included)",
        "they take turns: each answer gets slower, and an update starts as many again",
        'write workers = "auto" in midair.toml, then midair reload',
    )


@check("stop-and-drain", "configuration")
def stop_and_drain(facts: Facts) -> Finding | None:
    """whether what an update lets finish would be cut by a stop"""
    settings = facts.settings
    is_long = settings.drain.timeout_s > 20 * max(settings.stop.timeout_s, 1)
    if not is_long:
        return None
    return Finding(
        "note",
        f"an update lets requests finish for {settings.drain.timeout_s:g} s, a stop for {settings.stop.timeout_s:g} s",
        "long requests and streams outlive updates, and are cut when the service stops or the machine restarts",
        'write timeout = "…" under [stop] in midair.toml (and TimeoutStopSec in the unit), or a shorter one under [drain]',
    )


@check("rollback-not-kept", "configuration")
def rollback_not_kept(facts: Facts) -> Finding | None:
    """whether the version before is still there when somebody wants it back"""
    settings, running = facts.settings, facts.running
    if settings.rollback.keep == "none" or settings.rollback.warm_s == 0:
        return Finding(
            "warning",
            "nothing is kept of the version before",
            "midair rollback has nothing to go back to after the commit",
            'leave keep = "none" and warm = 0 out of [rollback] in midair.toml, then midair reload',
        )
    spawns = "spawn" in running.modes if running else settings.zygote == "never"
    if spawns and not settings.is_command and settings.rollback.keep == "zygote" and facts.releases is None:
        return Finding(
            "warning",
            "the workers are not forked, so the version before can only be started from its files",
            "after git pull these are gone, and midair rollback is refused",
            'write keep = "workers" under [rollback] in midair.toml, or deploy into release folders (midair deploy)',
        )
    return None


@check("proxies-of-everybody", "configuration")
def proxies_of_everybody(facts: Facts) -> Finding | None:
    """who is believed about where a request comes from"""
    open_binds = [address for address in facts.settings.bind if _is_open(address)]
    if "*" not in facts.settings.serve.forwarded_allow_ips or not open_binds:
        return None
    return Finding(
        "warning",
        f'forwarded_allow_ips = "*", and {open_binds[0]} can be reached from other machines',
        "anybody may claim any address: logs, limits and permissions by address mean nothing",
        'write the proxies, such as forwarded_allow_ips = ["10.0.0.0/8"] under [serve], or bind to 127.0.0.1',
    )


@check("metrics-open", "configuration")
def metrics_open(facts: Facts) -> Finding | None:
    """who may read the metrics"""
    address = facts.settings.metrics.address
    if not _is_open(address):
        return None
    return Finding(
        "note",
        f"the metrics are served at {address}, to whoever reaches it",
        "versions, errors and load of the service are told without asking who wants to know",
        'write metrics = "127.0.0.1:9464" in midair.toml if Prometheus runs here; else let a firewall decide',
    )


@check("admin-open", "configuration")
def admin_open(facts: Facts) -> Finding | None:
    """who may look at the admin page"""
    address = facts.settings.admin.address
    if not _is_open(address) or facts.settings.admin.remote == "probes":
        return None
    return Finding(
        "warning",
        f"the admin page is served at {address}, to whoever reaches it",
        "it shows receipts, with the application's own last lines and who asked for what; nothing can be changed there",
        'under [admin] in midair.toml: address = "127.0.0.1:9465", and come through ssh -L or a proxy that asks who it is; or'
        ' remote = "probes", where something else has to ask /readyz',
    )


@check("restart-needed", "configuration")
def restart_needed(facts: Facts) -> Finding | None:
    """settings in the file that no update can bring about"""
    keys = facts.running.restart_keys if facts.running else ()
    if not keys:
        return None
    return Finding(
        "note",
        f"{', '.join(keys)}: the file says something else than what runs",
        "these decide what is bound and where the service is found; an update leaves them as they are",
        "midair stop, then midair run (or systemctl restart); midair config --diff shows them",
    )


@check("versions-of-midair", "configuration")
def versions_of_midair(facts: Facts) -> Finding | None:
    """which midair runs, which one asks, and which one is in the application's environment"""
    running, application = facts.running, facts.application
    if running and running.midair != facts.ours:
        return Finding(
            "note",
            f"the supervisor runs midair {running.midair}, and this is {facts.ours}",
            "what is new since then is not there yet",
            "midair upgrade (the service goes on meanwhile)",
        )
    if application.midair and application.midair != facts.ours:
        return Finding(
            "note",
            f"the application's environment has midair {application.midair}, and the supervisor is {facts.ours}",
            "they understand each other one version apart; further apart an update is refused",
            f"{application.interpreter} -m pip install midair=={facts.ours}",
        )
    return None


@check("disk-and-service", "configuration")
def disk_and_service(facts: Facts) -> Finding | None:
    """whether a restart would start what serves"""
    running = facts.running
    if running is None or not running.on_disk or running.on_disk == running.version or not running.version:
        return None
    back = "put the files of the version that serves back"
    return Finding(
        "note",
        f"{running.version} serves, and on disk is {running.on_disk}",
        "a restart would start the other one, unwatched",
        f"{back}: {TOLD[running.disk_trouble]}"
        if running.disk_trouble
        else f"midair reload to update to it, or {back}",
    )
