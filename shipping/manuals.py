"""The man pages, made from the commands: ``python -m shipping.manuals`` writes them to ``shipping/man``.

A page a command, as git has them; ``midair(1)`` lists them. The wheel brings them in ``share/man``: man(1) finds them beside the
command. A test compares what is committed with what would be written. ``--check`` says which are stale, and changes nothing.

click-man was tried: its NAME ends in "..." where a sentence is long, it knows no exit status, no files and no other pages, and it
writes the day on which it runs into each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from midair import __version__
from midair.cli.app import midair
from midair.cli.commands import COMMANDS, EXIT_CODES, SUMMARY

FOLDER = Path(__file__).parent / "man"
FILES = {
    "midair.toml": "The settings of a service, beside its code.",
    "pyproject.toml": "They may stand here instead, under [tool.midair].",
    "/run/midair/NAME": "The runtime folder: control socket and lock. RUNTIME_DIRECTORY and XDG_RUNTIME_DIR name others.",
}
ENVIRONMENT = {
    "MIDAIR_KEY": "Any key of midair.toml, in capitals, dots as underscores: MIDAIR_DRAIN_TIMEOUT is drain.timeout.",
    "WEB_CONCURRENCY, PORT, FORWARDED_ALLOW_IPS": "As other servers know them; MIDAIR_WORKERS and the like count more.",
    "MIDAIR_TRACEBACK": "1: a bug is reported with its whole traceback.",
}


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    context = click.Context(midair, info_name="midair", **midair.context_settings)
    made = {"midair.1": _overview()}
    for name, summary in COMMANDS.items():
        command = midair.get_command(context, name)
        assert command is not None
        made[f"midair-{name}.1"] = _page(click.Context(command, info_name=name, parent=context), summary)
    return made


def stale() -> list[str]:
    """Files that are not what the code says, those that no command has any more among them."""
    made = pages()
    there = {path.name: path.read_text() for path in FOLDER.glob("*.1")}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


# --- pages ---------------------------------------------------------------------------------------------------------


def _overview() -> str:
    return "\n".join(
        [
            *_head("midair", SUMMARY),
            ".SH SYNOPSIS",
            r".B midair",
            r"\fICOMMAND\fP [\fIOPTIONS\fP]",
            ".SH DESCRIPTION",
            _text("A command finds its service by the folder it is typed in, by -C FOLDER, or by --name NAME."),
            _text("Every command has --json."),
            ".SH COMMANDS",
            *(line for name, text in COMMANDS.items() for line in _item(rf"\fBmidair\-{_text(name)}\fP(1)", text)),
            ".SH OPTIONS",
            *_item(r"\fB\-h\fP, \fB\-\-help\fP", "Show the commands, or a command's options."),
            *_item(r"\fB\-V\fP, \fB\-\-version\fP", "Show the version."),
            *_exit_status(),
            ".SH ENVIRONMENT",
            *(line for name, text in ENVIRONMENT.items() for line in _item(rf"\fB{_text(name)}\fP", text)),
            ".SH FILES",
            *(line for name, text in FILES.items() for line in _item(rf"\fI{_text(name)}\fP", text)),
            "",
        ]
    )


def _page(context: click.Context, summary: str) -> str:
    command = context.command
    lines = [
        *_head(f"midair-{context.info_name}", summary),
        *_synopsis(context),
        ".SH DESCRIPTION",
        *_described(command),
    ]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for name, part in command.commands.items():
            inner = click.Context(part, info_name=name, parent=context)
            lines += [f".SS {_text(name)}", rf"\fB{_text(inner.command_path)}\fP {_usage(inner)}", ".PP"]
            lines += [*_described(part), *_options(inner)]
    elif options := _options(context):
        lines += [".SH OPTIONS", *options]
    return "\n".join([*lines, *_exit_status(), ".SH SEE ALSO", r"\fBmidair\fP(1)", ""])


def _head(name: str, summary: str) -> list[str]:
    # No date: it would differ each day, and say nothing that the version does not say.
    title = f'.TH {_text(name.upper())} 1 "" "midair {__version__}" "User Commands"'
    return [title, ".SH NAME", rf"{_text(name)} \- {_text(summary.removesuffix('.'))}"]


def _synopsis(context: click.Context) -> list[str]:
    return [".SH SYNOPSIS", f".B {_text(context.command_path)}", _usage(context)]


def _usage(context: click.Context) -> str:
    return _text(" ".join(context.command.collect_usage_pieces(context)))


def _exit_status() -> list[str]:
    return [".SH EXIT STATUS", _text(" ".join(EXIT_CODES.partition(": ")[2].split()))]


def _described(command: click.Command) -> Iterator[str]:
    """The paragraphs of its help; those that click leaves as they are, after a backspace, are left so here, too."""
    for place, paragraph in enumerate((command.help or "").split("\n\n")):
        lines = [line.strip() for line in paragraph.strip("\n ").splitlines()]
        if place:
            yield ".PP"
        if lines[:1] == ["\b"]:
            yield from (".RS 4", ".nf", *map(_text, lines[1:]), ".fi", ".RE")
        else:
            yield _text(" ".join(lines))


def _options(context: click.Context) -> list[str]:
    records = [found for param in context.command.get_params(context) if (found := param.get_help_record(context))]
    return [line for names, text in records if names.startswith("-") for line in _item(rf"\fB{_text(names)}\fP", text)]


# --- roff ----------------------------------------------------------------------------------------------------------


def _item(tag: str, text: str) -> list[str]:
    return [".TP", tag, _text(text)]


def _text(plain: str) -> str:
    r"""As roff takes it: a backslash is ``\e``, a hyphen that is to be typed ``\-``, and no line begins with an order."""
    text = plain.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


def main(args: Sequence[str]) -> int:
    """Write what is stale, or with ``--check`` only name it (1: something is)."""
    found, made = stale(), pages()
    for name in found:
        print(f"shipping/man/{name}")
        if "--check" in args:
            continue
        if name in made:
            (FOLDER / name).write_text(made[name])
        else:
            (FOLDER / name).unlink()
    return 1 if found and "--check" in args else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
