"""Other people's words on a page: names of versions, reasons, faults, paths and lines of logs can hold anything at all.

Each is escaped where it is put in, and what no eye can see (control characters, U+202E that turns a line around) is written
out. ``Html`` is what may go into a page as it is; everything else is a ``str`` and goes through ``shown``.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import NewType

from midair.observe.wording import clean

Html = NewType("Html", str)

NOTHING = Html("")


def shown(text: object) -> Html:
    """Text for a page, an attribute's value included."""
    return Html(html.escape(clean(str(text))))


def name(text: str) -> Html:
    """A name that was chosen elsewhere, kept from turning around what stands beside it."""
    return Html(f"<bdi>{shown(text)}</bdi>")


def joined(parts: Iterable[Html], between: str = "") -> Html:
    return Html(between.join(parts))


def element(tag: str, *content: Html, **attributes: object) -> Html:
    """``<tag …>content</tag>``. Attributes' values are escaped; an underscore in a name is a hyphen, and a last one is left out
    (``class_``)."""
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{shown(value)}"' for key, value in attributes.items())
    return Html(f"<{tag}{words}>{joined(content)}</{tag}>")
