"""What the commands that run a service take, ``midair run`` and ``midair dev``: their options, and what these say by key."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec

import click
import msgspec
from msgspec import Struct

from midair.cli.options import Service, service_options
from midair.cli.preflight import check_certificate, check_traces, import_application
from midair.config.layers import FlagValue
from midair.config.load import Loaded, Override, RunSources
from midair.sockets.configured import check_addresses
from midair.worker.settings import Served

P = ParamSpec("P")

PROGRAM = "midair.program"
"""Where the program's command line waits in click's context."""

KEYS = {
    "bind": "bind",
    "workers": "workers",
    "interface": "serve.interface",
    "factory": "factory",
    "env_file": "env_files",
    "python": "python",
    "chdir": "chdir",
    "health": "health.path",
    "zygote": "zygote",
    "drain_rate": "drain.rate",
    "drain_timeout": "drain.timeout",
    "bake": "bake.for",
    "metrics": "metrics.address",
    "admin": "admin.address",
    "log_format": "log.format",
    "version_from": "version_from",
    "access_log": "serve.access_log",
    "root_path": "serve.root_path",
    "loop": "serve.loop",
    "header": "serve.headers",
    "server_header": "serve.server_header",
    "date_header": "serve.date_header",
    "proxy_headers": "serve.proxy_headers",
    "forwarded_allow_ips": "serve.forwarded_allow_ips",
    "proxy_protocol": "serve.proxy_protocol",
    "lifespan": "serve.lifespan",
    "backlog": "serve.backlog",
    "limit_concurrency": "serve.limit_concurrency",
    "limit_max_requests": "worker.max_requests",
    "limit_max_requests_jitter": "worker.max_requests_jitter",
    "timeout_keep_alive": "serve.timeout_keep_alive",
    "log_level": "log.level",
    "ws_max_size": "serve.ws_max",
    "ws_ping_interval": "serve.ws_ping_interval",
    "ws_ping_timeout": "serve.ws_ping_timeout",
    "ws_per_message_deflate": "serve.ws_per_message_deflate",
    "certfile": "tls.certfile",
    "keyfile": "tls.keyfile",
    "keyfile_password": "tls.keyfile_password",
    "ca_certs": "tls.ca_certs",
    "cert_reqs": "tls.cert_reqs",
    "ciphers": "tls.ciphers",
}
"""Option -> the key that it sets. Values are checked where those of a file are, with the same words."""

CERT_REQS = {"0": "none", "1": "optional", "2": "required"}
"""The numbers of Python's ssl module, which uvicorn and gunicorn take."""


