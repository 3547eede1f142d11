"""``midair hold``: nobody updates for a while."""

from __future__ import annotations

import click

from midair.cli.answers import done
from midair.cli.options import REASON, Duration, Service, service_options
from midair.control.words import Hold, Release


@click.command
@REASON
@click.option("--for", "for_s", type=Duration(), default=0.0, metavar="DURATION", help="Default: until released.")
@click.option("--release", is_flag=True, help="End the hold.")
@service_options
def command(service: Service, *, reason: str, for_s: float, release: bool) -> int:
    """Refuse updates that others ask for (exit 7), giving them the reason."""
    if release:
        return done(service, Release())
    if not reason:
        raise click.UsageError("a hold needs a reason: -m TEXT")
    return done(service, Hold(reason=reason, for_s=for_s))
