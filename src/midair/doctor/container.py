"""The container that the service runs in."""

from __future__ import annotations

import os

from midair.doctor.facts import Facts
from midair.doctor.finding import Finding, check
from midair.systemd.timeouts import stop_timeout

SHELLS = ("sh", "bash", "dash", "ash", "busybox")
DOCKER_GIVES_S = 10
KUBERNETES_GIVES_S = 30


@check("first-process", "container")
def first_process(facts: Facts) -> Finding | None:
    """who is process 1, and hears SIGTERM"""
    words = facts.machine.first_process.split()
    name = os.path.basename(words[0]) if words else ""
    if not facts.machine.is_container or name not in SHELLS:
        return None
    return Finding(
        "problem",
        f"process 1 of the container is a shell: {facts.machine.first_process[:80]}",
        "it keeps SIGTERM to itself: the service is killed when the grace is over, in the middle of its requests",
        'write CMD as a list: CMD ["midair", "run", "app:app"]; in a script: exec midair run …',
    )


@check("stop-grace", "container")
def stop_grace(facts: Facts) -> Finding | None:
    """how long the container has for a stop"""
    machine, need_s = facts.machine, stop_timeout(facts.settings).total_s
    who, given_s = ("Kubernetes", KUBERNETES_GIVES_S) if machine.is_kubernetes else ("Docker", DOCKER_GIVES_S)
    if not machine.is_container or need_s <= given_s:
        return None
    return Finding(
        "note",
        f"a stop may take {need_s} s, and {who} gives {given_s} s if not told otherwise",
        "requests that were to finish are killed in the middle",
        f"terminationGracePeriodSeconds: {need_s} in the pod, as midair container --kubernetes writes it"
        if machine.is_kubernetes
        else f"stop_grace_period: {need_s}s, as midair container --compose writes it, or docker stop -t {need_s}",
    )


@check("stop-delay", "container")
def stop_delay(facts: Facts) -> Finding | None:
    """whether a pod that stops accepts until it is out of the load balancer"""
    if not facts.machine.is_kubernetes or facts.settings.stop.delay_s > 0:
        return None
    return Finding(
        "warning",
        "stop.delay is 0 in Kubernetes",
        "a pod gets SIGTERM while it is still in the endpoints: connections that come then are refused",
        'write delay = "5s" under [stop] in midair.toml',
    )
