"""The text of a midair.toml: keys in the order of the schema, each with where it came from; and what does not load left out."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator

from midair.config.keys import all_keys
from midair.config.load import load, sources_for_run
from midair.config.problems import BadConfig
from midair.scaffold.evidence import Process, Value
from midair.scaffold.proposal import Choice, Proposal

HEAD = """\
# Made by midair init. What each key means, and all others: midair config --all, docs/configuration.md.
# Would it start: midair check. While you work on it: midair dev. In production: midair run.
"""
COLUMN = 40
"""Comments stand one below the other as far as values are short."""


def text_of(proposal: Proposal) -> str:
    """The whole file."""
    return "".join(f"{line}\n" for line, _ in _lines(proposal))


def without_problems(proposal: Proposal) -> list[tuple[Choice, str]]:
    """Take out of the proposal what would not load, such as a key without its certificate. Returns it with the reasons.

    Raises BadConfig if the reason is nothing that was taken over.
    """
    dropped: list[tuple[Choice, str]] = []
    while found := _misfit(proposal):
        proposal.choices.remove(found[0])
        dropped.append(found)
    return dropped


def _misfit(proposal: Proposal) -> tuple[Choice, str] | None:
    """A choice with which the file does not load, and why."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "midair.toml"), "w", encoding="utf-8") as file:
            file.write(text_of(proposal))
        try:
            load(sources_for_run(folder=folder, environ={}), needs_target=True)
        except BadConfig as exc:
            keys = [key for _, key in _lines(proposal)]
            for problem in exc.problems:
                at_line = re.fullmatch(r"midair\.toml:(\d+)", problem.where)
                key = keys[int(at_line[1]) - 1] if at_line else ""
                for choice in proposal.choices:
                    if choice.key == key or (not at_line and choice.key in problem.message):
                        return choice, problem.message
            raise
    return None


def _lines(proposal: Proposal) -> Iterator[tuple[str, str]]:
    """Each line, with the key that it sets."""
    for line in HEAD.splitlines():
        yield line, ""
    order = {key: number for number, key in enumerate(all_keys())}
    chosen = sorted(proposal.choices, key=lambda choice: order.get(choice.key, len(order)))
    tables: dict[str, list[Choice]] = {}
    for choice in chosen:
        tables.setdefault(_parts(choice.key)[0], []).append(choice)
    for table in sorted(tables, key=bool):
        yield "", ""
        if table:
            yield f"[{table}]", ""
        for choice in tables[table]:
            yield _line(choice), choice.key
    for process in proposal.processes:
        yield from ((line, "") for line in _process(process))
    for hint in proposal.hints:
        if not any(hint[0] == f"[{table}]" for table in tables):
            yield "", ""
            yield from ((f"# {_comment(line)}", "") for line in hint)


def _line(choice: Choice) -> str:
    said = f"{_bare(_parts(choice.key)[1])} = {written(choice.value)}"
    return f"{said:{COLUMN}}  # {_comment(choice.why)}"


def _comment(text: str) -> str:
    """Names of files and what stood in them, without what would end the comment."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _parts(key: str) -> tuple[str, str]:
    """Table and name; a variable's name may have dots of its own."""
    table, dot, name = key.partition(".")
    return (table, name) if dot else ("", table)


def _process(process: Process) -> Iterator[str]:
    yield ""
    yield "[[process]]"
    yield f"name = {written(process.name)}"
    yield f"command = {written(process.command)}  # {_comment(process.where)}"


def _bare(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else written(name)


def written(value: Value) -> str:
    """A value as TOML has it, which is how JSON has it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(written(each) for each in value) + "]"
    # TOML knows no escaped slash and takes anything that is printable as it is.
    return json.dumps(value, ensure_ascii=not str(value).isprintable())
