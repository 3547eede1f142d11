"""``midair reload``: update to what is on disk."""

from __future__ import annotations

import click

from midair.cli.follow import follow
from midair.cli.options import REASON, TIMEOUT, TRACE, Rate, Service, service_options, tracestate
from midair.control.words import Reload, Wait


@click.command
@click.option(
    "--wait", type=click.Choice(["commit", "drained"]), default="commit", help="Return then; default: commit."
)
@click.option("--no-wait", is_flag=True, help="Return at once.")
@click.option("--now", is_flag=True, help="Do not queue, do not pace: everything moves at once.")
@click.option(
    "--drain-rate",
    type=Rate(),
    default=0.0,
    metavar="RATE",
    help="How many connections may move a second, such as 20%, in this update; default: drain.rate.",
)
@click.option("--force", is_flag=True, help="Also a version that was rolled back, or that serves already.")
@click.option("--expect", metavar="VERSION", default="", help="Refuse any other version.")
@click.option("--no-rollback", is_flag=True, help="For releases that the old code cannot follow.")
@click.option("--code-only", is_flag=True, help="Keep the running settings; do not read the configuration.")
@REASON
@TRACE
@TIMEOUT
@service_options
def command(
    service: Service,
    *,
    wait: Wait,
    no_wait: bool,
    now: bool,
    drain_rate: float,
    force: bool,
    expect: str,
    no_rollback: bool,
    code_only: bool,
    reason: str,
    traceparent: str,
    timeout: float,
) -> int:
    """Update to the code on disk. Returns when the new version serves (0) or was refused (4).

    Ctrl-C stops watching, not the update.
    """
    if now and drain_rate:
        raise click.UsageError("--now moves everything at once; --drain-rate says how fast: choose one")
    until: Wait = "none" if no_wait else wait
    request = Reload(
        update="code" if code_only else "config",
        wait=until,
        now=now,
        force=force,
        expect=expect,
        no_rollback=no_rollback,
        drain_rate_per_s=drain_rate,
        reason=reason,
        traceparent=traceparent,
        tracestate=tracestate(),
    )
    return follow(service, request, timeout_s=timeout, wait=until)
