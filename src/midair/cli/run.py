"""``midair run``: start a service."""

from __future__ import annotations

import click

from midair.cli.running import RunCommand, Typed, running_options


@click.command(cls=RunCommand)
@running_options
def command(typed: Typed) -> int:
    """Run a service: TARGET is module:attribute of an ASGI or WSGI application, FILE a program that calls midair.serve(),
    PROGRAM any program that takes sockets as systemd passes them. Without any, midair.toml says what.

    \b
    midair run app.main:app --bind 127.0.0.1:8000 --workers 2
    midair run --main main.py
    midair run --bind :8000 -- ./server --flag
    """
    sources, loaded = typed.load()
    # Imported now, when all that can be wrong with what was typed has been said.
    from midair.supervisor.main import run

    return run(loaded.settings, sources)
