"""``midair drain``: what drains has taken long enough."""

from __future__ import annotations

import click

from midair.cli.answers import done
from midair.cli.options import REASON, Duration, Service, service_options
from midair.control.words import Drain

WITHIN_S = 5.0


@click.command
@click.option(
    "--within",
    "within_s",
    type=Duration(),
    default=WITHIN_S,
    metavar="DURATION",
    help="How long requests that are under way may take yet; default: 5s.",
)
@REASON
@service_options
def command(service: Service, *, within_s: float, reason: str) -> int:
    """Have old versions end now: their connections move all at once, and what cannot move is ended in time.

    A version that is parked for a rollback stays.
    """
    return done(service, Drain(within_s=within_s, reason=reason))
