"""midair's own pages: whatever is said of an error is text in them."""

from __future__ import annotations

import html
import json
import re

from midair.browser import page
from midair.browser.messages import Error, Hello

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)"> @TITLE@ & <!--'
ERROR = Error(
    phase="import", title="SyntaxError", message=EVIL, file="a.py", line=2, column=3, source=((1, EVIL), (2, "\tx = ("))
)


def test_an_error_s_text_never_becomes_markup() -> None:
    for text in (page.error_page(ERROR), page.waiting_page(Hello(generation=0, status="waiting", error=ERROR))):
        assert text.count("<script") == 1
        assert "<img" not in text
        assert html.escape(EVIL) in text
        value = re.search(r'id="midair-error">(.*?)</script>', text, re.DOTALL)
        assert value is not None
        assert json.loads(value[1])["message"] == EVIL


def test_a_client_that_reads_no_html_gets_the_error_in_lines() -> None:
    text = page.as_text(
        Hello(
            generation=0,
            status="waiting",
            error=Error(
                phase="import",
                title="SyntaxError",
                message="'(' was never closed",
                file="a.py",
                line=2,
                column=6,
                source=((1, "import os"), (2, "\tx = (")),
            ),
        )
    )
    assert text == (
        "midair: no version serves yet\n\nimport (a.py:2:6)\nSyntaxError: '(' was never closed\n\n"
        "  1 | import os\n> 2 | \tx = (\n    | \t    ^\n"
    )
    assert "first one is starting" in page.as_text(Hello(generation=0, status="waiting"))
