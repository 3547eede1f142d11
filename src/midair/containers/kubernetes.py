"""The Kubernetes manifests of a service: Deployment, Service, PodDisruptionBudget. Pure; each line says why it is there.

A pod that ends is taken out of the endpoints while it gets its SIGTERM, and nothing orders the two: for a moment requests come that
meet a closed door. Something has to wait, and one thing only, since both waits would be added. `stop.delay` does: midair still
accepts, `/readyz` says 503 already, and the wait is part of the grace that is computed. With ``has_pre_stop`` a preStop hook waits
instead, and midair hears of the stop when that is over: for those whose rules ask for one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from midair.config.schema import Settings
from midair.containers.container import (
    ADMIN_PORT,
    ENDPOINTS_S,
    PRIVILEGED_PORTS,
    UID,
    Container,
    NoPort,
    delayed,
    is_loopback,
)
from midair.containers.file_text import File, Line, scalar
from midair.containers.survey import Decision
from midair.sockets.address import TcpAddress, parse

NAME = "k8s.yaml"
Code = Literal["image", "configmap", "claim"]
PROBE_EVERY_S = 2
LIVE_EVERY_S = 10
LIVE_FAILURES = 6
"""A machine that stands still for a minute is no reason to kill what serves: a worker that hangs is midair's to replace."""
REPLICAS = 2
CPUS = 2
WORKER_MIB = 128
"""A Python application without a large library. To be measured."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the manifests are to be, beside the configuration."""

    image: str = ""
    code: Code = "image"
    """Where the code is: in the image, in a ConfigMap, or on a volume that somebody else fills."""
    code_files: tuple[str, ...] = ()
    """What is in the ConfigMap."""
    has_pre_stop: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """A container in a cluster."""

    container: Container
    wish: Wish
    wait_s: float
    """For the endpoints."""
    admin_port: int

    @property
    def name(self) -> str:
        return self.container.name

    @property
    def grace_s(self) -> int:
        """Kubernetes counts the hook into it."""
        return self.container.stop.total_s + (math.ceil(self.wait_s) if self.wish.has_pre_stop else 0)

    @property
    def decision(self) -> Decision:
        wait = f" + preStop {self.wait_s:g} s" if self.wish.has_pre_stop else ""
        return Decision("grace of a pod", f"{self.grace_s} s", str(self.container.stop).partition(" = ")[2] + wait)


def pod_of(container: Container, wish: Wish) -> Pod:
    """What the manifests are made of. Raises NoPort."""
    if not container.ports:
        raise NoPort("bind names no TCP address, and a pod is asked at one")
    settings = container.settings
    wait_s = settings.stop.delay_s if "stop.delay" in container.chosen else ENDPOINTS_S
    inside = delayed(container, 0.0 if wish.has_pre_stop else wait_s)
    return Pod(inside, wish, wait_s, _admin_port(settings))


def _admin_port(settings: Settings) -> int:
    address = parse(settings.admin.address) if settings.admin.address else None
    return address.port if isinstance(address, TcpAddress) and address.port else ADMIN_PORT


def kubernetes(pod: Pod) -> File:
    """``k8s.yaml``."""
    return File(NAME, _head(pod), (*_deployment(pod), *_service(pod), *_budget(pod)))


def _head(pod: Pod) -> str:
    made = (
        f"{pod.container.settings.name} under midair. Made by `midair container --kubernetes`; it may be written anew."
    )
    if pod.wish.code == "image":
        how = (
            "A new version is a new image: Kubernetes replaces the pods one after the other, midair stops each cleanly."
        )
        return f"{made} {how}"
    in_place = (
        "\nThen update all pods in place; each goes on with its connections:"
        f"\n$ for pod in $(kubectl get pods -l app.kubernetes.io/name={pod.name} -o name); do"
        " kubectl exec $pod -- midair reload; done"
    )
    return f"{made}\n{_filled(pod)}{in_place}"


