"""What the values of a configuration must be together, and the ranges that a type does not say."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Set

from midair.config.keys import all_keys
from midair.config.origins import DEFAULT, Origin
from midair.config.places import name_problem
from midair.config.problems import Problem
from midair.config.schema import Settings
from midair.config.units import read_duration

TARGETS = ("app", "main", "command")
"""Keys that say what runs: one of them counts."""
AT_LEAST_ONE = (
    "workers",
    "drain.max_generations",
    "deploy.keep",
    "receipts.keep",
    "serve.backlog",
    "serve.headers_max",
    "serve.wsgi_threads",
)
NOT_ZERO = (
    "ready.timeout",
    "start.timeout",
    "health.interval",
    "health.timeout",
    "drain.rate",
    "rollback.rate",
    "serve.timeout_head",
    "serve.head_max",
    "tls.handshake_timeout",
    "worker.hang_timeout",
    "hooks.timeout",
    "watch.poll_interval",
    "deploy.timeout",
)
"""Zero would mean never or nothing here; where it means off, the schema says so."""
AT_MOST_WHOLE = ("drain.rate", "drain.halt_at", "rollback.rate", "bake.error_rate", "traces.sample")
WORKERS_MAX = 4096
"""More is a slip of the finger: each is a process."""


def check(
    settings: Settings, origins: Mapping[str, Origin], *, unread: Set[str] = frozenset(), needs_target: bool
) -> list[Problem]:
    """All that is wrong with ``settings``. Pure.

    needs_target: an application or a command must be there. unread: keys whose values could not be read and have left
    their defaults behind, so that nothing is said about them here.
    """
    found = Found(origins, unread)
    _ranges(found, settings)
    _target(found, settings, needs_target=needs_target)
    _health(found, settings)
    _proxies(found, settings)
    _headers(found, settings)
    _tls(found, settings)
    _traces(found, settings)
    if reason := name_problem(settings.name):
        found.add("name", f"the name {settings.name!r} {reason}", 'give another: name = "…" or --name')
    if not settings.bind and settings.listener == "lent" and settings.workers > 1:
        found.add(
            "workers",
            f"workers = {settings.workers}: which socket they share is not known before the first one binds",
            'write bind = "…", the address that the program binds',
            also=("bind",),
        )
    elif not settings.bind and settings.listener != "lent":
        found.add("bind", "bind is empty", 'write bind = "127.0.0.1:8000"')
    for twice in sorted({address for address in settings.bind if settings.bind.count(address) > 1}):
        found.add("bind", f"bind has {twice} twice")
    if settings.canary.workers and settings.canary.workers >= settings.workers:
        found.add(
            "canary.workers",
            f"canary.workers = {settings.canary.workers} leaves nobody to compare with: workers = {settings.workers}",
            also=("workers",),
        )
    if settings.worker.hang_warn_s > settings.worker.hang_timeout_s:
        found.add(
            "worker.hang_warn", "worker.hang_warn is longer than worker.hang_timeout", also=("worker.hang_timeout",)
        )
    _regexes(found, "watch.ignore_regex", settings.watch.ignore_regex)
    for action in settings.watch.action:
        if not action.on:
            what = f"the action {action.name or action.run[0]!r} is for no change"
            found.add("watch.action", what, 'leave `on` out, or write on = ["create"]')
        _regexes(found, "watch.action", action.ignore_regex)
    if settings.socket_mode > 0o777:
        found.add("socket_mode", "socket_mode has more than permission bits")
    return found.problems


class Found:
    """Problems, each at the place its key came from."""

    def __init__(self, origins: Mapping[str, Origin], unread: Set[str]) -> None:
        self._origins = origins
        self._unread = unread
        self.problems: list[Problem] = []

    def add(self, key: str, message: str, hint: str = "", *, also: tuple[str, ...] = ()) -> None:
        """also: the other keys that this depends on."""
        if not self._unread.isdisjoint((key, *also)):
            return
        origin = self._origins.get(key, DEFAULT)
        self.problems.append(Problem("" if origin.kind == "default" else str(origin), message, hint))


def _ranges(found: Found, settings: Settings) -> None:
    for name in (*AT_LEAST_ONE, *NOT_ZERO):
        if value_at(settings, name) == 0:
            found.add(name, f"{name} = 0 has no meaning", "write 1 or more" if name in AT_LEAST_ONE else "")
    for name in AT_MOST_WHOLE:
        value = value_at(settings, name)
        if isinstance(value, float) and value > 1:
            found.add(name, f"{name} is more than 100%")
    if settings.workers > WORKERS_MAX:
        found.add("workers", f"workers = {settings.workers} is more than {WORKERS_MAX}")


def _target(found: Found, settings: Settings, *, needs_target: bool) -> None:
    given = [name for name in TARGETS if value_at(settings, name)]
    if len(given) > 1:
        found.add(given[-1], f"{' and '.join(given)} exclude each other", "keep one of them", also=TARGETS)
    elif needs_target and not given:
        found.add(
            "app",
            "nothing to run: there is neither app nor command nor main",
            'write app = "module:app" in midair.toml (midair init looks for it), or type: midair run module:app',
            also=TARGETS,
        )
    if settings.arguments and not settings.main:
        found.add("arguments", "arguments are those of main, and there is none", "a command has them in its own line")
    if settings.factory and settings.main:
        found.add("factory", "factory is about app", "with main, say midair.serve(make_app, factory=True)")
    if settings.app and not _is_target(settings.app):
        found.add("app", f"app = {settings.app!r} is not module:attribute", _target_hint(settings.app))
    if settings.factory and settings.command:
        found.add("factory", "factory is about an application, and this is a command")
    if settings.command and settings.rollback.keep == "workers":
        found.add(
            "rollback.keep",
            'rollback.keep = "workers": a command cannot be kept aside, it accepts as long as it lives',
            'leave it out: a rollback starts the older files again (a folder for each release, and a "current" link)',
            also=("command",),
        )


def _is_target(app: str) -> bool:
    module, colon, attribute = app.partition(":")
    words = [*module.split("."), *attribute.split(".")] if colon else [""]
    return all(word.isidentifier() for word in words)


def _target_hint(app: str) -> str:
    module, _, attribute = app.partition(":")
    if module.endswith(".py") or "/" in module:
        dotted = module.removesuffix(".py").strip("./").replace("/", ".")
        return f'write "{dotted}:{attribute or "app"}"'
    return f'write "{module}:app"' if module and not attribute else 'such as "main:app"'


def _health(found: Found, settings: Settings) -> None:
    path, probe = settings.health.path, settings.health.probe
    if path not in ("auto", "off") and not path.startswith("/"):
        found.add("health.path", f"health.path = {path!r} is not a path", 'write "auto", "off" or "/…"')
    for warm in settings.health.warm:
        if not warm.startswith("/"):
            found.add("health.warm", f"health.warm has {warm!r}, which is not a path")
    if not probe:
        return
    if not settings.command:
        found.add("health.probe", "health.probe is for commands; an application is asked itself", "use health.path")
        return
    scheme, _, rest = probe.partition(":")
    if scheme in ("http", "tcp") and rest.startswith("//") and _host_and_port(rest)[1]:
        for bind in settings.bind:
            if _may_meet(_host_and_port(rest), _host_and_port(bind)):
                found.add(
                    "health.probe",
                    f"health.probe = {probe!r} asks the bind {bind}, where the old version answers too",
                    'probe another address, or use "listener:/PATH" or "notify"',
                    also=("bind",),
                )
    elif not (probe == "notify" or (scheme == "listener" and rest.startswith("/")) or _is_delay(scheme, rest)):
        found.add(
            "health.probe",
            f"health.probe = {probe!r} is not a probe",
            'write "notify", "http://HOST:PORT/PATH", "tcp://HOST:PORT", "listener:/PATH" or "delay:3s"',
        )


def _proxies(found: Found, settings: Settings) -> None:
    for proxy in settings.serve.forwarded_allow_ips:
        if proxy == "*":
            continue
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            found.add(
                "serve.forwarded_allow_ips",
                f"serve.forwarded_allow_ips has {proxy!r}, which is no address and no network",
                _network_hint(proxy),
            )


def _network_hint(proxy: str) -> str:
    try:
        return f'write "{ipaddress.ip_network(proxy, strict=False)}"'
    except ValueError:
        pass
    if "/" in proxy and proxy[0] in "/.u":
        return "who connects by a Unix socket is trusted as it is: the socket's permissions decide"
    return 'such as "10.0.0.0/8", "192.0.2.7" or "*" for everybody; names are not looked up'


def _regexes(found: Found, key: str, regexes: tuple[str, ...]) -> None:
    for regex in regexes:
        try:
            re.compile(regex)
        except re.error as exc:
            found.add(key, f"{key} has {regex!r}, which is no regular expression: {exc}")


def _headers(found: Found, settings: Settings) -> None:
    for line in settings.serve.headers:
        name, colon, value = line.partition(":")
        if not colon or not _HEADER_NAME.fullmatch(name.strip()) or not _is_header_value(value):
            found.add("serve.headers", f"serve.headers has {line!r}, which is not Name: value")
        elif name.strip().lower() in _OF_ONE_RESPONSE:
            found.add("serve.headers", f"serve.headers has {name.strip()}, which is different for each response")


def _is_header_value(value: str) -> bool:
    return all(char == "\t" or (" " <= char <= "\xff" and char != "\x7f") for char in value)


_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OF_ONE_RESPONSE = ("content-length", "transfer-encoding", "connection")


def _is_delay(scheme: str, rest: str) -> bool:
    if scheme != "delay":
        return False
    try:
        return rest.isdigit() or read_duration(rest) >= 0
    except ValueError:
        return False


def _tls(found: Found, settings: Settings) -> None:
    tls = settings.tls
    if tls.certfile and settings.command:
        found.add(
            "tls.certfile",
            "TLS is for applications: a program accepts its connections itself",
            "give the certificate to the program",
            also=("command",),
        )
    if tls.certfile and settings.serve.proxy_protocol:
        found.add(
            "tls.certfile",
            "TLS behind the PROXY protocol is not spoken: its header would come before the handshake",
            "let the proxy end TLS, or leave serve.proxy_protocol out",
            also=("serve.proxy_protocol",),
        )
    for name in ("keyfile", "keyfile_password", "ca_certs", "ciphers", "plain"):
        if getattr(tls, name) and not tls.certfile:
            found.add(
                f"tls.{name}",
                f"tls.{name} without tls.certfile means nothing",
                'write certfile = "…"',
                also=("tls.certfile",),
            )
    if tls.cert_reqs != "none" and not tls.ca_certs:
        found.add(
            "tls.cert_reqs",
            f'tls.cert_reqs = "{tls.cert_reqs}": nobody is named whose certificates are believed',
            'write ca_certs = "…", the authority that signs the clients\' certificates',
            also=("tls.ca_certs",),
        )
    if tls.ca_certs and tls.cert_reqs == "none":
        found.add(
            "tls.ca_certs",
            'tls.ca_certs while tls.cert_reqs = "none": no client is asked for a certificate',
            'write cert_reqs = "required" (or "optional")',
            also=("tls.cert_reqs",),
        )
    for plain in tls.plain:
        if ":" in plain and plain not in settings.bind:
            found.add(
                "tls.plain", f"tls.plain has {plain}, which is not in bind", "write it as bind has it", also=("bind",)
            )


def _traces(found: Found, settings: Settings) -> None:
    traces = settings.traces
    if traces.endpoint and not _HTTP_BASE.fullmatch(traces.endpoint):
        found.add(
            "traces.endpoint",
            f"traces.endpoint = {traces.endpoint!r} is not where OTLP is spoken over HTTP",
            'such as "http://127.0.0.1:4318"; gRPC (port 4317) is not spoken',
        )
    if traces.requests and settings.command:
        found.add(
            "traces.requests",
            "traces.requests is for applications: a program accepts its requests itself",
            "leave it out; the program is told version and generation in OTEL_RESOURCE_ATTRIBUTES",
            also=("command",),
        )
    for name, value in traces.headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _is_header_value(value):
            found.add("traces.headers", f"traces.headers has {name!r}, which cannot be a header with what it says")


_HTTP_BASE = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")

_ANY = ("", "*", "0.0.0.0", "::")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def _host_and_port(address: str) -> tuple[str, str]:
    """Host and port of ``host:port`` or ``//host:port/path``; the port is empty if there is none (a Unix path)."""
    if address.startswith(("unix:", "fd://")):
        return address, ""
    host, colon, port = address.removeprefix("//").partition("/")[0].rpartition(":")
    return host.strip("[]"), port if colon and port.isdigit() else ""


def _may_meet(probe: tuple[str, str], bind: tuple[str, str]) -> bool:
    """Whether a connection to ``probe`` could arrive at ``bind``. No name is looked up."""
    if not bind[1] or probe[1] != bind[1]:
        return False
    return probe[0] == bind[0] or bind[0] in _ANY or probe[0] in _ANY or (probe[0] in _LOCAL and bind[0] in _LOCAL)


def value_at(settings: Settings, name: str) -> object:
    """The value of a key, as the schema holds it."""
    value: object = settings
    for part in all_keys()[name].path:
        value = getattr(value, part)
    return value
