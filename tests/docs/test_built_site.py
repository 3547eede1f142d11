"""The site as `make docs` has built it: it loads nothing from elsewhere, is found through, and fits on a small screen."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.chromium import Chromium, Tab

BUILT = Path(__file__).parent.parent.parent / "build" / "docs" / "site"
LOADS = re.compile(r"<(?:script|link|img|iframe|source|video|audio|embed|object|form|base)\b[^>]*>")
LATER = re.compile(r"""class="[^"]*\b(?:mermaid|glightbox|pyodide)\b""")
"""What the theme's script fetches a library for, once it sees it."""
ELSEWHERE = re.compile(r"""(?:src|srcset|href|data|action)=["']?(?:\w+:)?//""")


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    if not (BUILT / "index.html").is_file():
        if os.environ.get("CI") == "true":
            pytest.fail("the site is not built: make docs")
        pytest.skip("the site is not built: make docs")


def test_no_page_loads_anything_from_elsewhere() -> None:
    pages = list(BUILT.rglob("*.html"))
    assert len(pages) > 60
    tags = [(page.name, tag[0]) for page in pages for tag in LOADS.finditer(page.read_text())]
    assert len(tags) > 200, "the search finds nothing any more"
    assert [(name, tag) for name, tag in tags if ELSEWHERE.search(tag)] == []
    assert [page.name for page in pages if LATER.search(page.read_text())] == []


def test_no_style_loads_anything_from_elsewhere() -> None:
    styles = [*BUILT.rglob("*.css"), *BUILT.rglob("*.html")]
    assert [
        style.name for style in styles if re.search(r"""url\(["']?(?:https?:)?//|@import""", style.read_text())
    ] == []


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The site, served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(BUILT))) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, built: None) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("site")) as chromium:
        yield chromium


@pytest.fixture
def tab(browser: Chromium) -> Iterator[Tab]:
    tab = browser.open()
    yield tab
    tab.close()


def asked_for(browser: Chromium) -> set[str]:
    """The addresses of all that the browser has asked for."""
    requests = [
        news["params"]["request"]["url"] for news in browser.news if news["method"] == "Network.requestWillBeSent"
    ]
    return {url for url in requests if not url.startswith(("data:", "blob:"))}


def test_a_page_with_its_scripts_asks_nobody_else(browser: Chromium, tab: Tab, address: str) -> None:
    tab.go(address + "configuration.html")
    tab.until(
        "document.querySelectorAll('button.md-code__button, .md-clipboard').length > 0", what="buttons to copy code"
    )
    assert [url for url in asked_for(browser) if not url.startswith(address)] == []
    assert tab.said() == []


def test_a_code_that_is_searched_for_leads_to_its_page(browser: Chromium, tab: Tab, address: str) -> None:
    tab.go(address + "index.html")
    tab.until("document.querySelector('.md-search__button') !== null")
    dialog = "[...document.querySelectorAll('div')].map(each => each.shadowRoot).find(each => each)"
    tab.evaluate("document.querySelector('.md-search__button').click()")
    tab.until(f"{dialog}?.activeElement?.matches('input')", what="a field to type into")
    tab.ask("Input.insertText", text="carry-meets")
    first = f"{dialog}.querySelector('[role=listbox] a')?.href"
    tab.until(first, until=lambda href: "/errors/carry-meets.html" in str(href), what="the page of that code")
    assert [url for url in asked_for(browser) if not url.startswith(address)] == []


def test_what_is_copied_of_a_console_is_what_is_typed_there(tab: Tab, address: str) -> None:
    tab.go(address + "overview.html")
    code = "[...document.querySelectorAll('.language-console code')].find(each => each.innerText.includes('curl'))"
    shown = tab.evaluate(f"{code}.innerText").splitlines()
    tab.evaluate(f"{code}.setAttribute('data-md-copying', '')")  # as the theme's script does while it copies
    copied = [line for line in tab.evaluate(f"{code}.innerText").splitlines() if line]
    typed = [line.removeprefix("$ ") for line in shown if line.startswith("$ ")]
    assert len(typed) < len(shown)
    assert copied == typed


@pytest.mark.parametrize("page", ["index.html", "configuration.html", "differences.html", "metrics.html"])
def test_wide_tables_do_not_break_a_page_on_a_phone(tab: Tab, address: str, page: str) -> None:
    tab.ask("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=1, mobile=True)
    tab.go(address + page)
    assert tab.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [360, 360]
