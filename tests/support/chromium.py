"""A real Chromium without a window, spoken to over a pair of pipes in its own protocol: no driver, no port, no thread.

with Chromium(tmp_path) as browser:
    tab = browser.open(url)
    assert tab.evaluate("document.title") == "shop"
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.support.installed import needs
from tests.support.processes import Process
from tests.support.service import clean_environment
from tests.support.waiting import DidNotHappen, is_readable, wait_for

FLAGS = (
    *("--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu"),
    *("--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-quic", "--disable-dev-shm-usage", "--disable-background-timer-throttling", "--mute-audio"),
    *("--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows", "--password-store=basic"),
    *("--hide-scrollbars", "--window-size=1100,800"),
)
ANSWER_WITHIN_S = 20.0
END_WITHIN_S = 10.0
NEWS_MAX = 10_000


class ProtocolError(AssertionError):
    """Chromium refused what was asked, or a page's script raised."""


class Chromium:
    """One browser. Entered: it runs. Left: it is gone, with all its processes."""

    def __init__(self, tmp: Path) -> None:
        needs("chromium")
        self._profile = tmp / "chromium"
        self._sent = 0
        self._input = b""
        self._answers: dict[int, dict[str, Any]] = {}
        self.news: deque[dict[str, Any]] = deque(maxlen=NEWS_MAX)
        """Events of all tabs, as they came."""

    def __enter__(self) -> Self:
        reads, self._write_fd = os.pipe()
        self._read_fd, writes = os.pipe()
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        # It listens on descriptor 3 and speaks on 4, wherever pytest has put ours.
        line = f'exec chromium "$@" 3<&{reads} 4>&{writes} 2>/dev/null'
        arguments = [*FLAGS, *sandbox, f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", line, "chromium", *arguments],
            env=clean_environment(HOME=str(self._profile)),
            pass_fds=(reads, writes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        return self

    def __exit__(self, *exc: object) -> None:
        # Crashpad's handler is nobody's child: its pipe to the browser ends it.
        family = Process(self._process.pid).descendants
        try:
            self.ask("Browser.close")
            self._process.wait(END_WITHIN_S)
        except (DidNotHappen, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        for each in family:
            each.kill()
        os.close(self._read_fd)
        os.close(self._write_fd)

    def open(self, url: str = "about:blank") -> Tab:
        """A new tab; returns when its page has been loaded."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, target, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            tab.ask(f"{domain}.enable")
        if url != "about:blank":
            tab.go(url)
        return tab

    # --- the protocol: JSON, with a NUL behind each ----------------------------------------------------------------------

    def ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """What Chromium answers. Raises ProtocolError if it refuses, DidNotHappen if it does not answer."""
        self._sent += 1
        number = self._sent
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write_fd, data) :]
        deadline_s = time.monotonic() + ANSWER_WITHIN_S
        while number not in self._answers:
            if not self.listen(deadline_s - time.monotonic()):
                raise DidNotHappen(f"Chromium did not answer {method} within {ANSWER_WITHIN_S} s")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise ProtocolError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def listen(self, within_s: float) -> bool:
        """Take in what Chromium says next. False: it says nothing, or has gone."""
        data = os.read(self._read_fd, 1 << 20) if is_readable(self._read_fd, max(0.0, within_s)) else b""
        if not data:
            return False
        *whole, self._input = (self._input + data).split(b"\0")
        for each in whole:
            message = json.loads(each)
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self.news.append(message)
        return True


class Tab:
    """One page."""

    def __init__(self, browser: Chromium, target: str, session: str) -> None:
        self._browser, self._target, self._session = browser, target, session

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.ask(method, self._session, **parameters)

    def go(self, url: str) -> None:
        """Load a page, to its ``load`` event."""
        self.evaluate("window.__before = true")
        self.ask("Page.navigate", url=url)
        self.until("window.__before !== true && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for. Raises ProtocolError for what it throws."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise ProtocolError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, script: str, within_s: float = 20.0, *, until: Callable[[Any], bool] = bool, what: str = "") -> Any:
        """The expression's value as soon as ``until`` holds for it. A page that is just being replaced is asked again."""

        def look() -> Any:
            try:
                return self.evaluate(script)
            except ProtocolError as error:
                return None if "context" in str(error) or "navigat" in str(error) else str(error)

        return wait_for(look, within_s, until=until, what=what or script)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=_CODES.get(key, 0))

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def prefer(self, scheme: str) -> None:
        """``light`` or ``dark``."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def loads(self) -> int:
        """Documents that were loaded in this tab."""
        self.evaluate("0")  # What has happened so far has been told when this is answered.
        return sum(
            news.get("sessionId") == self._session
            and news["method"] == "Page.frameNavigated"
            and "parentId" not in news["params"]["frame"]
            and news["params"]["frame"]["url"] != "about:blank"
            for news in self._browser.news
        )

    def said(self) -> list[str]:
        """What the page has written to its console, and what the browser complained about."""
        found = []
        for news in self._browser.news:
            if news.get("sessionId") == self._session and news["method"] == "Log.entryAdded":
                found.append(news["params"]["entry"]["text"])
            elif news.get("sessionId") == self._session and news["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(news["params"]["exceptionDetails"]))
        return found

    def close(self) -> None:
        self._browser.ask("Target.closeTarget", targetId=self._target)


_CODES = {"Escape": 27, "Enter": 13}
