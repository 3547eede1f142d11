"""``midair explain CODE``: what an error means, and what to do about it. Asks nobody, but for ``--last``."""

from __future__ import annotations

from collections.abc import Iterable

import click
import msgspec
from click.shell_completion import CompletionItem

from midair.cli.options import Service, service_options
from midair.cli.show import BOLD, moment, version
from midair.control import client
from midair.control.words import Receipt, ReceiptReport
from midair.errors import DONE, Fault, UsageError
from midair.explained import text
from midair.explained.book import GROUPS, explanations, find
from midair.explained.exits import EXITS, Exit
from midair.explained.explanation import Explanation

WIDTH, WIDEST = 88, 110
"""Columns where nobody says how many there are, and those beyond which lines are hard to read."""


def _complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    return [CompletionItem(each.code, help=each.summary) for each in explanations() if each.code.startswith(begun)]


@click.command
@click.argument("code", default="", shell_complete=_complete)
@click.option("--last", is_flag=True, help="Why the latest update of the running service did not commit.")
@service_options
def command(service: Service, *, code: str, last: bool) -> int:
    """Say what the error CODE means and what to do about it; CODE may be an exit code; without: list all codes."""
    if last and code:
        raise click.UsageError("--last asks the service for the code; give one or the other")
    if last:
        return _last(service)
    if code.isdecimal():
        return _exit(service, int(code))
    if not code:
        return _list(service)
    explained = find(code.lower())
    if explained is None:
        raise UsageError(f"there is no error code {code}", hint=_meant(code.lower()))
    if service.show.as_json:
        service.show.json(explained)
        return DONE
    _tell(service, explained)
    return DONE


def _tell(service: Service, explained: Explanation) -> None:
    show = service.show
    show.line(show.styled(explained.code, BOLD, show.out) if show.out.isatty() else explained.code)
    for line in text.lines(explained, min(show.width() or WIDTH, WIDEST)):
        if line in text.HEADS and show.out.isatty():
            show.out.write(show.styled(line, BOLD, show.out) + "\n")
        else:
            show.line(line)


def _meant(code: str) -> str:
    import difflib

    near = difflib.get_close_matches(code, [each.code for each in explanations()], n=3, cutoff=0.75)
    return f"did you mean {' or '.join(near)}?" if near else "midair explain lists all codes"


def _list(service: Service) -> int:
    show = service.show
    if show.as_json:
        show.json([each for _, group in GROUPS for each in group])
        return DONE
    for number, (title, group) in enumerate(GROUPS):
        if number:
            show.line()
        show.out.write(show.styled(title, BOLD, show.out) + "\n")
        _rows(service, group)
    return DONE


def _rows(service: Service, group: Iterable[Explanation]) -> None:
    """A code a line, with what it means."""
    show = service.show
    broad = max(len(each.code) for each in explanations())
    for each in group:
        line = f"  {each.code:{broad}}  {each.summary}"
        show.line(line if not (width := show.width()) or len(line) <= width else f"{line[: width - 1]}…")


def _exit(service: Service, number: int) -> int:
    """What an exit code means, and the codes that may stand behind it."""
    found = next((each for each in EXITS if each.number == number), None)
    if found is None:
        raise UsageError(f"midair has no exit code {number}", hint=f"it has 0 to {EXITS[-1].number}")
    codes = [each for each in explanations() if number in each.exits]
    show = service.show
    if show.as_json:
        show.json(
            {"exit_code": number, "meaning": found.meaning, "do": found.do, "codes": [each.code for each in codes]}
        )
        return DONE
    _tell_exit(service, found)
    if codes:
        show.line()
        show.line("It may be one of these:")
        _rows(service, codes)
    return DONE


def _tell_exit(service: Service, found: Exit) -> None:
    service.show.line(f"exit code {found.number}: {found.meaning}")
    service.show.line(found.do)


# --- the latest update ---------------------------------------------------------------------------------------------


class Ended(msgspec.Struct, frozen=True):
    """Of a receipt, what is told here."""

    number: int
    began: float
    by: str = ""
    result: str = ""
    fault: Fault | None = None
    serving_generation: int = 0
    serving_version: str = ""


def _last(service: Service) -> int:
    report = client.ask_one(service.address(), Receipt(), ReceiptReport)
    ended = msgspec.json.decode(report.document, type=Ended)
    explained = find(ended.fault.code) if ended.fault else None
    show = service.show
    if show.as_json:
        show.json({"update": ended.number, "result": ended.result, "fault": ended.fault, "explanation": explained})
        return DONE
    show.line(_sentence(ended))
    if ended.fault:
        show.line(f"{ended.fault.message}")
        show.line(f"midair receipt {ended.number} tells everything about it")
    if explained:
        show.line()
        _tell(service, explained)
    return DONE


def _sentence(ended: Ended) -> str:
    name = f"update {ended.number} of {moment(ended.began)} ({ended.by})"
    serves = version(ended.serving_version, ended.serving_generation)
    match ended.result:
        case "":
            return f"{name} is under way; midair status shows how far it is"
        case "committed":
            return f"{name} was committed: {serves} serves; there is nothing to explain"
        case result:
            return f"{name} was {result.replace('-', ' ')}" + (f"; {serves} serves" if ended.serving_generation else "")
