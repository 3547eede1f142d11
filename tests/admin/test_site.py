"""The routes of the admin address: what they answer, to whom, and how few questions they ask the supervisor for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from midair.admin import lookout as lookout_module
from midair.admin.asking import NoReceipt, Shared, Supervisor
from midair.admin.guard import Guard
from midair.admin.lookout import Lookout
from midair.admin.site import site
from midair.control.words import HistoryReport, ReceiptLine, StatusReport
from midair.errors import NotRunning
from midair.observe.metrics import MetricsSnapshot

PATHS = (
    "/",
    "/parts",
    "/api/status",
    "/api/history",
    "/api/events",
    "/livez",
    "/readyz",
    "/receipts/1",
    "/api/receipts/1",
)


class FakeSupervisor(Supervisor):
    """Answers at once, and counts what it was asked."""

    def __init__(self) -> None:
        self.state = "serving"
        self.is_silent = False
        self.asked: list[str] = []

    async def _told(self, what: str) -> None:
        self.asked.append(what)
        await asyncio.sleep(0)
        if self.is_silent:
            raise NotRunning("nobody there")

    async def status(self, *, disk: bool = False) -> StatusReport:
        await self._told("disk" if disk else "status")
        line = ReceiptLine(number=1, time_s=1.7e9, result="committed", target="v1")
        return StatusReport(
            name="shop",
            folder="/srv",
            target="app",
            pid=1,
            midair="0",
            uptime_s=9.0,
            state=self.state,
            serving=1,
            version="v1",
            last=(line,),
        )

    async def figures(self) -> MetricsSnapshot:
        await self._told("figures")
        return MetricsSnapshot()

    async def history(self, limit: int) -> HistoryReport:
        await self._told("history")
        return HistoryReport(receipts=(ReceiptLine(number=1, time_s=1.7e9, result="committed", target="v1"),))

    async def receipt(self, number: int) -> bytes:
        await self._told("receipt")
        if number != 1:
            raise NoReceipt(f"there is no receipt {number}")
        return b'{"number":1,"result":"committed","books":{"1":{"accepted":2}}}'


class Answer(msgspec.Struct):
    status: int = 0
    headers: dict[bytes, bytes] = {}
    body: bytes = b""


class Site:
    """The application, asked without a socket."""

    def __init__(
        self, *, address: str = "127.0.0.1:9465", allowed_hosts: tuple[str, ...] = (), remote: Any = "all"
    ) -> None:
        self.supervisor = FakeSupervisor()
        self.client: tuple[str, int] | None = ("127.0.0.1", 40000)
        """Who asks; None: the other end of a Unix socket."""

        async def metrics(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"figures"})

        self.application = site(Lookout(self.supervisor), Guard(address, allowed_hosts, remote), metrics)

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        host: str | None = "localhost:9465",
        **headers: str,
    ) -> Answer:
        """Header names with underscores."""
        answer = Answer()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            answer.status = message.get("status", answer.status)
            answer.headers |= dict(message.get("headers", []))
            answer.body += message.get("body", b"")

        path, _, query = path.partition("?")
        sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        sent += [] if host is None else [(b"host", host.encode())]
        scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": sent, "client": self.client}
        scope["query_string"] = query.encode()
        await self.application(scope, receive, send)
        return answer


def run(test: Callable[[Site], Awaitable[None]], **site: Any) -> None:
    async def go() -> None:
        await test(Site(**site))

    asyncio.run(go())


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_fenced_in_and_kept_by_nobody(path: str) -> None:
    async def test(site: Site) -> None:
        answer = await site.ask(path)
        assert answer.status == 200
        assert answer.headers[b"cache-control"] == b"no-store"
        assert answer.headers[b"x-content-type-options"] == b"nosniff"
        assert b"frame-ancestors 'none'" in answer.headers[b"content-security-policy"]
        assert not [name for name in answer.headers if name.startswith(b"access-control")]
        head = await site.ask(path, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers.keys() == answer.headers.keys()

    run(test)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/api/status", "/receipts/1", "/reload"])
def test_nothing_but_get_and_head_is_answered_and_nothing_is_asked(path: str, method: str) -> None:
    async def test(site: Site) -> None:
        answer = await site.ask(path, method=method)
        assert (answer.status, answer.headers[b"allow"]) == (405, b"GET, HEAD")
        assert site.supervisor.asked == []

    run(test)


@pytest.mark.parametrize(
    "host", ["localhost:9465", "127.0.0.1:9465", "[::1]:9465", "127.0.0.1", "LOCALHOST", "10.1.2.3:9465"]
)
def test_it_is_asked_for_by_the_names_of_this_machine_or_an_address(host: str) -> None:
    async def test(site: Site) -> None:
        assert (await site.ask("/readyz", host=host)).status == 200

    run(test)


@pytest.mark.parametrize("path", [*PATHS, "/metrics", "/nothing"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9465", "127.0.0.1.evil.example", "localhost.evil.example", "", None]
)
def test_a_name_that_was_pointed_here_is_told_nothing(path: str, host: str | None) -> None:
    async def test(site: Site) -> None:
        answer = await site.ask(path, host=host)
        assert answer.status == 403
        assert b"shop" not in answer.body
        assert site.supervisor.asked == []

    run(test)


def test_names_of_ones_own_can_be_allowed() -> None:
    async def test(site: Site) -> None:
        for host, status in (
            ("ops.example:443", 200),
            ("a.shop.example", 200),
            ("shop.example", 200),
            ("shop.example.evil", 403),
        ):
            assert (await site.ask("/readyz", host=host)).status == status, host

    run(test, allowed_hosts=("OPS.example", ".shop.example"))


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "cors", "origin": "https://evil.example"},
        {"sec_fetch_site": "same-site", "sec_fetch_mode": "cors", "origin": "http://localhost:3000"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_what_other_sites_pages_ask_for_is_refused(headers: dict[str, str]) -> None:
    async def test(site: Site) -> None:
        for path in (*PATHS, "/metrics"):
            assert (await site.ask(path, **headers)).status == 403
        assert site.supervisor.asked == []

    run(test)


def test_a_link_on_another_site_leads_here_and_our_own_script_may_ask() -> None:
    async def test(site: Site) -> None:
        assert (await site.ask("/", sec_fetch_site="cross-site", sec_fetch_mode="navigate")).status == 200
        own = {"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors", "origin": "http://localhost:9465"}
        assert (await site.ask("/parts", **own)).status == 200

    run(test)


@pytest.mark.parametrize(
    "path",
    [
        "/receipts/../../etc/passwd",
        "/receipts/..%2f",
        "/receipts/",
        "/receipts/0",
        "/receipts/01",
        "/receipts/1/",
        "/receipts/-1",
        "/receipts/" + "9" * 400,
        "/receipts/\u0661",
        "/api/receipts/1;2",
        "//",
        "/page.html",
        "/.git/config",
        "/parts/",
    ],
)
def test_there_are_no_other_paths_and_no_files(path: str) -> None:
    async def test(site: Site) -> None:
        answer = await site.ask(path)
        assert answer.status == 404
        assert site.supervisor.asked == []

    run(test)


@pytest.mark.parametrize(
    ("state", "status"),
    [("serving", 200), ("updating", 200), ("starting", 503), ("failing", 503), ("stopping", 503), ("waiting", 503)],
)
def test_ready_is_a_service_of_which_a_version_accepts(state: str, status: int) -> None:
    async def test(site: Site) -> None:
        site.supervisor.state = state
        assert (await site.ask("/readyz")).status == status
        assert (await site.ask("/livez")).status == 200

    run(test)


def test_a_supervisor_that_is_silent_is_neither_alive_nor_ready_and_the_page_says_since_when() -> None:
    async def test(site: Site) -> None:
        assert (await site.ask("/")).status == 200
        site.supervisor.is_silent = True
        for path in ("/livez", "/readyz", "/api/status", "/api/receipts/2"):
            answer = await site.ask(path)
            assert (answer.status, b"nobody there" in answer.body) == (503, True)
        text = (await site.ask("/")).body.decode()
        assert "does not answer since" in text
        assert "v1" in text, "what was known is still shown"
        site.supervisor.is_silent = False
        assert "does not answer since" not in (await site.ask("/")).body.decode()

    run(test)


def test_receipts_that_are_not_there_are_404() -> None:
    async def test(site: Site) -> None:
        for path in ("/receipts/7", "/api/receipts/7"):
            answer = await site.ask(path)
            assert answer.status == 404
            assert b"there is no receipt 7" in answer.body

    run(test)


def test_however_many_look_the_supervisor_is_asked_a_few_times() -> None:
    async def test(site: Site) -> None:
        answers = await asyncio.gather(*(site.ask(path) for path in PATHS for _ in range(15)))
        assert {answer.status for answer in answers} == {200}
        assert len(site.supervisor.asked) < 20, site.supervisor.asked
        assert site.supervisor.asked.count("receipt") == 1, "one that was asked for a moment ago is not asked for again"

    run(test)


def test_of_many_receipts_some_are_answered_and_the_rest_is_told_to_come_again() -> None:
    async def test(site: Site) -> None:
        answers = await asyncio.gather(*(site.ask(f"/receipts/{number}") for number in range(1, 500)))
        asked = [answer.status for answer in answers if answer.status != 503]
        assert sorted(asked) == [200] + [404] * (lookout_module.RECEIPTS_WAITING - 1)
        assert len(site.supervisor.asked) == lookout_module.RECEIPTS_WAITING
        assert (await site.ask("/receipts/1")).status == 200

    run(test)


def test_a_receipt_is_not_shown_as_it_was_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(site: Site) -> None:
        await site.ask("/receipts/1")
        await site.ask("/api/receipts/1")
        assert site.supervisor.asked.count("receipt") == 1
        monkeypatch.setattr(lookout_module, "RECEIPT_FRESH_S", 0.0)
        await site.ask("/receipts/1")
        assert site.supervisor.asked.count("receipt") == 2

    run(test)


def test_the_disk_is_looked_at_for_people_and_not_each_time() -> None:
    async def test(site: Site) -> None:
        for _ in range(3):
            await site.ask("/")
        assert site.supervisor.asked.count("disk") == 1
        assert site.supervisor.asked.count("figures") == 3

    run(test)


def test_an_answer_is_never_older_than_the_wish_for_it() -> None:
    async def go() -> None:
        asked = 0

        async def ask() -> int:
            nonlocal asked
            asked += 1
            number = asked
            await asyncio.sleep(0.01)
            return number

        shared = Shared(ask, every_s=0.0)
        first = asyncio.ensure_future(shared.get())
        await asyncio.sleep(0.005)
        later = [asyncio.ensure_future(shared.get()) for _ in range(20)]
        assert await first == 1
        assert set(await asyncio.gather(*later)) == {2}
        gone = asyncio.ensure_future(shared.get())
        await asyncio.sleep(0.001)
        gone.cancel()
        assert await shared.get() > 2

    asyncio.run(go())


def test_whoever_is_not_of_this_machine_gets_the_probes_alone_if_it_is_said_so() -> None:
    async def test(site: Site) -> None:
        site.client = ("10.1.0.1", 40000)
        for path in PATHS:
            answer = await site.ask(path, host="10.1.2.3:9465")
            assert answer.status == (200 if path in ("/livez", "/readyz", "/metrics") else 403), path
        assert b"admin.remote" in (await site.ask("/", host="10.1.2.3:9465")).body
        for ours in (("127.0.0.1", 1), ("::1", 1), ("::ffff:127.0.0.1", 1), None):
            site.client = ours
            assert (await site.ask("/")).status == 200

    run(test, address="0.0.0.0:9465", remote="probes")


def test_whoever_can_connect_may_look_otherwise() -> None:
    async def test(site: Site) -> None:
        site.client = ("10.1.0.1", 40000)
        assert (await site.ask("/", host="10.1.2.3:9465")).status == 200

    run(test, address="0.0.0.0:9465")
