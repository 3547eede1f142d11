"""The whole loop in a real Chromium: saved, and the page is the new one; broken, and the page says why."""

from __future__ import annotations

import re
import shutil
import time
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from midair.__main__ import main
from tests.support.chromium import Chromium, Tab
from tests.support.installed import needs, needs_npm
from tests.support.service import APPS
from tests.support.waiting import wait_for
from tests.support.watched import Watched

pytestmark = pytest.mark.slow

LISTENS = "!!window.__midair && !!window.__midair.state.socket && window.__midair.state.socket.readyState === 1"
PANEL = "document.querySelector('midair-panel')?.shadowRoot.querySelector('.back')"
BADGE = "document.querySelector('midair-panel')?.shadowRoot.querySelector('.badge')?.textContent ?? ''"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def shop(tmp: Path) -> Watched:
    """With an editor that writes down what it is asked to open."""
    editor, opened = tmp / "editor", tmp / "opened"
    editor.write_text(f'#!/bin/sh\nprintf "%s " "$@" > {opened}.new && mv {opened}.new {opened}\n')
    editor.chmod(0o755)
    developed = Watched(tmp, settings={"dev": {"editor": f"{editor} {{file}} {{line}}"}})
    developed.save("static/shop.css", "h1 { color: rgb(1, 2, 3) }")
    developed.save("static/shop.js", "window.loaded = 1")
    return developed


@pytest.fixture(scope="module")
def one_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with shop(tmp_path_factory.mktemp("shop")) as developed:
        serves(developed, b"shop 1")
        # A file that has changed while midair was at rest is known as a person's; tests follow each other faster than people.
        rest_s = time.monotonic() + 0.7
        wait_for(lambda: time.monotonic() > rest_s)
        developed.save("app.py", (developed.folder / "app.py").read_text() + "\n")
        wait_for(lambda: generation(developed), until=lambda seen: seen > 1)
        yield developed


def serves(service: Watched, part: bytes, within_s: float = 30.0) -> None:
    """Wait until its page has this in it, and not the stand-in's."""

    def page() -> bytes:
        return service.get(timeout_s=within_s)[1]

    wait_for(page, within_s, until=lambda text: part in text, what=f"{part!r} to be served")


@pytest.fixture
def service(one_for_all: Watched) -> Watched:
    """At version 1, whatever another test has left, and settled there."""
    found = generation(one_for_all)
    text = (APPS / "shop_page.py").read_text()
    one_for_all.save("app.py", f"{text}\n# {uuid.uuid4()}\n")
    one_for_all.save("static/shop.css", "h1 { color: rgb(1, 2, 3) }")
    wait_for(lambda: generation(one_for_all), until=lambda seen: seen > found)
    return one_for_all


def generation(service: Watched) -> int:
    """The one that answers, as its page says."""
    found = re.search(rb"client\.js\?t=[^&]+&amp;g=(\d+)", service.get()[1])
    assert found is not None
    return int(found[1])


def opened(chromium: Chromium, url: str) -> Tab:
    """A tab whose page listens."""
    tab = chromium.open(url)
    tab.until(LISTENS)
    return tab


def title(tab: Tab, wanted: str) -> None:
    tab.until("document.title", until=lambda seen: bool(seen == wanted), what=f"the title {wanted!r}")


def shown(tab: Tab, part: str, within_s: float = 20.0) -> str:
    """The text of a part of the panel."""
    return str(tab.until(f"{PANEL}?.querySelector('{part}')?.textContent", within_s))


def gone(tab: Tab, within_s: float = 20.0) -> None:
    tab.until(f"!({PANEL})", within_s, what="the end of the panel")