class RunCommand(click.Command):
    """Takes a program's own command line after ``--`` as it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            args, program = args[:place], args[place + 1 :]
            if not program:
                raise click.UsageError("there is no program after --", ctx)
            ctx.meta[PROGRAM] = tuple(program)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS]", "[TARGET | --main FILE [-- ARGUMENTS…] | -- PROGRAM ARGUMENTS…]"]


_OPTIONS = (
    click.argument("target", nargs=-1),
    click.option(
        "-b", "--bind", multiple=True, metavar="ADDRESS", help="host:port, [v6]:port, unix:PATH, fd://N; several."
    ),
    click.option("-w", "--workers", metavar="N", help='A number, or "auto": the CPU quota.'),
    click.option("--interface", metavar="KIND", help="auto, asgi, wsgi."),
    click.option("--factory", is_flag=True, default=None, help="TARGET is called to make the application."),
    click.option("--env-file", multiple=True, metavar="FILE", help="Read anew for each version; several."),
    click.option("--python", metavar="PATH", help="The application's interpreter or virtual environment."),
    click.option("--chdir", metavar="FOLDER", help="The application's folder."),
    click.option("--health", metavar="PATH", help="Asked of every new version: a path, auto or off."),
    click.option("--zygote", metavar="WHEN", help="Fork workers: auto, always, never."),
    click.option("--drain-rate", metavar="RATE", help="How many connections may move a second, such as 5%."),
    click.option("--drain-timeout", metavar="DURATION", help="How long an old version may finish, such as 5m."),
    click.option(
        "--bake", metavar="DURATION", help="How long a new version is watched after the cut-over, such as 10s."
    ),
    click.option("--metrics", metavar="ADDRESS", help="Where Prometheus scrapes, such as 127.0.0.1:9464."),
    click.option("--admin", metavar="ADDRESS", help="Where people may look on, such as 127.0.0.1:9465."),
    click.option("--log-format", metavar="FORMAT", help="auto, json, console, journal."),
    click.option(
        "--version-from", metavar="SOURCE", help="auto, git, file:PATH, package:NAME, env:NAME, command:LINE."
    ),
    click.option("--access-log/--no-access-log", default=None, help="A line for each request."),
    click.option("--root-path", metavar="PATH", help="Where a proxy has mounted the application."),
    click.option("--loop", metavar="LOOP", help="auto, uvloop, asyncio."),
    click.option("--lifespan", metavar="WHEN", help="auto, on, off."),
    click.option(
        "--proxy-headers/--no-proxy-headers", default=None, help="Believe X-Forwarded-For and -Proto of proxies."
    ),
    click.option(
        "--forwarded-allow-ips",
        metavar="LIST",
        help="Trusted proxies: addresses and networks with commas between, or *.",
    ),
    click.option(
        "--proxy-protocol/--no-proxy-protocol", default=None, help="Trusted proxies begin with a PROXY protocol header."
    ),
    click.option("--header", multiple=True, metavar="NAME:VALUE", help="Sent with every response; several."),
    click.option("--server-header/--no-server-header", default=None, help="Send Server: midair."),
    click.option("--date-header/--no-date-header", default=None, help="Send Date."),
    click.option(
        "--timeout-keep-alive", metavar="DURATION", help="How long an idle connection stays open, such as 75s."
    ),
    click.option("--backlog", metavar="N", help="Connections that the kernel queues."),
    click.option("--limit-concurrency", metavar="N", help="Connections or requests of a worker; beyond, 503."),
    click.option("--limit-max-requests", metavar="N", help="A worker is replaced after so many requests."),
    click.option("--limit-max-requests-jitter", metavar="N", help="Up to so many more, drawn for each worker."),
    click.option("--ws-max-size", metavar="SIZE", help="Largest WebSocket message, such as 16MiB."),
    click.option("--ws-ping-interval", metavar="DURATION", help="Between two pings of a WebSocket, such as 20s."),
    click.option("--ws-ping-timeout", metavar="DURATION", help="How long a pong may take, such as 20s."),
    click.option("--ws-per-message-deflate", metavar="BOOLEAN", help="Offer compression of WebSocket messages."),
    click.option("--log-level", metavar="LEVEL", help="debug, info, warning, error."),
    click.option(
        "--certfile", "--ssl-certfile", "certfile", metavar="FILE", help="Speak TLS: the certificate, in PEM."
    ),
    click.option("--keyfile", "--ssl-keyfile", "keyfile", metavar="FILE", help="Its key, if not in the same file."),
    click.option(
        "--keyfile-password",
        "--ssl-keyfile-password",
        "keyfile_password",
        metavar="file:PATH",
        help="Of an encrypted key.",
    ),
    click.option("--ca-certs", "--ssl-ca-certs", "ca_certs", metavar="FILE", help="Who signs clients' certificates."),
    click.option(
        "--cert-reqs",
        "--ssl-cert-reqs",
        "cert_reqs",
        metavar="WHEN",
        callback=lambda _ctx, _param, value: CERT_REQS.get(value, value),
        help="Ask clients for a certificate: none, optional, required.",
    ),
    click.option("--ciphers", "--ssl-ciphers", "ciphers", metavar="SUITES", help="Of TLS 1.2, as OpenSSL writes them."),
    click.option(
        "--main", "main_file", default="", metavar="FILE", help="A program that calls midair.serve(); or a module."
    ),
    click.option(
        "--served", default="", hidden=True, help="What that program has given; said by midair.serve() itself."
    ),
    click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any key of midair.toml; several."),
)
"""In the order in which they are listed."""


class Typed(Struct, frozen=True):
    """A service that is to run, as it was typed."""

    service: Service
    overrides: dict[str, Override]
    """What the command line says, by key."""
    served: str = ""
    """What the program's own ``midair.serve()`` has given, if it is what started us."""
    is_dev: bool = False
    """To be developed."""

    def load(self) -> tuple[RunSources, Loaded]:
        """The configuration, checked as far as that can be done before anything runs; its warnings are shown.

        Raises ConfigError, and whatever else of what was typed is wrong.
        """
        sources = _with_served(self.service.sources(self.overrides, is_dev=self.is_dev), self.served)
        loaded = sources.load()
        check_addresses(loaded)
        check_certificate(loaded.settings)
        check_traces(loaded.settings, os.environ)
        for warning in loaded.warnings:
            self.service.show.warning(warning)
        return sources.describing(loaded), loaded


