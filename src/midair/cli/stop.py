"""``midair stop``: the end."""

from __future__ import annotations

import click

from midair.cli.follow import follow
from midair.cli.options import REASON, TIMEOUT, Service, service_options
from midair.control.words import Stop


@click.command
@click.option("--force", is_flag=True, help="Do not wait for connections.")
@REASON
@TIMEOUT
@service_options
def command(service: Service, *, force: bool, reason: str, timeout: float) -> int:
    """Stop the service: accept no more, finish what is there, until stop.timeout."""
    return follow(service, Stop(force=force, reason=reason), timeout_s=timeout)
