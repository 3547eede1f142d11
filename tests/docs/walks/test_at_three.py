"""docs/at-three.md is what happens: each situation is brought about, and what the page has somebody type then is typed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.docs.page import sections
from tests.docs.terminal import QUICK, GoesOn, Terminal
from tests.docs.walking import Walk
from tests.support import nginx
from tests.support.groups import memory_group
from tests.support.systemd import Machine
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.root]

RUN = "midair run"
STARTED = "update done"
WALK = Walk("docs/at-three.md", goes_on={RUN: STARTED})
GOOD = """\
import asyncio

VERSION = "1.8"


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        return await prices(receive, send)
    if scope["type"] != "http":
        return
    if scope["path"] == "/report":
        await asyncio.sleep(3600)
    if scope["path"] == "/orders":
        orders()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": f"shop {VERSION}\\n".encode()})


async def prices(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


def orders():
    pass
"""
SETTINGS = """\
app = "app:app"
bind = "127.0.0.1:8000"
workers = 2
version_from = "file:VERSION"
"""
QUIETLY = {"MIDAIR_SERVE_ACCESS_LOG": "false", "GIT_PAGER": "cat"}
NGINX = """\
user www-data;
events {}
http {
    upstream shop {
        server 127.0.0.1:8001;
    }
    server {
        listen 80;
        location / {
            proxy_pass http://shop;
        }
    }
}
"""
LARGE_MIB = 60
"""Of each worker, where memory is to be short."""
HOLDER = "pgrep -f 'python3 -m http.server'"
WITHIN_S = 20.0
WEBSOCKET = (
    "GET /prices HTTP/1.1\\r\\nHost: shop\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
    "Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n"
)
GIT = "git -c user.name=you -c user.email=you@shop.example"


@contextlib.contextmanager
def shop(environment: Mapping[str, str] | None = None, text: str = GOOD) -> Iterator[Terminal]:
    """A terminal in /srv/shop, where version 1.8 lies, in a git repository."""
    with Terminal("/srv/shop", user="root", environment={**QUICK, **QUIETLY, **(environment or {})}) as terminal:
        lay(terminal, text)
        yield terminal


def lay(terminal: Terminal, text: str = GOOD) -> None:
    terminal.write("midair.toml", SETTINGS)
    terminal.prepare("git init -q . && printf '__pycache__\\n' > .gitignore")
    release(terminal, "1.8", text)


def release(terminal: Terminal, version: str, text: str) -> None:
    """A version of the application in the folder, as it is deployed there."""
    terminal.write("app.py", text.replace('"1.8"', f'"{version}"'))
    terminal.write("VERSION", version)
    terminal.prepare(f"git add -A && {GIT} commit -q -m {version} && git tag -f v{version} >/dev/null")


def run(terminal: Terminal) -> GoesOn:
    service = terminal.begin(RUN)
    service.wait_said(STARTED)
    return service


def with_orders(body: str) -> str:
    """The application, where ``/orders`` does something."""
    return GOOD.removesuffix("    pass\n") + f"{body}\n"


def said(terminal: Terminal, command: str) -> str:
    return "\n".join(terminal.type(command).lines)


def status(terminal: Terminal) -> dict[str, Any]:
    report = json.loads(said(terminal, "midair status --json"))
    assert isinstance(report, dict)
    return report


def until(terminal: Terminal, command: str, is_so: Callable[[str], bool]) -> None:
    """Type a command again and again, until what it prints is as it has to be."""
    wait_for(lambda: said(terminal, command), WITHIN_S, until=is_so, what=f"what {command} is to print")


def test_all_is_well_and_then_a_version_is_refused() -> None:
    with shop() as terminal:
        run(terminal)
        with WALK.begun(terminal, "Type this first") as walker:
            walker.rest()
        with WALK.begun(terminal, "1. Refused") as walker:
            release(terminal, "1.9", f"import pricing\n{GOOD}")
            walker.rest()


def test_rolled_back() -> None:
    with shop({"MIDAIR_BAKE_FOR": "30s"}) as terminal, WALK.begun(terminal, "2. Rolled back") as walker:
        run(terminal)
        release(terminal, "1.9", with_orders('    return {"cents": 100}["price"]'))
        asked = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/orders"
        terminal.begin(f"errors=0; while [ $errors -lt 20 ]; do [ $({asked}) = 200 ] || errors=$((errors + 1)); done")
        walker.through("midair status")
        until(terminal, "midair receipt", lambda lines: "responses_5xx" in lines)  # once its last worker has left
        walker.rest()


def test_drain_stuck() -> None:
    with (
        shop({"MIDAIR_WORKERS": "1"}) as terminal,
        WALK.begun(terminal, "3. The drain is stuck") as walker,
    ):
        run(terminal)
        terminal.begin("curl -s http://127.0.0.1:8000/report")
        terminal.begin(f"exec 3<>/dev/tcp/127.0.0.1/8000; printf '{WEBSOCKET}' >&3; cat <&3")
        until(terminal, "midair why-alive", lambda lines: "GET /report" in lines and "WEBSOCKET /prices" in lines)
        release(terminal, "1.9", GOOD)
        walker.through("midair drain --within 2s")
        until(terminal, "midair status", lambda lines: "drains" not in lines)
        walker.rest()


def test_crash_loop() -> None:
    with shop() as terminal, WALK.begun(terminal, "4. Crash loop") as walker:
        run(terminal)
        # It starts well once, and from then on no more.
        dies = 'if os.path.exists("dies"): print("order 7 has no customer", flush=True), os._exit(7)'
        at_start = GOOD.replace("        return\n", f"        {dies}\n        return\n", 1)
        release(terminal, "1.9", f"import os\n{at_start}")
        terminal.prepare("midair reload && touch /srv/shop/dies")
        report = status(terminal)
        pids = [worker["pid"] for each in report["generations"] if each["number"] == 2 for worker in each["workers"]]
        terminal.prepare("kill -9 {} {}".format(*pids))
        until(terminal, "midair status", lambda lines: "midair rollback" in lines)
        walker.rest()


def unit(terminal: Terminal) -> None:
    """The service as a unit of systemd that is not started."""
    lay(terminal)
    terminal.prepare("useradd --system --user-group shop")
    terminal.lend_environment()
    terminal.prepare("midair systemd --user shop --write")
    drop_in(terminal, "Restart=no")  # How it is is asked after a failed start, and not in the next one.


def drop_in(terminal: Terminal, line: str) -> None:
    """What is different for the unit. Bakes are short, as everywhere."""
    lines = f"[Service]\n{line}\nEnvironment=MIDAIR_BAKE_FOR=300ms\n"
    terminal.write("/etc/systemd/system/shop.service.d/test.conf", lines)
    terminal.prepare("systemctl daemon-reload")


def test_out_of_memory() -> None:
    """There is no room for an update, and then none for a request."""
    held = GOOD.replace("        return\n", f"        return KEPT.append(b'x' * {LARGE_MIB << 20})\n", 1)
    exports = held.replace('"/orders"', '"/export"').replace(
        "    pass\n", "    KEPT.extend(b'x' * (1 << 20) for _ in range(4000))\n"
    )
    large = exports.replace("import asyncio\n", "import asyncio\n\nKEPT = []\n")
    with memory_group() as group, shop(text=large) as terminal:
        terminal.begin(f"echo $$ > {group.folder}/cgroup.procs; exec {RUN}").wait_said(STARTED)
        with WALK.begun(terminal, "5. Out of memory") as walker:
            release(terminal, "1.9", large)
            group.leave(LARGE_MIB // 2)
            walker.through("midair scale 1")
            until(terminal, "midair status", lambda lines: "1.1" not in lines)
            walker.rest()
        until(terminal, "midair status", lambda lines: "drains" not in lines)
        with WALK.begun(terminal, "A worker is killed for its memory") as walker:
            group.leave(LARGE_MIB)
            walker.through('curl -s http://127.0.0.1:8000/export || echo "no answer"')
            until(terminal, "midair status", lambda lines: "3.0" in lines)
            walker.rest()


def test_nothing_runs() -> None:
    """For want of its port, and since it was killed."""
    with shop() as terminal:
        with WALK.begun(terminal, "6. The port is taken") as walker:
            holder = terminal.begin("exec env PYTHONUNBUFFERED=1 python3 -m http.server 8000 --bind 127.0.0.1")
            holder.wait_said("Serving HTTP")
            (walker.stands_for["812"],) = terminal.prepare(f"{HOLDER} | tail -n 1")
            walker.through("kill 812")
            until(terminal, HOLDER, lambda lines: not lines)
            walker.rest()
        with WALK.begun(terminal, "10. The supervisor is dead") as walker:
            kill_supervisor(terminal)
            walker.rest()


def kill_supervisor(terminal: Terminal) -> None:
    pid = status(terminal)["pid"]
    terminal.prepare(f"kill -9 {pid}")
    until(terminal, f"kill -0 {pid}", lambda lines: "No such process" in lines)


def test_disk_full() -> None:
    with shop() as terminal, WALK.begun(terminal, "7. The disk is full") as walker:
        terminal.prepare("mkdir /home/you /disk && cp -rT /srv/shop /home/you/shop && cd / && rm -r /srv/shop/*")
        terminal.prepare("mount -t tmpfs -o size=24m disk /disk && mkdir /disk/shop /disk/state")
        terminal.prepare(
            "mount --bind /disk/shop /srv/shop && mount --bind /disk/state /var/lib/midair && cd /srv/shop"
        )
        terminal.prepare("midair deploy /home/you/shop --to /srv/shop")
        terminal.begin("midair run -C /srv/shop/current").wait_said(STARTED)
        terminal.prepare("cat /dev/zero > /srv/shop/debug.log || true")
        terminal.prepare("midair reload -C /srv/shop/current")
        terminal.prepare("cd /home/you/shop")
        release(terminal, "1.9", GOOD)
        terminal.prepare("cd /srv/shop")
        walker.through("midair deploy /home/you/shop --to /srv/shop")
        # A child writes the receipts, and nobody waits for it.
        until(terminal, "midair status -C /srv/shop/current", lambda lines: "warning" not in lines)
        walker.rest()


def test_wrong_version() -> None:
    with shop() as terminal, WALK.begun(terminal, "8. The wrong version serves") as walker:
        run(terminal)
        release(terminal, "1.9", GOOD)
        terminal.prepare("midair reload")
        walker.rest()


def test_all_502() -> None:
    """By an address that is wrong, and by a socket that may not be used."""
    with shop() as terminal:
        service = run(terminal)
        program = f'#!/bin/sh\nexec {nginx.binary()} -p /etc/nginx -c /etc/nginx/nginx.conf -e /var/log/nginx/error.log "$@"\n'
        terminal.write("/usr/local/bin/nginx", program)
        terminal.write("/etc/nginx/nginx.conf", NGINX)
        terminal.prepare("mkdir -p /var/log/nginx /run/shop && chmod +x /usr/local/bin/nginx && nginx")
        with WALK.begun(terminal, "9. All 502") as walker:
            walker.through(next(each.typed for each in WALK.commands() if each.typed.endswith("nginx -s reload")))
            # The one before may answer once more, until it has left.
            until(terminal, "curl -s http://127.0.0.1/; pgrep -cx nginx", lambda lines: lines == "shop 1.8\n2")
            walker.rest()
        service.end()
        terminal.prepare("sed -i s,127.0.0.1:8000,unix:/run/shop/web.sock, midair.toml /etc/nginx/nginx.conf")
        run(terminal)
        terminal.prepare("nginx -s quit; while pgrep -x nginx; do :; done; nginx")
        with WALK.begun(terminal, "The proxy may not use the socket") as walker:
            walker.rest()


def test_under_systemd() -> None:
    """What happens to its unit: it does not start, and it is killed."""
    with Machine() as machine, Terminal(user="root", within=machine.inside(), environment=QUIETLY) as terminal:
        unit(terminal)
        with WALK.begun(terminal, "Under systemd it does not even start") as walker:
            release(terminal, "1.9", f"import pricing\n{GOOD}")
            walker.rest()
        with WALK.begun(terminal, "Under systemd it is back by itself") as walker:
            release(terminal, "1.9", GOOD)
            drop_in(terminal, "RestartSec=100ms")
            kill_supervisor(terminal)
            until(terminal, "midair status", lambda lines: "shop  serving" in lines)
            walker.rest()


def test_every_situation_of_the_page_is_brought_about() -> None:
    here = Path(__file__).read_text()
    assert len(sections(WALK.text())) > 12, "the search finds nothing any more"
    assert [each for each in sections(WALK.text()) if f'WALK.begun(terminal, "{each}")' not in here] == []
