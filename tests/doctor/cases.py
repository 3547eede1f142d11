"""For each check one state of things that it finds something about: what tests judge, and what the documentation shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from midair.config.schema import Settings, Traces
from midair.doctor.facts import Application, Facts, Kernel, Limits, Machine, Place, Releases, Running, Telemetry

SETTINGS = Settings(name="shop", folder="/srv/shop/current", app="shop.web:app", workers=4)
RUNNING = Running(
    pid=812,
    midair="0.1.0",
    folder="/srv/shop/current",
    version="1.8",
    on_disk="1.8",
    supervisor="/opt/midair/bin/python",
    modes=("fork",),
)
PROPERTIES = {
    "Type": "notify",
    "KillMode": "process",
    "OOMPolicy": "continue",
    "TimeoutStartUSec": "1min 40s",
    "TimeoutStopUSec": "40s",
    "ExecReload": "{ path=/opt/midair/bin/midair ; argv[]=/opt/midair/bin/midair reload }",
    "Restart": "on-failure",
    "FileDescriptorStoreMax": "16",
}
WELL = Facts(
    settings=SETTINGS,
    ours="0.1.0",
    application=Application("/srv/shop/current/.venv/bin/python", "0.1.0", has_health_route=True),
    running=RUNNING,
    unit="shop.service",
    properties=PROPERTIES,
    releases=Releases("/srv/shop", current="b", serves="b"),
)
"""A service about which there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Case:
    """The check that finds something in these facts, and how much that matters."""

    code: str
    level: str
    facts: Facts
    says: str
    """In what it finds."""


def case(code: str, level: str, says: str, **changes: Any) -> Case:
    return Case(code, level, replace(WELL, **changes), says)