def test_a_saved_version_is_in_every_tab_with_scroll_focus_and_typing_kept(
    chromium: Chromium, service: Watched
) -> None:
    tabs = [opened(chromium, service.url) for _ in range(2)]
    first = tabs[0]
    first.evaluate("""(() => {
      const field = document.querySelector("[name=other]");
      field.focus(); field.value = "half a sen"; field.setSelectionRange(4, 6);
      document.querySelector("[name=secret]").value = "hush";
      scrollTo(0, 1234);
    })()""")
    service.change("app.py", 'VERSION = "1"', 'VERSION = "2"')
    for tab in tabs:
        title(tab, "shop 2")
        tab.until(LISTENS)
    kept = """(() => { const field = document.activeElement; return [field.name, field.value, field.selectionStart, scrollY,
      document.querySelector("[name=secret]").value, Object.keys(sessionStorage).includes("midair:kept")] })()"""
    first.until(kept, until=lambda seen: seen == ["other", "half a sen", 4, 1234, "", False])
    assert [tab.loads() for tab in tabs] == [2, 2]
    for tab in tabs:
        tab.close()


def test_a_style_sheet_is_swapped_without_a_reload_and_a_script_is_not(chromium: Chromium, service: Watched) -> None:
    tab = opened(chromium, service.url)
    tab.evaluate("window.survives = 'yes'")
    service.save("static/shop.css", "h1 { color: rgb(9, 8, 7) }")
    colour = "getComputedStyle(document.querySelector('h1')).color"
    tab.until(colour, until=lambda seen: bool(seen == "rgb(9, 8, 7)"), what="the new style")
    tab.until("document.querySelectorAll('link').length === 1", what="the end of the old sheet")
    assert (tab.evaluate("window.survives"), tab.loads()) == ("yes", 1)
    service.save("static/shop.js", "window.loaded = 2")
    tab.until("window.loaded === 2", what="the new script")
    assert tab.loads() == 2
    # Whoever has typed something is asked first.
    tab.evaluate("document.querySelector('[name=name]').value = 'me'")
    service.save("static/shop.js", "window.loaded = 3")
    tab.until(BADGE, until=lambda seen: "shop.js has changed" in (seen or ""))
    assert tab.loads() == 2
    tab.close()


EVIL = "<img src=x onerror='window.hit=1'>"


def test_a_broken_save_is_explained_until_it_is_mended(chromium: Chromium, service: Watched) -> None:
    tab = opened(chromium, service.url)
    good = (service.folder / "app.py").read_text()
    service.save("app.py", good + f'\ndef broken():\n    answer = ("{EVIL}"\n    return answer\n')
    assert "is still serving, your save is not live" in shown(tab, ".foot")
    assert shown(tab, ".title") == "SyntaxError"
    assert shown(tab, ".phase") == "import"
    line = good.count("\n") + 3
    assert shown(tab, ".place") == f"app.py:{line}:14"
    assert shown(tab, ".row.hit .text") == f'    answer = ("{EVIL}"'
    tab.evaluate(f"{PANEL}.querySelector('button.place').click()")
    asked = service.folder.parent / "opened"
    wait_for(asked.exists, what="the editor")
    assert asked.read_text() == f"{service.folder.resolve()}/app.py {line} "
    # Text, whatever is in it: nothing of it became an element, and nothing ran.
    assert tab.evaluate(f"{PANEL}.querySelectorAll('img').length + (window.hit || 0)") == 0
    # A page that comes meanwhile is the last good version, and says the same.
    other = opened(chromium, service.url)
    title(other, "shop 1")
    assert shown(other, ".title") == "SyntaxError"
    # Out of the way for who wants to read the page; the next trouble is shown again.
    tab.press("Escape")
    gone(tab)
    service.save("app.py", good + f"\nraise ValueError({EVIL!r})\n")
    assert shown(tab, ".message") == EVIL
    assert tab.evaluate(f"{PANEL}.querySelectorAll('img').length + (window.hit || 0)") == 0
    service.save("app.py", good.replace('VERSION = "1"', 'VERSION = "2"'))
    for each in (tab, other):
        title(each, "shop 2")
        gone(each)
        each.close()


def test_what_is_taken_back_takes_the_panel_with_it_and_loads_nothing(chromium: Chromium, service: Watched) -> None:
    tab = opened(chromium, service.url)
    good = (service.folder / "app.py").read_text()
    service.save("app.py", "def broken(:\n")
    assert shown(tab, ".title") == "SyntaxError"
    service.save("app.py", good)
    gone(tab)
    tab.close()