def _filled(pod: Pod) -> str:
    """Where the code comes from, if it is not in the image."""
    if pod.wish.code == "claim":
        return f"The code is on a volume, the claim {pod.name}-code, which somebody else fills: a synchronized checkout, a job."
    return (
        "The code is a ConfigMap: 1 MiB at most, and no folders. The image has all that it imports."
        f"\n$ {fill_line(pod.name, pod.wish.code_files)}"
        "\nThe kubelet brings a change into the pods within a minute or two, all files of it at once."
    )


def fill_line(name: str, files: Sequence[str]) -> str:
    """What makes the ConfigMap of the service called ``name``, and makes it anew."""
    taken = " ".join(f"--from-file={file}" for file in files)
    return f"kubectl create configmap {name}-code {taken} --dry-run=client -o yaml | kubectl apply -f -"


# --- the deployment ------------------------------------------------------------------------------------------------


def _deployment(pod: Pod) -> Iterator[Line]:
    yield Line("apiVersion: apps/v1")
    yield Line("kind: Deployment")
    yield from _metadata(pod)
    yield Line("spec:")
    yield Line(f"  replicas: {REPLICAS}", "One goes on while a node, or a pod, is taken away.")
    yield Line("  strategy:")
    yield Line("    rollingUpdate:", "The new pod is ready before an old one is told to end.")
    yield Line("      maxSurge: 1")
    yield Line("      maxUnavailable: 0")
    yield Line("  selector:")
    yield Line("    matchLabels:")
    yield Line(f"      app.kubernetes.io/name: {pod.name}")
    yield Line("  template:")
    yield Line("    metadata:")
    yield Line("      labels:")
    yield Line(f"        app.kubernetes.io/name: {pod.name}")
    yield Line("    spec:")
    yield from _pod(pod)
    yield Line("      containers:")
    yield Line(f"        - name: {pod.name}")
    yield Line(
        f"          image: {scalar(pod.wish.image or f'{pod.name}:1')}",
        "What you have built and pushed: `--image` names it.",
    )
    yield from (Line(f"          {line.text}", line.why) for line in _container(pod))
    yield from _volumes(pod)


def _metadata(pod: Pod) -> Iterator[Line]:
    yield Line("metadata:")
    yield Line(f"  name: {pod.name}")
    yield Line("  labels:")
    yield Line(f"    app.kubernetes.io/name: {pod.name}")


def _pod(pod: Pod) -> Iterator[Line]:
    wait = f" The preStop hook's {pod.wait_s:g} s are part of it." if pod.wish.has_pre_stop else ""
    yield Line(
        f"      terminationGracePeriodSeconds: {pod.grace_s}",
        f"How long a stop may take before it is killed; otherwise 30 s. {pod.container.stop}.{wait}",
    )
    yield Line("      automountServiceAccountToken: false", "The service has nothing to ask of the cluster.")
    yield Line("      securityContext:")
    yield Line(
        "        runAsNonRoot: true",
        "As the image says it; in a cluster that chooses users itself (OpenShift), leave these out.",
    )
    yield Line(f"        runAsUser: {UID}")
    yield Line(f"        runAsGroup: {UID}")
    yield Line(f"        fsGroup: {UID}", "Whose the volumes below are.")
    if any(port.number < PRIVILEGED_PORTS for port in pod.container.ports):
        yield Line("        sysctls:", "A port below 1024 is root's otherwise.")
        yield Line("          - name: net.ipv4.ip_unprivileged_port_start")
        yield Line('            value: "0"')
    yield Line("        seccompProfile:")
    yield Line(
        "          type: RuntimeDefault", "The filter of the container's engine; midair needs nothing that it refuses."
    )


def _container(pod: Pod) -> Iterator[Line]:
    yield from _environment(pod)
    yield Line("ports:")
    for number, port in enumerate(pod.container.ports, 1):
        yield Line(f"  - name: {_port_name(number)}")
        yield Line(f"    containerPort: {port.number}")
    yield Line("  - name: admin")
    yield Line(f"    containerPort: {pod.admin_port}")
    yield from _probes(pod)
    if pod.wish.has_pre_stop and pod.wait_s:
        yield Line("lifecycle:")
        yield Line(
            "  preStop:",
            "Requests still come while the pod is taken out of the endpoints. The kubelet waits (Kubernetes"
            " 1.30 or newer), and tells"
            " midair then; stop.delay is 0, since both would be added.",
        )
        yield Line("    sleep:")
        yield Line(f"      seconds: {math.ceil(pod.wait_s)}")
    yield from _resources(pod)
    yield Line("securityContext:", "midair needs no right of root's, and writes into the volumes alone.")
    yield Line("  allowPrivilegeEscalation: false")
    yield Line("  readOnlyRootFilesystem: true")
    yield Line("  capabilities:")
    yield Line("    drop: [ALL]")
    yield from _mounts(pod)


