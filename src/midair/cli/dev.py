"""``midair dev``: run a service while it is written."""

from __future__ import annotations

import os
from dataclasses import replace

import click

from midair.cli.running import RunCommand, Typed, running_options
from midair.config.load import Override


@click.command(cls=RunCommand)
@click.option(
    "-e", "--ext", multiple=True, metavar="LIST", help="Only files with these endings count: ts,tsx; several."
)
@click.option("-i", "--ignore", multiple=True, metavar="PATTERN", help="What never counts, as in .gitignore; several.")
@click.option("--watch", "watch_paths", multiple=True, metavar="PATH", help="Instead of the whole folder; several.")
@click.option("-x", "--exec", "exec_line", multiple=True, metavar="LINE", help="Shell line that builds it; several.")
@running_options
def command(
    typed: Typed,
    *,
    ext: tuple[str, ...],
    ignore: tuple[str, ...],
    watch_paths: tuple[str, ...],
    exec_line: tuple[str, ...],
) -> int:
    """Run a service while it is written: what is saved is served, and what is broken is not."""
    endings = tuple(word.strip().lstrip("*.") for text in ext for word in text.split(",") if word.strip())
    given = {"watch.extensions": ("--ext", endings), "watch.ignore": ("--ignore", ignore)}
    given |= {"watch.paths": ("--watch", watch_paths), "build.build": ("--exec", exec_line)}
    more = {key: Override(value, flag) for key, (flag, value) in given.items() if value}
    if os.geteuid() == 0:
        typed.service.show.warning("midair dev runs as root, and so does everything that is saved")
    sources, loaded = replace(typed, overrides=typed.overrides | more, is_dev=True).load()
    # Imported now, when all that can be wrong with what was typed has been said.
    from midair.dev.loop import DevLoop
    from midair.supervisor.main import run

    return run(loaded.settings, sources, DevLoop)
