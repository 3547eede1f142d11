"""``midair upgrade``: the supervisor on the installed midair."""

from __future__ import annotations

import click

from midair.cli.follow import follow
from midair.cli.options import REASON, TIMEOUT, Service, service_options
from midair.control.words import Upgrade


@click.command
@REASON
@TIMEOUT
@service_options
def command(service: Service, *, reason: str, timeout: float) -> int:
    """Re-execute the supervisor in place: same process id, workers serve all along, code of the application unchanged."""
    return follow(service, Upgrade(reason=reason), timeout_s=timeout)
