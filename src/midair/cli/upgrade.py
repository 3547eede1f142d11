"""``midair upgrade``: the supervisor on the installed midair."""

from __future__ import annotations

import click

from midair.cli.follow import follow
from midair.cli.options import REASON, TIMEOUT, TRACE, Service, service_options, tracestate
from midair.control.words import Upgrade


@click.command
@REASON
@TRACE
@TIMEOUT
@service_options
def command(service: Service, *, reason: str, traceparent: str, timeout: float) -> int:
    """Re-execute the supervisor in place: same process id, workers serve all along, code of the application unchanged."""
    request = Upgrade(reason=reason, traceparent=traceparent, tracestate=tracestate())
    return follow(service, request, timeout_s=timeout)