def test_the_stand_in_s_page_says_what_is_wrong_and_becomes_the_first_version(
    chromium: Chromium, tmp_path: Path
) -> None:
    service = shop(tmp_path)
    good = (service.folder / "app.py").read_text()
    service.save("app.py", "def broken(:\n")
    with service:
        tab = opened(chromium, service.url)
        assert shown(tab, ".title") == "SyntaxError"
        assert "nothing serves yet" in shown(tab, ".foot")
        assert "midair" in tab.evaluate("document.title")
        service.save("app.py", "raise ValueError('still wrong')\n")
        tab.until(f"{PANEL}?.querySelector('.title').textContent", until=lambda seen: bool(seen == "ValueError"))
        service.save("app.py", good)
        title(tab, "shop 1")
        gone(tab)
        tab.close()


def test_an_exception_in_a_request_is_a_page_that_says_where(chromium: Chromium, service: Watched) -> None:
    tab = opened(chromium, f"{service.url}/raises")
    assert shown(tab, ".title") == "RuntimeError"
    assert shown(tab, ".place").startswith("app.py:")
    assert shown(tab, ".message") == "<img src=x onerror=alert(1)>"
    assert tab.evaluate("document.images.length") == 0
    service.change("app.py", 'elif scope["path"] == "/raises":', 'elif scope["path"] == "/never":')
    title(tab, "shop 1")
    gone(tab)
    tab.close()


def test_a_page_with_a_strict_policy_listens_and_shows_the_panel_in_its_style(
    chromium: Chromium, service: Watched
) -> None:
    tab = opened(chromium, f"{service.url}/strict")
    service.save("app.py", "def broken(:\n")
    shown(tab, ".title")
    assert tab.evaluate(f"getComputedStyle({PANEL}).position") == "fixed"
    assert [line for line in tab.said() if "midair" in line] == []
    tab.close()


def test_the_access_log_has_no_line_of_ours_and_no_token(chromium: Chromium, tmp_path: Path) -> None:
    with Watched(tmp_path, flags=("--access-log",)) as service:
        serves(service, b"shop 1")
        opened(chromium, service.url).close()
        service.get("/last")
        log = wait_for(service.log, until=lambda log: "GET /last" in log)
        assert "__midair" not in log


def test_other_pages_do_not_get_in_even_with_the_token(chromium: Chromium, service: Watched) -> None:
    tab = opened(chromium, service.url)
    knock = """new Promise(done => {
      const token = new URL(document.querySelector('script[src*=__midair]').src).searchParams.get('t');
      const socket = new WebSocket(`ws://HOST:${location.port}/__midair/live?t=${token}`);
      socket.onmessage = () => done('told'); socket.onerror = () => done('refused') })"""
    assert tab.evaluate(knock.replace("HOST", "127.0.0.1")) == "told"
    # The same machine by another name is another origin: so is whatever else runs on it.
    assert tab.evaluate(knock.replace("HOST", "localhost")) == "refused"
    tab.close()


def test_pages_of_a_program_are_refreshed_by_the_line_in_their_templates(chromium: Chromium, tmp_path: Path) -> None:
    command = ("{python}", "app.py")
    with Watched(tmp_path, "page_program", command=command, settings={"health": {"probe": "delay:0.2s"}}) as service:
        serves(service, b"program 1")
        tab = opened(chromium, service.url.replace("127.0.0.1", "localhost"))
        service.change("app.py", 'VERSION = "1"', 'VERSION = "2"')
        title(tab, "program 2")
        assert tab.loads() <= 3  # The old program accepts until it has read its SIGTERM: then the page asks once more.
        tab.until(LISTENS)
        # Its hub is killed: the page finds the next one by itself.
        (hub,) = [process for process in service.processes() if "midair.worker.pagehub" in process.command]
        hub.kill()
        service.change("app.py", 'VERSION = "2"', 'VERSION = "3"')
        title(tab, "program 3")
        tab.close()


