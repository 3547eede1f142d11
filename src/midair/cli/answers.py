"""Ask once and print the answer: what the short commands have in common."""

from __future__ import annotations

from midair.cli.options import Service
from midair.cli.show import json_of
from midair.control import client
from midair.control.words import Done, Request


def done(service: Service, request: Request) -> int:
    """Ask for something that is done at once, and say so."""
    answer = client.ask_one(service.address(), request, Done)
    if service.show.as_json:
        service.show.json(json_of(answer))
    else:
        service.show.line(answer.note or "done")
    return 0
