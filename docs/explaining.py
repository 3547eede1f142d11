"""The pages of the error codes, one each, and the tables that lead to them: out of ``midair explain``'s texts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from docs.markdown import markdown_table

from midair.explained.book import GROUPS, explanations
from midair.explained.explanation import Explanation, Step
from midair.explained.text import HEADS

DOCS = Path(__file__).parent
FOLDER = "errors"
"""Of the pages, in ``docs``."""


def pages() -> dict[str, Callable[[], str]]:
    """Each page's file, and what makes it."""
    return {f"{FOLDER}/{each.code}.md": partial(page, each) for each in explanations()}


def tables() -> str:
    """Every code with its page, group by group: their index."""
    text = ""
    for title, group in GROUPS:
        rows = [(f"[`{each.code}`]({FOLDER}/{each.code}.md)", exits(each), each.summary) for each in group]
        text += f"## {title}\n\n" + markdown_table(("code", "exit", "meaning"), rows) + "\n"
    return text


def exits(explained: Explanation) -> str:
    return ", ".join(map(str, explained.exits))


def page(explained: Explanation) -> str:
    happened, serves, causes, do, prevent, see = HEADS
    text = f"# {explained.code}\n\n{explained.summary}\n"
    if explained.exits:
        text += f"\nExit code: {' or '.join(map(str, explained.exits))}.\n"
    if explained.shown:
        text += "\n```console\n" + "".join(f"{line}\n" for line in explained.shown) + "```\n"
    text += f"\n## {happened}\n\n{explained.happened}\n\n## {serves}\n\n{explained.serves}\n"
    text += f"\n## {causes}\n\n" + "".join(f"{number}. {cause}\n" for number, cause in enumerate(explained.causes, 1))
    text += f"\n## {do}\n\n" + "".join(_step(number, step) for number, step in enumerate(explained.do, 1))
    if explained.prevent:
        text += f"\n## {prevent}\n\n" + "".join(f"- {each}\n" for each in explained.prevent)
    return text + f"\n## {see}\n\n" + "".join(f"- {_link(each)}\n" for each in explained.see)


def _step(number: int, step: Step) -> str:
    return f"{number}. {step.text}\n" + "".join(f"    - `{command}`\n" for command in step.commands)


def _link(target: str) -> str:
    if ".md" not in target:
        return f"[`{target}`]({target}.md)"
    title = (DOCS / target.partition("#")[0]).read_text().partition("\n")[0].removeprefix("# ")
    return f"[{title}](../{target})"
