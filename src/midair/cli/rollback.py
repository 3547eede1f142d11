"""``midair rollback``: back to the version before."""

from __future__ import annotations

import click

from midair.cli.follow import follow
from midair.cli.options import REASON, TIMEOUT, TRACE, Service, service_options, tracestate
from midair.control.words import Rollback, Wait
from midair.errors import UNKNOWN


@click.command
@click.option(
    "--wait", type=click.Choice(["commit", "drained"]), default="commit", help="Return then; default: commit."
)
@click.option("--no-wait", is_flag=True, help="Return at once.")
@click.option("--now", is_flag=True, help="Do not pace: everything moves at once.")
@REASON
@TRACE
@TIMEOUT
@service_options
def command(
    service: Service, *, wait: Wait, no_wait: bool, now: bool, reason: str, traceparent: str, timeout: float
) -> int:
    """Go back to the version that served before; it is still warm for a while, also when its files are gone."""
    until: Wait = "none" if no_wait else wait
    request = Rollback(now=now, wait=until, reason=reason, traceparent=traceparent, tracestate=tracestate())
    code = follow(service, request, timeout_s=timeout, wait=until)
    if until != "none" and code != UNKNOWN:
        from midair.cli.deploy import current_follows  # After the way back, which is not to wait for it.

        current_follows(service)
    return code
