"""The pages that midair answers by itself: nothing to serve yet, and an exception in the application.

Each is an ordinary page: the script comes into it as into any other, and then it refreshes itself. Whatever is said of an error is
text, here and in the script: it is escaped, or a JSON value that no markup can end.
"""

from __future__ import annotations

import functools
import html
import re
from pathlib import Path

from midair.browser import messages
from midair.browser.messages import Error, Hello
from midair.worker.asgi import Send

_POLICY = b"default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; base-uri 'none'"


def waiting_page(hello: Hello) -> str:
    """While there is no version to serve."""
    if hello.error is not None:
        return _page(
            "Waiting for a version that works", "Save a version that starts, and this page becomes it.", hello.error
        )
    return _page("Starting", "The first version is on its way. This page becomes it.", None)


def error_page(error: Error) -> str:
    """An exception left the application while it answered this page."""
    return _page("This page could not be answered", "It is asked for again as soon as a new version serves.", error)


def as_text(hello: Hello) -> str:
    """The same for a client that reads no HTML."""
    if hello.error is None:
        return "midair: no version serves yet; the first one is starting\n"
    return f"midair: no version serves yet\n\n{error_text(hello.error)}"


def error_text(error: Error) -> str:
    """An error in a few lines: what failed, where, and the line itself."""
    place = f" ({where})" if (where := place_of(error)) else ""
    title = f"{error.title}: " if error.title else ""
    lines = [f"{error.phase}{place}", f"{title}{error.message}", ""]
    width = max((len(str(number)) for number, _ in error.source), default=0)
    for number, text in error.source:
        lines.append(f"{'>' if number == error.line else ' '} {number:>{width}} | {text}")
        if number == error.line and error.column:
            # Tabs stand under tabs, so the caret stands where the eye looks.
            lead = "".join("\t" if char == "\t" else " " for char in text[: error.column - 1])
            lines.append(f"  {'':>{width}} | {lead}^")
    return "\n".join(lines).rstrip() + "\n"


def place_of(error: Error) -> str:
    """``shop/orders.py:12:8``, as far as it is known."""
    parts = (error.file, *(str(number) for number in (error.line, error.column if error.line else 0) if number))
    return ":".join(parts) if error.file else ""


async def answer(send: Send, status: int, text: str) -> None:
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", _POLICY),
        (b"retry-after", b"1"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def _page(title: str, text: str, error: Error | None) -> str:
    plain = data = ""
    if error is not None:
        plain = f"<noscript><pre>{html.escape(error_text(error))}</pre></noscript>"
        value = messages.encode(error).decode().replace("<", "\\u003c")
        data = f'<script type="application/json" id="midair-error">{value}</script>'
    values = {"TITLE": html.escape(title), "TEXT": html.escape(text), "PLAIN": plain, "DATA": data}
    return re.sub("@([A-Z]+)@", lambda found: values[found[1]], _template())


@functools.cache
def _template() -> str:
    return (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
