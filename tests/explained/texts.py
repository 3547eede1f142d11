"""What stands in the explanations: commands, and words in backticks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from midair.cli.app import midair
from midair.explained.explanation import Explanation

BEFORE = re.compile(r"^(?:[A-Z_]+=\S+ |sudo (?:-u \S+ )?|\S+ && )*")
"""What may stand in front of a command."""
AFTER = re.compile(r" (?:&&|\||>) .*$")


def sentences(explained: Explanation) -> Iterator[str]:
    yield from (explained.summary, explained.happened, explained.serves)
    yield from (*explained.causes, *(step.text for step in explained.do), *explained.prevent)


def typed(explained: Explanation) -> Iterator[str]:
    """Commands as a reader types them."""
    for step in explained.do:
        yield from step.commands
    yield from (line.removeprefix("$ ") for line in explained.shown if line.startswith("$ "))


def mentioned(explained: Explanation) -> Iterator[str]:
    """Commands that sentences name, perhaps without what has to follow."""
    yield from (code for code in codes(explained) if BEFORE.sub("", code).startswith("midair "))


def codes(explained: Explanation) -> Iterator[str]:
    """What stands in backticks."""
    for text in sentences(explained):
        yield from re.findall(r"`([^`]+)`", text)


def of_midair(command: str) -> list[str] | None:
    """The words of a command of midair's, without its name; None: it is another program's."""
    plain = AFTER.sub("", BEFORE.sub("", command))
    if not plain.startswith("midair "):
        return None
    return shlex.split(plain)[1:]


def refusal(words: list[str], *, is_whole: bool = True) -> str:
    """Why the command line would not take these words; empty: it would. Nothing is run. is_whole: nothing has to follow them."""
    if words in (["--version"], ["--help"]):
        return ""
    # With its settings: a command remembers the help option that it is first asked for.
    context = click.Context(midair, info_name="midair", **midair.context_settings)
    command: click.Command | None = midair
    name: str | None = "midair"
    try:
        while isinstance(command, click.Group) and words:
            name, command, words = command.resolve_command(context, words)
        assert command is not None
        command.make_context(name, [word for word in words if word != "--help"], parent=context)
    except (click.MissingParameter, click.BadOptionUsage) as error:
        return error.format_message() if is_whole else ""
    except click.ClickException as error:
        return error.format_message()
    return ""
