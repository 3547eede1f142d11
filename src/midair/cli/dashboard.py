"""``midair dashboard``: a Grafana dashboard of midair's metrics."""

from __future__ import annotations

import click

from midair.cli.options import Service, service_options


@click.command
@click.option("--title", metavar="TEXT", default="midair", help="Its title; default: midair.")
@click.option("--uid", metavar="TEXT", default="midair", help="Its uid, which links to it contain; default: midair.")
@service_options
def command(service: Service, *, title: str, uid: str) -> int:
    """Print a Grafana dashboard as JSON: import it in Grafana, or have it provisioned."""
    from midair.alerting.dashboard import dashboard

    service.show.json(dashboard(title=title, uid=uid))
    return 0