def _environment(pod: Pod) -> Iterator[Line]:
    settings, chosen = pod.container.settings, pod.container.chosen
    yield Line("env:")
    if pod.wish.has_pre_stop:
        yield from _variable("MIDAIR_STOP_DELAY", "0s", "The preStop hook below waits in its place.")
    elif "stop.delay" not in chosen:
        yield from _variable(
            "MIDAIR_STOP_DELAY",
            f"{pod.wait_s:g}s",
            "Requests still come while the pod is taken out of the endpoints. midair accepts on for so"
            " long, and says that it is not"
            " ready. Hence no preStop hook: both waits would be added.",
        )
    address = parse(settings.admin.address) if settings.admin.address else None
    if not isinstance(address, TcpAddress) or is_loopback(address.host):
        why = "Where the kubelet asks, from outside of the pod: so it cannot be a loopback address."
        yield from _variable("MIDAIR_ADMIN_ADDRESS", f"0.0.0.0:{pod.admin_port}", why)
    if "admin.remote" not in chosen:
        yield from _variable(
            "MIDAIR_ADMIN_REMOTE",
            "probes",
            "Other pods reach that address, too: they get /livez, /readyz and /metrics. The page is for"
            " whoever may forward a port:"
            f" kubectl port-forward deploy/{pod.name} {pod.admin_port}",
        )
    if "workers" not in chosen and not settings.is_command:
        yield from _variable(
            "MIDAIR_WORKERS",
            "auto",
            "As many as the CPU limit below allows. WEB_CONCURRENCY in its place says a number.",
        )


def _variable(name: str, value: str, why: str) -> Iterator[Line]:
    yield Line(f"  - name: {name}", why)
    yield Line(f"    value: {scalar(value.replace('$(', '$$('))}")


def _probes(pod: Pod) -> Iterator[Line]:
    start = pod.container.start
    yield Line(
        "startupProbe:",
        f"Until the first version serves nothing else is asked. midair tries on, and ends by itself when"
        f" that takes too long: {start}.",
    )
    yield from _asked("/readyz", PROBE_EVERY_S, math.ceil(start.total_s / PROBE_EVERY_S))
    yield Line(
        "readinessProbe:",
        "Whether a version accepts, and goes on to. An update in place changes nothing about it, one that"
        " is refused neither.",
    )
    yield from _asked("/readyz", PROBE_EVERY_S, 2)
    yield Line(
        "livenessProbe:",
        "Whether the supervisor answers, and nothing more: it replaces a worker that hangs or dies, and its"
        " connections are spared a"
        " restart of all.",
    )
    yield from _asked("/livez", LIVE_EVERY_S, LIVE_FAILURES)


def _asked(path: str, every_s: int, failures: int) -> Iterator[Line]:
    yield Line("  httpGet:")
    yield Line(f"    path: {path}")
    yield Line("    port: admin")
    yield Line(f"  periodSeconds: {every_s}")
    yield Line("  timeoutSeconds: 2")
    yield Line(f"  failureThreshold: {failures}")


def _resources(pod: Pod) -> Iterator[Line]:
    settings = pod.container.settings
    workers = settings.workers if "workers" in pod.container.chosen or settings.is_command else CPUS
    one_set = WORKER_MIB * (workers + 1)
    yield Line("resources:")
    yield Line(
        "  requests:",
        "To be measured: `midair status` shows each worker's memory. An update in place has both versions'"
        " workers side by side, and"
        " goes from slot to slot where the limit has no room for them.",
    )
    yield Line("    cpu: 250m")
    yield Line(f"    memory: {one_set}Mi")
    yield Line("  limits:")
    yield Line(f"    cpu: {scalar(str(CPUS))}")
    yield Line(
        f"    memory: {2 * one_set}Mi",
        "Beyond it the kernel kills: on cgroup v2 all processes of the container at once, unless the"
        " kubelet's configuration says"
        " singleProcessOOMKill: true (1.32 or newer). worker.max_memory replaces a worker before; `midair"
        " doctor` says what holds here.",
    )


