"""A page of the documentation as its reader meets it: files to write and commands to type, in the order in which they stand.

    ```console                    a block of commands; no other kind of block is one
    $ midair reload --wait \\
    > drained                     a command that ends with a backslash goes on after ``> ``
    committed: …                  what it prints
    …                             any number of lines
    ```

    In `app.py`:                  a line that ends so, directly before a block of any kind, names the file that the block is

Pure: text in, steps out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PROMPT = "$ "
CONTINUED = "> "
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+)(?P<kind>\w*).*$")
NAMES_A_FILE = re.compile(r"`(?P<name>[\w./@-]+)`:$")


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed, and what the page says that it prints. line: where it stands on the page, from 1."""

    typed: str
    shown: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class File:
    """What is written, and into which file: a path, relative to where the reader is by then."""

    name: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Block:
    """Fenced lines. before: the last line of text above them, if nothing is in between."""

    kind: str
    lines: tuple[str, ...]
    line: int
    before: str


class BadPage(ValueError):
    """A block that does not say what is typed."""


def steps(text: str) -> list[Command | File]:
    """What the reader of the page does, in order. Raises BadPage."""
    return [step for block in blocks(text) for step in _steps(block)]


def sections(text: str) -> list[str]:
    """The headings that have commands below them, before the next one."""
    heads = [line.lstrip("# ") for line in _without_blocks(text) if line.startswith("#")]
    return [head for head in heads if any(isinstance(step, Command) for step in steps(part(text, head)))]


def part(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one; before it as many empty lines as it takes for line numbers to be the page's.
    Raises BadPage."""
    lines, found = _without_blocks(text), range(0)
    heads = [number for number, line in enumerate(lines) if line.startswith("#")]
    for number, after in zip(heads, [*heads[1:], len(lines)], strict=True):
        if lines[number].lstrip("# ") == heading:
            found = range(number + 1, after)
    if not found:
        raise BadPage(f"there is nothing below a heading {heading!r}")
    return "\n" * found.start + "\n".join(text.splitlines()[found.start : found.stop]) + "\n"


def _without_blocks(text: str) -> list[str]:
    """The lines, empty where they are inside of a block: there a ``#`` is no heading."""
    lines = text.splitlines()
    for block in blocks(text):
        lines[block.line - 1 : block.line - 1 + len(block.lines)] = [""] * len(block.lines)
    return lines


def blocks(text: str) -> Iterator[Block]:
    """Every fenced block of the page. Raises BadPage for one that does not end."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        opening = FENCE.match(lines[at])
        if opening is None:
            at += 1
            continue
        indent, fence = opening["indent"], opening["fence"]
        end = next((i for i in range(at + 1, len(lines)) if lines[i] == indent + fence), None)
        if end is None:
            raise BadPage(f"line {at + 1}: the block does not end")
        inside = tuple(line.removeprefix(indent) for line in lines[at + 1 : end])
        yield Block(opening["kind"], inside, at + 2, _text_before(lines[:at]))
        at = end + 1


def _text_before(lines: list[str]) -> str:
    """The line of text that a block follows; an empty line may be in between."""
    if lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines[-1].strip() if lines else ""


def _steps(block: Block) -> Iterator[Command | File]:
    named = NAMES_A_FILE.search(block.before)
    if named is not None:
        yield File(named["name"], "".join(f"{line}\n" for line in block.lines), block.line)
    elif block.kind == "console":
        yield from _commands(block)


def _commands(block: Block) -> Iterator[Command]:
    found: list[tuple[str, list[str], int]] = []
    typing = False
    for number, line in enumerate(block.lines, block.line):
        if line.startswith(PROMPT):
            found.append((line.removeprefix(PROMPT), [], number))
        elif not found:
            raise BadPage(f"line {number}: a block of commands begins with a command ({PROMPT!r}), not with {line!r}")
        elif typing and not line.startswith(CONTINUED):
            raise BadPage(f"line {number}: the command above goes on, so this line begins with {CONTINUED!r}")
        elif typing:
            found[-1] = (f"{found[-1][0]}\n{line.removeprefix(CONTINUED)}", [], found[-1][2])
        else:
            found[-1][1].append(line)
        typing = found[-1][0].endswith("\\") and not found[-1][1]
    for typed, shown, number in found:
        yield Command(typed, tuple(shown), number)
