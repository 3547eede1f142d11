"""``midair scale N``: more or fewer workers."""

from __future__ import annotations

import click

from midair.cli.answers import done
from midair.cli.options import REASON, Service, service_options
from midair.config.checks import WORKERS_MAX
from midair.control.words import Scale


@click.command
@click.argument("workers", type=click.IntRange(1, WORKERS_MAX))
@REASON
@service_options
def command(service: Service, *, workers: int, reason: str) -> int:
    """Change the number of workers of the version that serves. A restart goes back to the configuration."""
    return done(service, Scale(workers=workers, reason=reason))
