"""The options that every command has: which service, and how to print."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import click
from click.core import ParameterSource
from msgspec import Struct

from midair.cli.show import Show
from midair.config.client import ServiceAddress, load_client
from midair.config.units import DURATION, RATE, BadUnit, read_duration, read_rate
from midair.traces.context import TRACEPARENT, TRACESTATE, read

if TYPE_CHECKING:
    from midair.config.load import Override, RunSources

P = ParamSpec("P")


class Service(Struct, frozen=True):
    """What was typed about the service, and how to print."""

    folder: str
    config: str
    name: str
    show: Show

    def address(self) -> ServiceAddress:
        """Where the running service would be. Raises ConfigError."""
        return load_client(folder=self.folder, config=self.config, name=self.name, environ=os.environ)

    def sources(self, overrides: dict[str, Override], *, is_dev: bool = False) -> RunSources:
        """What its configuration is read from."""
        from midair.config.load import Override, sources_for_run

        named = {"name": Override(self.name, "--name")} if self.name else {}
        return sources_for_run(
            folder=self.folder,
            config=self.config,
            overrides=named | overrides,
            environ=os.environ,
            is_dev=is_dev,
        )


def service_options(function: Callable[Concatenate[Service, P], int]) -> Callable[P, int]:
    """Give a command ``-C``, ``--config``, ``--name`` and ``--json``, handed over as one ``Service``."""

    @click.option("-C", "folder", metavar="FOLDER", default="", help="The service's folder; default: this one.")
    @click.option("-c", "--config", metavar="FILE", default="", envvar="MIDAIR_CONFIG", help="Instead of midair.toml.")
    @click.option("--name", metavar="NAME", default="", help="The service's name; default: the folder's.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(function)
    def with_service(*args: P.args, **kwargs: P.kwargs) -> int:
        given: dict[str, object] = dict(kwargs)
        folder, config, name = (str(given.pop(word)) for word in ("folder", "config", "name"))
        show = Show(as_json=bool(given.pop("as_json")))
        return function(Service(folder, config, name, show), *args, **given)  # type: ignore[arg-type]  # click's own

    return with_service


class Place(Struct, frozen=True):
    """Where a command that needs no service works, and how to print."""

    folder: str
    """As typed; empty: here."""
    show: Show


def place_options(function: Callable[Concatenate[Place, P], int]) -> Callable[P, int]:
    """Give a command ``-C`` and ``--json``, handed over as one ``Place``."""

    @click.option("-C", "folder", metavar="FOLDER", default="", help="Where; default: this folder.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(function)
    def with_place(*args: P.args, **kwargs: P.kwargs) -> int:
        given: dict[str, object] = dict(kwargs)
        place = Place(str(given.pop("folder")), Show(as_json=bool(given.pop("as_json"))))
        return function(place, *args, **given)  # type: ignore[arg-type]  # click's own

    return with_place


class Duration(click.ParamType[float]):
    """``30s``, ``5m`` on the command line: seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return read_duration(str(value))
        except BadUnit as exc:
            self.fail(f"{value!r} is not {DURATION}" + (f" ({exc.hint})" if exc.hint else ""), param, ctx)


class Rate(click.ParamType[float]):
    """``20%``, ``20%/s`` on the command line: a share per second, above 0 and at most 1."""

    name = "rate"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        try:
            rate = read_rate(str(value))
        except BadUnit as exc:
            self.fail(f"{value!r} is not {RATE}" + (f" ({exc.hint})" if exc.hint else ""), param, ctx)
        if not 0 < rate <= 1:
            self.fail(f"{value!r} is not above 0% and at most 100%", param, ctx)
        return rate


def _context(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """As it is, if it is one. Whatever stands in a variable is no mistake of whoever types the command."""
    if not value or read(value) is not None:
        return value
    if ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE:
        raise click.BadParameter(f"{value!r} is no traceparent, such as 00-(32 digits)-(16 digits)-01", ctx, param)
    return ""


def tracestate() -> str:
    """What belongs to a ``traceparent`` of the environment."""
    return os.environ.get(TRACESTATE, "")


TRACE = click.option(
    "--traceparent",
    metavar="CONTEXT",
    default="",
    envvar=TRACEPARENT,
    callback=_context,
    help="The update is a span of this trace (W3C); default: $TRACEPARENT.",
)
REASON = click.option("-m", "--reason", metavar="TEXT", default="", help="Why; kept in the receipt.")
TIMEOUT = click.option(
    "--timeout", type=Duration(), default=0.0, metavar="DURATION", help="Stop watching after this long (exit 6)."
)