@pytest.mark.soak  # each part of it stands alone in the suite: the compiler in test_dev_programs.py, its errors in tests/browser
@pytest.mark.timeout(180)  # npm installs the compiler, which then takes seconds for each save
def test_a_typescript_project_is_compiled_and_refreshed_and_its_compiler_s_error_is_shown(
    chromium: Chromium, tmp_path: Path
) -> None:
    needs("node")
    needs_npm("typescript")
    assert main(["new", "made", "-t", "typescript", "-C", str(tmp_path)]) == 0
    written = tomllib.loads((tmp_path / "made" / "midair.toml").read_text())
    settings = {name: written[name] for name in ("health", "watch", "build")}
    service = Watched(tmp_path, settings=settings, command=tuple(written["command"]), ready_path="")
    ours = shutil.ignore_patterns("midair.toml")
    shutil.copytree(tmp_path / "made", service.folder, dirs_exist_ok=True, ignore=ours)
    with service:
        serves(service, b"Hello from TypeScript", within_s=50)
        tab = opened(chromium, service.url)
        heading = "document.querySelector('h1')?.textContent"
        service.change("src/pages.ts", "export const greeting =", "export const greeting: number =")
        assert shown(tab, ".title", 45) == "TS2322"
        assert shown(tab, ".phase") == "build"
        assert shown(tab, ".message") == "Type 'string' is not assignable to type 'number'."
        assert shown(tab, ".place") == "src/pages.ts:5:14"
        assert shown(tab, ".row.hit .text").startswith("export const greeting: number")
        assert "is still serving" in shown(tab, ".foot")
        source = (service.folder / "src/pages.ts").read_text()
        service.save("src/pages.ts", source.replace("greeting: number", "greeting").replace("Hello", "Good evening"))
        tab.until(heading, 45, until=lambda seen: bool(seen == "Good evening from TypeScript"))
        gone(tab)
        tab.close()


def restart(chromium: Chromium, tmp_path: Path, away_s: float) -> None:
    """midair dev ends, and is started again on the same address after a while: the tab comes back by itself."""
    with shop(tmp_path) as service:
        serves(service, b"shop 1")
        come_back(chromium, service, away_s)


def come_back(chromium: Chromium, service: Watched, away_s: float) -> None:
    tab = opened(chromium, service.url)
    port = int(service.url.rpartition(":")[2])
    asked = "performance.getEntriesByType('resource').filter(each => each.name.includes('client.js')).length"
    service.stop()
    tab.until(BADGE, until=lambda seen: "does not answer" in (seen or ""), what="the page to notice")
    tab.evaluate(f"new Promise(done => setTimeout(done, {away_s * 1000}))")
    tries = tab.evaluate(asked)
    service.change("app.py", 'VERSION = "1"', 'VERSION = "2"')
    service.start_again(port)
    title(tab, "shop 2")
    tab.until(LISTENS)
    # Less and less often: ten seconds are about ten questions, and not hundreds.
    assert 1 <= tries <= 12
    assert tab.loads() <= 3  # The stand-in's page may come first.
    tab.close()


def test_a_restart_is_waited_for_and_the_page_comes_back_by_itself(chromium: Chromium, tmp_path: Path) -> None:
    restart(chromium, tmp_path, 0.5)


@pytest.mark.soak
def test_a_restart_of_ten_seconds_is_waited_for(chromium: Chromium, tmp_path: Path) -> None:
    restart(chromium, tmp_path, 10.0)


def test_a_page_whose_generation_never_fits_gives_up_reloading(chromium: Chromium, service: Watched) -> None:
    tab = chromium.open()
    never = "const get = URLSearchParams.prototype.get;"
    never += "URLSearchParams.prototype.get = function (name) { return name === 'g' ? '999' : get.call(this, name) }"
    tab.ask("Page.addScriptToEvaluateOnNewDocument", source=never)
    tab.ask("Page.navigate", url=service.url)
    wait_for(lambda: tab.until(BADGE), until=lambda seen: "click to load it" in seen)
    assert tab.loads() == 4
    tab.close()
