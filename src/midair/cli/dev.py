"""``midair dev``: run a service while it is written."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import asdict

import click
import msgspec

from midair.cli.running import RunCommand, Typed, running_options
from midair.config.layers import FlagValue
from midair.config.load import Override, load


@click.command(cls=RunCommand)
@click.option(
    "-e", "--ext", multiple=True, metavar="LIST", help="Only files with these endings count: ts,tsx; several."
)
@click.option("-i", "--ignore", multiple=True, metavar="PATTERN", help="What never counts, as in .gitignore; several.")
@click.option("--watch", "watched", multiple=True, metavar="PATH", help="Instead of the whole folder; several.")
@click.option("-x", "--exec", "lines", multiple=True, metavar="LINE", help="Shell line that builds it; several.")
@click.option("-d", "--delay", metavar="DURATION", help="How long it must be quiet before a save counts, such as 10ms.")
@click.option("-L", "--legacy-watch", "polls", is_flag=True, help="Compare files from time to time instead.")
@click.option("--expose", is_flag=True, help="Pages of other machines may listen, too: a container's port.")
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
@click.option("--explain", "explained", multiple=True, metavar="PATH", help="Only say why a path counts, or why not.")
@running_options
def command(
    typed: Typed,
    *,
    ext: tuple[str, ...],
    ignore: tuple[str, ...],
    watched: tuple[str, ...],
    lines: tuple[str, ...],
    delay: str | None,
    polls: bool,
    expose: bool,
    opens: bool,
    explained: tuple[str, ...],
) -> int:
    """Run a service while it is written: what is saved is served, and what is broken is not. TARGET, FILE and PROGRAM are those of
    midair run; so are the options.

    \b
    midair dev app.main:app
    midair dev -e ts,tsx --ignore dist --exec 'npm run compile' -- node dist/server.js
    """
    given: dict[str, tuple[str, FlagValue]] = {
        "watch.extensions": ("--ext", tuple(_endings(ext))),
        "watch.ignore": ("--ignore", ignore),
        "watch.paths": ("--watch", watched),
        "build.build": ("--exec", lines),
        "watch.delay": ("--delay", delay or ""),
        "watch.poll": ("--legacy-watch", "always" if polls else ""),
        "dev.expose": ("--expose", expose),
    }
    more = {key: Override(value, flag) for key, (flag, value) in given.items() if value}
    typed = msgspec.structs.replace(typed, overrides=typed.overrides | more, is_dev=True)
    if explained:
        return _explain(typed, explained)
    if os.geteuid() == 0:
        typed.service.show.warning("midair dev runs as root, and so does everything that is saved")
    sources, loaded = typed.load()
    # Imported now, when all that can be wrong with what was typed has been said.
    from midair.dev.loop import DevLoop
    from midair.supervisor.main import run

    return run(loaded.settings, sources, functools.partial(DevLoop, opens=opens))


def _explain(typed: Typed, paths: Iterable[str]) -> int:
    from midair.dev.watching import what_to_watch
    from midair.watch.explain import explain

    sources = typed.service.sources(typed.overrides, is_dev=True)
    begin, show = what_to_watch(load(sources).settings, sources.config), typed.service.show
    found = [explain(begin.folder, begin.watch, path, ignore=begin.ignore, files=begin.files) for path in paths]
    if show.as_json:
        show.json([asdict(each) for each in found])
        return 0
    for each in found:
        show.line(str(each))
        if each.hint:
            show.note(f"hint: {each.hint}")
    return 0


def _endings(lists: Iterable[str]) -> Iterable[str]:
    """``ts,tsx``, ``.ts`` and ``*.ts`` are all typed."""
    return (ending for text in lists for word in text.split(",") if (ending := word.strip().lstrip("*.")))
