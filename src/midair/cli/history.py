"""``midair history``: the updates, newest first."""

from __future__ import annotations

from collections.abc import Sequence

import click

from midair.cli.options import Service, service_options
from midair.cli.show import age, json_of, moment, why
from midair.control import client
from midair.control.words import History, HistoryReport, ReceiptLine
from midair.errors import DONE, NOT_RUNNING, NotRunning


@click.command
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, help="How many; default: 20.")
@service_options
def command(service: Service, *, limit: int) -> int:
    """List the updates, newest first; of a service that does not run, those that it has left (exit 5)."""
    code = DONE
    try:
        report = client.ask_one(service.address(), History(limit=limit), HistoryReport)
    except NotRunning:
        report, code = _left(service, limit), NOT_RUNNING
        if not report.receipts:
            raise
    if service.show.as_json:
        service.show.json(json_of(report))
    elif report.receipts:
        service.show.table(*receipt_rows(report.receipts))
    else:
        service.show.note("no update yet")
    return code


def _left(service: Service, limit: int) -> HistoryReport:
    from midair.cli.past import receipts_of
    from midair.supervisor.ledger import line_of

    return HistoryReport(receipts=tuple(line_of(receipt, receipt.began_s) for receipt in receipts_of(service)[:limit]))


def receipt_rows(receipts: Sequence[ReceiptLine]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows of a table of updates."""
    heads = ("UPDATE", "BEGAN", "RESULT", "FROM", "TO", "TOOK", "BY", "WHY")
    rows: list[tuple[str, ...]] = [
        (
            str(receipt.number),
            moment(receipt.time_s),
            receipt.result,
            receipt.source,
            receipt.target,
            age(receipt.duration_s),
            receipt.by,
            why(receipt),
        )
        for receipt in receipts
    ]
    return heads, rows