def settings(**changes: Any) -> Settings:
    """The settings with some tables changed: ``bake={"for_s": 0}``."""
    whole = {
        name: msgspec.structs.replace(getattr(SETTINGS, name), **value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return msgspec.structs.replace(SETTINGS, **whole)


def machine(**changes: Any) -> Machine:
    return replace(Machine(), **changes)


def unit(**changes: str) -> dict[str, str]:
    return PROPERTIES | changes


def application(**changes: Any) -> Application:
    return replace(WELL.application, **changes)


def running(**changes: Any) -> Running:
    return replace(RUNNING, **changes)


CASES = (
    case("health-off", "warning", "health is off", settings=settings(health={"path": "off"})),
    case("health-off", "note", "no /health", application=application(has_health_route=False)),
    case("bake-off", "warning", "bake.for is 0", settings=settings(bake={"for_s": 0.0})),
    case("bake-off", "note", "error_rate is off", settings=settings(bake={"error_rate": 0.0})),
    case("one-worker", "note", "one worker", settings=settings(workers=1)),
    case("workers-and-cpus", "warning", "40 workers on 4 usable CPUs", settings=settings(workers=40)),
    case("stop-and-drain", "note", "for 3600 s, a stop for 25 s", settings=settings(drain={"timeout_s": 3600.0})),
    case("rollback-not-kept", "warning", "nothing is kept", settings=settings(rollback={"keep": "none"})),
    case("rollback-not-kept", "warning", "not forked", running=running(modes=("spawn",)), releases=None),
    case(
        "proxies-of-everybody",
        "warning",
        "0.0.0.0:80",
        settings=settings(bind=("0.0.0.0:80",), serve={"forwarded_allow_ips": ("*",)}),
    ),
    case("metrics-open", "note", ":9464", settings=settings(metrics={"address": ":9464"})),
    case("admin-open", "warning", "0.0.0.0:9465", settings=settings(admin={"address": "0.0.0.0:9465"})),
    case("restart-needed", "note", "bind", running=running(restart_keys=("bind",))),
    case("versions-of-midair", "note", "the supervisor runs midair 0.0.9", running=running(midair="0.0.9")),
    case("versions-of-midair", "note", "environment has midair 0.0.9", application=application(midair="0.0.9")),
    case("disk-and-service", "note", "1.8 serves, and on disk is 1.9", running=running(on_disk="1.9")),
    case(
        "application",
        "problem",
        "no module named 'shop'",
        application=application(fault="no module named 'shop'", fault_hint="check the name"),
    ),
    case("forking", "note", "a thread", application=application(unsafe_to_fork=("a thread (watchdog)",))),
    case(
        "forking",
        "problem",
        "a thread",
        application=application(unsafe_to_fork=("a thread (watchdog)",)),
        settings=settings(zygote="always"),
    ),
    case(
        "stray-bytecode", "warning", "/srv/shop/old.pyc", application=application(stray_bytecode=("/srv/shop/old.pyc",))
    ),
    case("secrets", "warning", ".env", application=application(open_secrets=("/srv/shop/.env",))),
    case("certificate", "warning", "ends in 3 days", application=application(certificate_left_s=3 * 86400.0)),
    case("certificate", "problem", "has ended", application=application(certificate_left_s=-5.0)),
    case(
        "traces-installed",
        "problem",
        "traces.endpoint is set",
        settings=settings(traces=Traces(endpoint="http://127.0.0.1:4318")),
        telemetry=Telemetry(has_extra=False, install="/usr/bin/python3 -m pip install 'midair[traces]'"),
    ),
    case(
        "traces-installed",
        "note",
        "OTEL_EXPORTER_OTLP_ENDPOINT is set",
        telemetry=Telemetry(has_extra=False, install="/usr/bin/python3 -m pip install 'midair[traces]'"),
    ),
    case(
        "traces-taken",
        "warning",
        "takes no spans: Connection refused",
        settings=settings(traces=Traces(endpoint="http://127.0.0.1:4318")),
        telemetry=Telemetry(url="http://127.0.0.1:4318/v1/traces", why_not="Connection refused"),
    ),
    case(
        "runtime-folder",
        "problem",
        "/run/midair/shop",
        machine=machine(runtime=Place("/run/midair/shop", is_writable=False)),
    ),
    case("state-folder", "warning", "/state", machine=machine(state=Place("/state", is_writable=False))),
    case("disk-space", "warning", "30 MiB", machine=machine(state=Place("/state", free_bytes=30 << 20))),
    case("disk-space", "warning", "12 inodes", machine=machine(state=Place("/state", free_inodes=12))),
    case("low-port", "problem", "port below 1024", settings=settings(bind=("0.0.0.0:80",)), running=None),
    case(
        "port-taken",
        "problem",
        "0.0.0.0:8000 is in use by nginx (pid 812)",
        application=application(
            taken=(("0.0.0.0:8000 is in use by nginx (pid 812)", "stop it (kill 812), or choose another --bind"),)
        ),
        running=None,
    ),
    case("socket-folder", "problem", "/run/web", application=application(missing_folders=("/run/web",))),
    case("socket-mode", "note", '"0666"', settings=settings(bind=("unix:/run/web.sock",), socket_mode=0o666)),
    case("control-groups", "problem", "no group deploy", application=application(unknown_groups=("deploy",))),
    case("root", "note", "runs as root", machine=machine(uid=0)),
    case("open-files", "warning", "may open 1024 files", machine=machine(limits=Limits(open_files=1024))),
    case(
        "open-files",
        "problem",
        "limit_concurrency = 5000",
        machine=machine(limits=Limits(open_files=4096)),
        settings=settings(serve={"limit_concurrency": 5000}),
    ),
    case("processes", "problem", "3 more processes", machine=machine(limits=Limits(pids_left=3))),
    case(
        "memory", "note", "4 new workers need", machine=machine(limits=Limits(lack="4 new workers need about 900 MiB"))
    ),
    case(
        "memory",
        "warning",
        "4 new workers need",
        machine=machine(limits=Limits(lack="4 new workers need about 900 MiB", lack_fits_by_slot=False)),
    ),
    case("queue", "warning", "cuts it to 128", machine=machine(limits=Limits(somaxconn=128))),
    case("group-kill", "warning", "memory.oom.group", machine=machine(limits=Limits(kills_group=True))),
    case("kernel", "problem", "pidfd_open", machine=machine(kernel=Kernel(release=(4, 19), has_pidfd=False))),
    case(
        "lending",
        "problem",
        "Linux 5.9",
        settings=settings(listener="lent", app="", command=("./server",)),
        machine=machine(kernel=Kernel(release=(5, 4), can_lend=False)),
    ),
    case(
        "lending",
        "warning",
        "refuses pidfd_getfd",
        settings=settings(listener="lent", app="", command=("./server",)),
        machine=machine(kernel=Kernel(may_copy_descriptors=False)),
    ),
    case(
        "watching",
        "note",
        "8000 watches",
        settings=settings(is_dev=True),
        machine=machine(kernel=Kernel(inotify_watches=8000, inotify_instances=128)),
    ),
    case("clock", "note", "not synchronized", machine=machine(kernel=Kernel(is_clock_synchronized=False))),
    case("unit-type", "problem", "Type=simple", properties=unit(Type="simple")),
    case("unit-kill-mode", "warning", "KillMode=control-group", properties=unit(KillMode="control-group")),
    case("unit-kill-mode", "warning", "KillMode=none", properties=unit(KillMode="none")),
    case("unit-kill-mode", "note", "KillMode=mixed", properties=unit(KillMode="mixed")),
    case("unit-oom-policy", "warning", "OOMPolicy=stop", properties=unit(OOMPolicy="stop")),
    case("unit-start-timeout", "warning", "TimeoutStartSec=90", properties=unit(TimeoutStartUSec="1min 30s")),
    case(
        "unit-stop-timeout",
        "problem",
        "a stop may take 40 s = stop.timeout 25 s",
        properties=unit(TimeoutStopUSec="10s"),
    ),
    case("unit-reload", "note", "no ExecReload=", properties=unit(ExecReload="")),
    case("unit-restart", "warning", "Restart=no", properties=unit(Restart="no")),
    case("unit-store", "note", "keeps 0 descriptors", properties=unit(FileDescriptorStoreMax="0")),
    case("unit-missing", "note", "no unit", unit="", properties={}, machine=machine(has_systemd=True)),
    case(
        "first-process",
        "problem",
        "is a shell",
        machine=machine(is_container=True, first_process="/bin/sh -c midair run app:app"),
    ),
    case("stop-grace", "note", "Docker gives 10 s", machine=machine(is_container=True)),
    case("stop-grace", "note", "Kubernetes gives 30 s", machine=machine(is_container=True, is_kubernetes=True)),
    case("stop-delay", "warning", "stop.delay is 0", machine=machine(is_container=True, is_kubernetes=True)),
    case("current", "problem", "release a serves, and current names b", releases=Releases("/srv/shop", "b", "a")),
    case("current", "warning", "was killed", releases=Releases("/srv/shop", "b", "b", is_unfinished=True)),
    case("started-in-current", "problem", "/srv/shop/releases/a", running=running(folder="/srv/shop/releases/a")),
    case(
        "supervisor-in-release",
        "warning",
        "goes with its release",
        running=running(supervisor="/srv/shop/current/.venv/bin/python"),
    ),
    case("late-imports", "note", "written over the old one", releases=None),
)
