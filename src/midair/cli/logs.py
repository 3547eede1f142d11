"""``midair logs``: what the workers printed."""

from __future__ import annotations

import click

from midair.cli.follow import json_of
from midair.cli.options import Service, service_options
from midair.control import client
from midair.control.words import LogLine, LogLines, Logs


@click.command
@click.option("-g", "--generation", type=click.IntRange(1), help="Of this generation; default: the serving one.")
@click.option("-f", "--follow", "is_following", is_flag=True, help="And what they print from now on; until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(1, 10_000), default=200, help="How many; default: 200.")
@service_options
def command(service: Service, *, generation: int | None, is_following: bool, lines: int) -> int:
    """Show the last lines that the service's workers printed."""
    request = Logs(generation=generation or 0, follow=is_following, limit=lines)
    timeout_s = 0.0 if is_following else client.ANSWER_WITHIN_S
    try:
        for answer in client.ask(service.address(), request, timeout_s=timeout_s):
            if isinstance(answer, LogLines):
                _show(service, answer)
    except KeyboardInterrupt:
        return 0
    return 0


def _show(service: Service, answer: LogLines) -> None:
    if answer.dropped and not service.show.as_json:
        service.show.note(f"{answer.dropped} lines before these were not kept")
    for line in answer.lines:
        if service.show.as_json:
            service.show.json(json_of(line))
        else:
            service.show.raw(f"{_who(line)} | {line.text}")


def _who(line: LogLine) -> str:
    return f"{line.generation}.{line.slot}" if line.slot >= 0 else f"{line.generation}  "