# --- volumes -------------------------------------------------------------------------------------------------------


def _mounts(pod: Pod) -> Iterator[Line]:
    container = pod.container
    yield Line("volumeMounts:")
    yield from _mount("runtime", container.runtime_dir, "The control socket and the lock, where commands look.")
    yield from _mount("state", container.state_dir, "The receipts of updates.")
    yield from _mount("tmp", "/tmp", "For the application.")
    if pod.wish.code != "image":
        why = "In the place of the image's code. The whole folder: a single file (subPath) would never change."
        yield from _mount("code", container.folder, why, is_read_only=True)
    for path in container.secrets:
        yield from _mount(
            "secrets",
            f"{container.folder}/{path}",
            "Secret values, no part of the image. What changes in the Secret comes with the next pod.",
            path,
        )


def _mount(name: str, path: str, why: str, sub_path: str = "", *, is_read_only: bool = False) -> Iterator[Line]:
    yield Line(f"  - name: {name}", why)
    yield Line(f"    mountPath: {scalar(path)}")
    if sub_path:
        yield Line(f"    subPath: {scalar(_key(sub_path))}")
    if sub_path or is_read_only:
        yield Line("    readOnly: true")


def _volumes(pod: Pod) -> Iterator[Line]:
    yield Line("      volumes:")
    for name, why in (
        ("runtime", "Gone with the pod."),
        ("state", "Gone with the pod, too; a claim in its place would keep the receipts."),
        ("tmp", ""),
    ):
        yield Line(f"        - name: {name}", why)
        yield Line("          emptyDir: {}")
    if pod.wish.code != "image":
        yield Line("        - name: code")
    if pod.wish.code == "configmap":
        yield Line("          configMap:")
        yield Line(f"            name: {pod.name}-code")
    elif pod.wish.code == "claim":
        yield Line("          persistentVolumeClaim:")
        yield Line(f"            claimName: {pod.name}-code")
        yield Line("            readOnly: true")
    if pod.container.secrets:
        files = " ".join(f"--from-file={_key(path)}={path}" for path in pod.container.secrets)
        yield Line("        - name: secrets", f"Made with: kubectl create secret generic {pod.name}-secrets {files}")
        yield Line("          secret:")
        yield Line(f"            secretName: {pod.name}-secrets")
        yield Line("            defaultMode: 0440")
    yield Line("---")


def _key(path: str) -> str:
    """Of a Secret: it has no folders."""
    return path.replace("/", "_")


# --- beside it -----------------------------------------------------------------------------------------------------


def _service(pod: Pod) -> Iterator[Line]:
    yield Line("apiVersion: v1")
    yield Line("kind: Service")
    yield from _metadata(pod)
    yield Line("spec:")
    yield Line("  selector:")
    yield Line(f"    app.kubernetes.io/name: {pod.name}")
    yield Line("  ports:", "The service's own ports; the admin address is asked pod by pod.")
    for number, port in enumerate(pod.container.ports, 1):
        yield Line(f"    - name: {_port_name(number)}")
        yield Line(f"      port: {80 if number == 1 else port.number}")
        yield Line(f"      targetPort: {_port_name(number)}")
    yield Line("---")


def _port_name(number: int) -> str:
    return "http" if number == 1 else f"http{number}"


def _budget(pod: Pod) -> Iterator[Line]:
    yield Line("apiVersion: policy/v1")
    yield Line("kind: PodDisruptionBudget")
    yield from _metadata(pod)
    yield Line("spec:")
    yield Line("  minAvailable: 1", "Whoever empties a node leaves one pod until another is ready.")
    yield Line("  selector:")
    yield Line("    matchLabels:")
    yield Line(f"      app.kubernetes.io/name: {pod.name}")
