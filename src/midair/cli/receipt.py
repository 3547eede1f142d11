"""``midair receipt N``: everything about one update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeGuard

import click
import msgspec

from midair.cli.options import Service, service_options
from midair.cli.show import moment
from midair.control import client
from midair.control.words import Receipt, ReceiptReport
from midair.errors import DONE, NOT_RUNNING, NotRunning


@click.command
@click.argument("number", type=click.IntRange(1), default=None, required=False)
@service_options
def command(service: Service, *, number: int | None) -> int:
    """Show everything about update NUMBER; default: the latest; also of a service that does not run (exit 5)."""
    code = DONE
    try:
        document = bytes(client.ask_one(service.address(), Receipt(number=number or 0), ReceiptReport).document)
    except NotRunning:
        document, code = _left(service, number), NOT_RUNNING
        if not document:
            raise
    if service.show.as_json:
        service.show.raw(document.decode())
        return code
    for line in lines_of(msgspec.json.decode(document)):
        service.show.line(line)
    return code


def _left(service: Service, number: int | None) -> bytes:
    from midair.cli.past import receipts_of

    found = next((each for each in receipts_of(service) if number in (None, each.number)), None)
    return msgspec.json.encode(found) if found else b""


def lines_of(value: object, indent: str = "") -> Iterator[str]:
    """A JSON document as indented lines: whatever a receipt of a newer midair has in it is shown, too."""
    match value:
        case Mapping():
            width = max((len(str(key)) for key, inner in value.items() if is_plain(inner)), default=0)
            for key, inner in value.items():
                if is_plain(inner):
                    yield from _named(
                        f"{indent}{key:{width}}  ", moment(inner) if is_moment(key, inner) else plain(inner)
                    )
                elif inner:
                    yield f"{indent}{key}"
                    yield from lines_of(inner, indent + "  ")
        case list():
            for inner in value:
                yield indent + "  ".join(pairs(inner)) if isinstance(inner, Mapping) else indent + plain(inner)
        case _:
            yield indent + plain(value)


def pairs(value: Mapping[str, object]) -> Iterator[str]:
    """``name=text`` of everything in a table of a list, and in the tables inside it: one line an event."""
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from pairs(inner)
        elif text := plain(inner):
            yield f"{key}={text!r}" if " " in text or "\n" in text else f"{key}={text}"


def is_moment(key: str, value: object) -> TypeGuard[float]:
    return key in ("began", "time_s") and isinstance(value, float)


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
