"""Where in a page the script goes: behind its prologue, which is all that may stand before the first thing of the page itself.

    [BOM] [<?xml …?>] [<!doctype …>] [<html …>] [<head …>] [<meta charset …>]  with white space and comments between

Nothing behind it is looked at: whatever reads like a tag there may be a text, a comment or a script. The script must come behind
a doctype, or the page is rendered in quirks mode, and behind a charset that comes at once, because browsers look for that in the
first 1024 bytes only. Pure.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

PROLOGUE_MAX_BYTES = 16 * 1024
"""A page that has not begun by then is left as it is."""

_ATTRIBUTES = rb"""(?:[^>"']|"[^"]*"|'[^']*')*>"""
_PIECE = re.compile(
    rb"""(?:\s+ | \xef\xbb\xbf | <!--(?!>|->).*?--> | <\?xml[^>]*> |
    (?P<doctype><!doctype[^>]*>) | (?P<html><html(?=[\s>/])%b) | (?P<head><head(?=[\s>/])%b) |
    (?P<meta><meta(?=[\s/])%b))"""
    % (_ATTRIBUTES, _ATTRIBUTES, _ATTRIBUTES),
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_CHARSET = re.compile(rb"charset\s*=", re.IGNORECASE)
_BODY = re.compile(rb"<(?:body|frameset)(?=[\s>/])", re.IGNORECASE)
_BEGINNINGS = (b"<!doctype", b"<html ", b"<head ", b"<meta ", b"<body ", b"<?xml", b"<!--", b"\xef\xbb\xbf")


class Found(NamedTuple):
    """What the beginning of a response is."""

    kind: Literal["page", "fragment", "unknown"]
    """``unknown``: more of it is needed."""
    at: int = 0
    """Of a page: where the script goes. Of a fragment: where it would."""


def look(start: bytes, *, is_all: bool) -> Found:
    """Judge the first bytes of a response. is_all: there are no more."""
    at, is_page = 0, False
    while piece := _PIECE.match(start, at):
        kind = piece.lastgroup
        if kind == "meta" and not _CHARSET.search(piece[0]):
            break
        is_page = is_page or kind in ("doctype", "html", "head")
        at = piece.end()
        if kind == "meta":
            break
    rest = start[at:]
    if _may_go_on(rest) and not is_all and len(start) < PROLOGUE_MAX_BYTES:
        return Found("unknown")
    if is_page or _BODY.match(rest):
        return Found("page", at)
    return Found("fragment", at)


def _may_go_on(rest: bytes) -> bool:
    """What has come so far may still become a piece of the prologue."""
    lower = rest[:16].lower()
    if not lower:
        return True
    if any(beginning.startswith(lower) for beginning in _BEGINNINGS):
        return True
    # Begun, and its end has not come yet. White space stands for whatever may follow a tag's name.
    tags = (b"<!doctype", b"<html", b"<head", b"<meta", b"<?xml")
    if lower.startswith(b"<!--"):
        return b"-->" not in rest
    return any(lower.startswith(tag) and lower[len(tag) : len(tag) + 1] in b" \t\r\n\f/" for tag in tags) and (
        _PIECE.match(rest) is None
    )