def running_options(function: Callable[Concatenate[Typed, P], int]) -> Callable[P, int]:
    """Give a command, a ``RunCommand``, what says which service runs and how, handed over as one ``Typed``."""

    @functools.wraps(function)
    def with_typed(service: Service, /, *args: P.args, **kwargs: P.kwargs) -> int:
        given: dict[str, Any] = dict(kwargs)
        target, main_file = given.pop("target"), given.pop("main_file")
        assignments, served = given.pop("assignments"), given.pop("served")
        options: dict[str, FlagValue | None] = {option: given.pop(option) for option in KEYS}
        after_dashes: tuple[str, ...] = click.get_current_context().meta.get(PROGRAM, ())
        chosen = override_of_target(target, after_dashes, main_file)
        return function(Typed(service, overrides(chosen, options, assignments), served), *args, **given)

    found: Callable[P, int] = service_options(with_typed)
    for option in reversed(_OPTIONS):
        found = option(found)
    return found


def _with_served(sources: RunSources, said: str) -> RunSources:
    """With what the main file gives to ``midair.serve()``. If it has not said so itself it is asked: run up to there, in a process
    that is thrown away. The supervisor has to know what to bind, and never imports it."""
    settings = sources.load().settings
    if not settings.main:
        return sources
    if not said:
        return msgspec.structs.replace(sources, served=import_application(settings, os.environ)[0].served)
    # It named its file from where it runs, so that is the folder, whatever the configuration says.
    here = {"chdir": Override("", "midair.serve()")} if settings.chdir else {}
    served, overrides_too = msgspec.json.decode(said, type=Served), sources.overrides | here
    return msgspec.structs.replace(sources, served=served, overrides=overrides_too)


def overrides(
    target: dict[str, Override], options: Mapping[str, FlagValue | None], assignments: tuple[str, ...]
) -> dict[str, Override]:
    """What the command line says, by key. options: None or empty if not typed. Raises click.UsageError."""
    found: dict[str, Override] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"--set {assignment}: write KEY=VALUE")
        found[key.strip()] = Override(text, "--set")
    for option, key in KEYS.items():
        value = options[option]
        if value is not None and value != ():
            found[key] = Override(value, _flag(option, value))
    return found | target


def _flag(option: str, value: FlagValue) -> str:
    return ("--no-" if value is False else "--") + option.replace("_", "-")


def override_of_target(target: tuple[str, ...], program: tuple[str, ...], main_file: str = "") -> dict[str, Override]:
    """The application, the program that calls ``midair.serve()``, or any other."""
    if main_file and target:
        raise click.UsageError(f"{target[0]} and --main; a service is one or the other; arguments stand after --")
    if main_file:
        return {"main": Override(main_file, "--main"), **({"arguments": Override(program, "--")} if program else {})}
    if target and program:
        raise click.UsageError(f"{target[0]} and a program after --; a service is one or the other")
    if program:
        return {"command": Override(program, "--")}
    if len(target) > 1 or (target and ":" not in target[0] and "/" in target[0]):
        raise click.UsageError(f"a program stands after --; did you mean midair run -- {' '.join(target)}?")
    return {"app": Override(target[0], "TARGET")} if target else {}
