"""The systemd unit that the service runs under."""

from __future__ import annotations

import re

from midair.doctor.facts import Facts
from midair.doctor.finding import Finding, Level, check
from midair.systemd.timeouts import STOP_SPARE_S, start_timeout, stop_timeout

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_KILL_MODES = {
    "mixed": "if the supervisor is killed, systemd kills its workers in that moment, and the requests that they would still answer",
    "control-group": "SIGTERM goes to every worker at once, while the supervisor wants to end them in order",
    "none": "a stop is told to nobody: all that runs stays, and keeps its memory and its connections",
}
_AND_THEN = "systemctl daemon-reload, then systemctl restart"


def seconds(text: str) -> float | None:
    """What ``systemctl show`` writes for a length of time: ``1min 30s``, ``infinity``. None: it says nothing."""
    if text == "infinity":
        return float("inf")
    parts = re.findall(r"([\d.]+)(us|ms|min|s|h|d|w)\b", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else None


def _fix(facts: Facts, line: str) -> str:
    return f"{line} under [Service] of {facts.unit} (systemctl edit {facts.unit}); {_AND_THEN} {facts.unit}"


@check("unit-type", "systemd")
def unit_type(facts: Facts) -> Finding | None:
    """when systemd takes the unit for started"""
    kind = facts.properties.get("Type", "")
    if not kind or kind.startswith("notify"):
        return None
    return Finding(
        "problem",
        f"{facts.unit} has Type={kind}",
        "systemd does not hear when the service serves, nor how an update ends; a start that fails looks like one that works",
        _fix(facts, "Type=notify"),
    )


@check("unit-kill-mode", "systemd")
def unit_kill_mode(facts: Facts) -> Finding | None:
    """whom systemd tells to stop"""
    mode = facts.properties.get("KillMode", "")
    if not mode or mode == "process":
        return None
    level: Level = "note" if mode == "mixed" else "warning"
    return Finding(level, f"{facts.unit} has KillMode={mode}", _KILL_MODES[mode], _fix(facts, "KillMode=process"))


@check("unit-oom-policy", "systemd")
def unit_oom_policy(facts: Facts) -> Finding | None:
    """what systemd does when the kernel kills a worker for its memory"""
    policy = facts.properties.get("OOMPolicy", "")
    if not policy or policy == "continue":
        return None
    return Finding(
        "warning",
        f"{facts.unit} has OOMPolicy={policy}",
        "one worker that is killed for its memory ends the whole service, instead of being replaced",
        _fix(facts, "OOMPolicy=continue"),
    )


@check("unit-start-timeout", "systemd")
def unit_start_timeout(facts: Facts) -> Finding | None:
    """how long systemd waits for a start and a reload"""
    allowed_s, need = seconds(facts.properties.get("TimeoutStartUSec", "")), start_timeout(facts.settings)
    if allowed_s is None or allowed_s >= need.total_s:
        return None
    return Finding(
        "warning",
        f"{facts.unit} has TimeoutStartSec={allowed_s:g}, and an update may take {need}",
        "systemctl reload fails although the update goes on and commits",
        _fix(facts, f"TimeoutStartSec={need.total_s}s"),
    )


@check("unit-stop-timeout", "systemd")
def unit_stop_timeout(facts: Facts) -> Finding | None:
    """how long systemd waits for a stop"""
    allowed_s, need = seconds(facts.properties.get("TimeoutStopUSec", "")), stop_timeout(facts.settings)
    if allowed_s is None or allowed_s >= need.total_s - STOP_SPARE_S:
        return None
    return Finding(
        "problem",
        f"{facts.unit} has TimeoutStopSec={allowed_s:g}, and a stop may take {need}",
        "requests that were to finish are killed in the middle",
        _fix(facts, f"TimeoutStopSec={need.total_s}s"),
    )


@check("unit-reload", "systemd")
def unit_reload(facts: Facts) -> Finding | None:
    """what systemctl reload does"""
    if "ExecReload" not in facts.properties or "reload" in facts.properties["ExecReload"]:
        return None
    return Finding(
        "note",
        f"{facts.unit} has no ExecReload= with midair reload",
        "systemctl reload does not update the service, or does not say how it went",
        _fix(facts, "ExecReload=…/midair reload"),
    )


@check("unit-restart", "systemd")
def unit_restart(facts: Facts) -> Finding | None:
    """who starts it again if the supervisor dies"""
    if facts.properties.get("Restart", "") != "no":
        return None
    return Finding(
        "warning",
        f"{facts.unit} has Restart=no",
        "if the supervisor dies, nobody starts it again",
        _fix(facts, "Restart=on-failure"),
    )


@check("unit-store", "systemd")
def unit_store(facts: Facts) -> Finding | None:
    """whether listeners outlive a supervisor that is killed"""
    store = facts.properties.get("FileDescriptorStoreMax", "")
    need = len(facts.settings.bind) + 1  # The listeners, and the state.
    if not store.isdigit() or int(store) >= need:
        return None
    return Finding(
        "note",
        f"{facts.unit} keeps {store} descriptors for the service, and {need} are needed",
        "if the supervisor is killed, connections that wait in the queue are lost with it",
        _fix(facts, f"FileDescriptorStoreMax={max(16, need)}"),
    )


@check("unit-missing", "systemd")
def unit_missing(facts: Facts) -> Finding | None:
    """whether somebody starts it when the machine does"""
    machine = facts.machine
    if facts.running is None or facts.unit or not machine.has_systemd or machine.is_container or facts.settings.is_dev:
        return None
    return Finding(
        "note",
        "the service runs under no unit of systemd",
        "nobody starts it when the machine starts, or when the supervisor dies",
        "midair systemd writes its unit",
    )
