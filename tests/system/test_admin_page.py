"""The page on the admin address, in a real browser: it follows an update by itself, and everything of the update can be opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.chromium import Chromium, Tab
from tests.support.service import Service
from tests.support.toml import Setting

WITHIN_S = 20.0
STREAMS = 12
SEEN: dict[str, Setting] = {"admin": {"address": "127.0.0.1:0"}}


@contextmanager
def _streams(service: Service, count: int) -> Iterator[list[socket.socket]]:
    """Clients of responses that do not end, so their connections stay where they are for as long as the clients do."""
    host, _, port = service.url.removeprefix("http://").partition(":")
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            clients.append(stack.enter_context(socket.create_connection((host, int(port)), timeout=10)))
            clients[-1].sendall(b"GET /stream?every=60 HTTP/1.1\r\nhost: x\r\n\r\n")
            assert clients[-1].recv(4096).startswith(b"HTTP/1.1 200")
        yield clients


def _text(tab: Tab, place: str) -> str:
    return str(tab.evaluate(f"document.querySelector({place!r})?.innerText ?? ''"))


def _caption(tab: Tab, words: str) -> None:
    """Wait until the plot of the drain says so."""
    shown = "document.querySelector('#drain svg + .axis + figcaption')?.innerText ?? ''"
    tab.until(shown, WITHIN_S, until=lambda text: words in text)


def _pictures(tab: Tab, folder: Path, what: str) -> None:
    """For whoever wants to look: light and dark, wide and narrow."""
    for scheme in ("light", "dark"):
        tab.prefer(scheme)
        for width in (360, 1600):
            tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=1400, deviceScaleFactor=1, mobile=False)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
            tab.screenshot(folder / f"{what}-{scheme}-{width}.png")
    tab.ask("Emulation.clearDeviceMetricsOverride")


@pytest.mark.slow
def test_the_page_follows_an_update_plots_its_drain_and_opens_its_receipt(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with Service(tmp_path, settings=SEEN) as service, Chromium(tmp_path) as browser:
        tab = browser.open(f"http://{service.status()['admin']}/")
        assert "serving" in _text(tab, "h1")
        assert str(service.settings["name"]) in _text(tab, "h1")
        with _streams(service, STREAMS) as clients:
            tab.until(f"document.querySelector('td[data-label=Open]').innerText >= {STREAMS}", WITHIN_S)
            service.configure(hooks={"before": ["cat", str(gate)]})
            service.write("good", "2")
            update = service.reload_in_background("-m", "<script>document.title='taken'</script>\u202e")
            # Its hook waits for us: the page has all the time to show what is under way.
            tab.until("!!document.querySelector('#update .phases .now')", WITHIN_S)
            gate.write_text("")
            update.communicate(timeout=WITHIN_S)
            tab.until("document.querySelectorAll('#generations tbody tr').length === 2", WITHIN_S)
            _caption(tab, f"{STREAMS} of {STREAMS} connections are not on the serving version yet")
            for client in clients[:5]:
                client.close()
            _caption(tab, f"{STREAMS - 5} of {STREAMS} connections are not on the serving version yet")
            assert tab.evaluate("document.querySelector('#drain .curve').getAttribute('d').split('V').length") >= 3
        _caption(tab, "none was left")
        tab.until("document.querySelectorAll('#generations tbody tr').length === 1", WITHIN_S)
        # Its receipt, by the keyboard.
        tab.until("document.querySelector('#updates li a').innerText === 'Update 2'", WITHIN_S)
        tab.evaluate("document.querySelector('#updates li a').focus()")
        tab.press("Enter")
        tab.until("!!document.querySelector('dialog[open] .phases')", WITHIN_S)
        shown = _text(tab, "dialog")
        for word in ("Update 2", "committed", "build", "cut-over", "probed", "<script>document.title='taken'</script>"):
            assert word in shown, shown
        assert "\u202e" not in shown
        assert "\\x202e" in shown
        _pictures(tab, tmp_path, "receipt")
        tab.press("Escape")
        tab.until("!document.querySelector('dialog[open]')", WITHIN_S)
        _pictures(tab, tmp_path, "page")
        assert tab.evaluate("document.title") == f"{service.settings['name']}: serving"
        assert tab.said() == []
        assert tab.loads() == 1
