"""An explanation as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from midair.explained.explanation import Explanation

HEADS = (
    "What happened",
    "What still serves",
    "Usual causes, the most frequent first",
    "What to type",
    "Next time",
    "See also",
)
"""Of the parts of an explanation, in their order; the pages have the same."""


def lines(explained: Explanation, width: int) -> Iterator[str]:
    """In at most ``width`` columns, but for commands: these are typed, and stay whole."""
    yield from _wrapped(explained.summary, width)
    happened, serves, causes, do, prevent, see = HEADS
    for head, text in ((happened, explained.happened), (serves, explained.serves)):
        if text:
            yield from ("", head)
            yield from _wrapped(text, width, "  ")
    if explained.causes:
        yield from ("", causes)
        for number, cause in enumerate(explained.causes, 1):
            yield from _wrapped(cause, width, "     ", f"  {number}. ")
    if explained.do:
        yield from ("", do)
        for number, step in enumerate(explained.do, 1):
            yield from _wrapped(step.text, width, "     ", f"  {number}. ")
            yield from (f"       $ {command}" for command in step.commands)
    if explained.prevent:
        yield from ("", prevent)
        for text in explained.prevent:
            yield from _wrapped(text, width, "    ", "  - ")
    if explained.see:
        yield from ("", see)
        yield from (f"  {where(each)}" for each in explained.see)


def where(target: str) -> str:
    """Another code is explained by a command; a page is one of the documentation."""
    return f"docs/{target}" if ".md" in target else f"midair explain {target}"


def _wrapped(text: str, width: int, indent: str = "", first: str | None = None) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
