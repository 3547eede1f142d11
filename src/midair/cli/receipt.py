"""``midair receipt N``: everything about one update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click
import msgspec

from midair.cli.options import Service, service_options
from midair.control import client
from midair.control.words import Receipt, ReceiptReport


@click.command
@click.argument("number", type=click.IntRange(1), default=None, required=False)
@service_options
def command(service: Service, *, number: int | None) -> int:
    """Show everything about update NUMBER; default: the latest."""
    report = client.ask_one(service.address(), Receipt(number=number or 0), ReceiptReport)
    if service.show.as_json:
        service.show.raw(bytes(report.document).decode())
        return 0
    for line in lines_of(msgspec.json.decode(report.document)):
        service.show.line(line)
    return 0


def lines_of(value: object, indent: str = "") -> Iterator[str]:
    """A JSON document as indented lines: whatever a receipt of a newer midair has in it is shown, too."""
    if isinstance(value, Mapping):
        width = max((len(str(key)) for key, inner in value.items() if is_plain(inner)), default=0)
        for key, inner in value.items():
            if is_plain(inner):
                yield from _named(f"{indent}{key:{width}}  ", plain(inner))
            elif inner:
                yield f"{indent}{key}"
                yield from lines_of(inner, indent + "  ")
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, Mapping) and all(map(is_plain, inner.values())):
                yield indent + "  ".join(f"{key}={plain(part)}" for key, part in inner.items() if plain(part))
            else:
                yield from lines_of(inner, indent + "  ") if not is_plain(inner) else [indent + plain(inner)]
    else:
        yield indent + plain(value)


def _named(head: str, text: str) -> Iterator[str]:
    """A name and its text; further lines of the text stand below its beginning."""
    first, *rest = text.splitlines() or [""]
    yield (head + first).rstrip()
    yield from (" " * len(head) + line for line in rest)


def is_plain(value: object) -> bool:
    return not isinstance(value, (Mapping, list))


def plain(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3f}".rstrip("0").rstrip(".")
        case _:
            return str(value)
