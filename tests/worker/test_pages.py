"""What stands between a worker and its application under ``midair dev``, on a real socket: injection, the hub, our own paths."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from midair.browser import messages, standin
from midair.browser.guard import Guard
from midair.browser.hub import PAGES_MAX, WAITING_MAX, Hub
from midair.browser.layer import Layer
from midair.browser.messages import Asset, Compiled, Error, Failed, Hello
from midair.worker.asgi import Asgi, Receive, Scope, Send
from midair.worker.pages import peer_of
from midair.worker.settings import DevSettings
from midair.worker.wsgi import as_asgi
from tests.worker.serving import Client, Response, Served, get, serving, until

TOKEN = "t0ken"
TAG = '<script src="/__midair/client.js?t=t0ken&amp;g=7" defer=""></script>'
BEFORE, AFTER = "<!doctype html><html><head>", "<title>shop</title></head><body>hello</body></html>"
PAGE = f"{BEFORE}{AFTER}"
WITH_SCRIPT = f"{BEFORE}{TAG}{AFTER}".encode()
HTML = (b"content-type", b"text/html; charset=utf-8")
LOCAL = "Host: localhost"
BROWSER = ("Accept: text/html,*/*", "Accept-Encoding: gzip, deflate, br, zstd", "Sec-Fetch-Dest: document")

Headers = list[tuple[bytes, bytes]]


class Dev:
    """A server with the layer around an application."""

    def __init__(self, served: Served, hub: Hub, said: list[tuple[str, str]], counts: list[int]) -> None:
        self.served, self.hub, self.said, self.counts = served, hub, said, counts

    async def get(self, path: str = "/", *headers: str, method: str = "GET", host: str = LOCAL) -> Response:
        client = await self.served.connect()
        data = get(path, *headers, method=method).replace(b"Host: test", host.encode())
        return await client.ask(data, head_only=method == "HEAD")


@asynccontextmanager
async def dev(app: Asgi, **settings: Any) -> AsyncIterator[Dev]:
    chosen = DevSettings(token=TOKEN, **settings)
    said: list[tuple[str, str]] = []
    counts: list[int] = []
    hub = Hub(7, "v7", can_open=bool(chosen.editor), on_count=counts.append)
    layer = Layer(app, chosen, hub, Guard(chosen, peer_of), say=lambda event, f: said.append((event, str(f["what"]))))
    async with serving(layer) as served:
        yield Dev(served, hub, said, counts)


def answers(body: bytes | list[bytes], headers: Headers | None = None, status: int = 200) -> Asgi:
    """An application that answers with these pieces."""
    pieces = body if isinstance(body, list) else [body]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        start = [HTML] if headers is None else headers
        await send({"type": "http.response.start", "status": status, "headers": start})
        for number, piece in enumerate(pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces) - 1})

    return app


# ------------------------------------------------------------------------------------------------------------- injection


async def test_a_page_gets_the_script_and_its_true_length() -> None:
    length = (b"content-length", b"%d" % len(PAGE))
    async with dev(answers(PAGE.encode(), [HTML, length, (b"etag", b'"1"'), (b"cache-control", b"max-age=60")])) as it:
        response = await it.get("/", *BROWSER)
    assert response.body == WITH_SCRIPT
    assert response.header("content-length") == str(len(WITH_SCRIPT))
    # A page is of one start of midair dev: nobody keeps it.
    assert (response.header("etag"), response.header("cache-control")) == (None, "no-store")


async def test_a_page_that_is_streamed_gets_it_once_and_stays_a_stream() -> None:
    pieces = [PAGE[at : at + 3].encode() for at in range(0, len(PAGE), 3)]
    async with dev(answers(pieces)) as it:
        response = await it.get()
    assert response.body == WITH_SCRIPT
    assert response.header("transfer-encoding") == "chunked"


async def test_the_head_of_a_streamed_page_is_not_held_until_its_end() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [HTML]})
        await send({"type": "http.response.body", "body": PAGE.encode()[:60], "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": PAGE.encode()[60:]})

    async with dev(app) as it:
        client = await it.served.connect()
        client.send(get().replace(b"Host: test", LOCAL.encode()))
        await client.head()
        size = int(await client.reader.readuntil(b"\r\n"), 16)
        first = await client.reader.readexactly(size)
        go_on.set()
        assert first == WITH_SCRIPT[: len(first)]
        assert TAG.encode() in first
        await client.reader.readuntil(b"0\r\n\r\n")


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", deflated)]
)
async def test_a_compressed_page_is_read_and_gets_it(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(PAGE.encode())
    pieces = [packed[at : at + 11] for at in range(0, len(packed), 11)]
    headers = [HTML, (b"content-encoding", encoding.encode()), (b"content-length", b"%d" % len(packed))]
    async with dev(answers(pieces, headers)) as it:
        response = await it.get("/", *BROWSER)
    assert response.body == WITH_SCRIPT
    assert response.header("content-encoding") is None


async def test_a_compressed_fragment_leaves_as_it_came() -> None:
    packed = gzip.compress(b"<li>one more</li>")
    headers = [HTML, (b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(packed))]
    async with dev(answers(packed, headers)) as it:
        response = await it.get()
    assert (response.body, response.header("content-encoding")) == (packed, "gzip")


async def test_the_application_is_asked_for_what_can_be_read_and_for_the_whole_page() -> None:
    asked: dict[bytes, bytes] = {}
    can: set[str] = set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.update(scope["headers"])
        can.update(scope["extensions"])
        await answers(b"x")(scope, receive, send)

    async with dev(app) as it:
        await it.get("/", *BROWSER, 'If-None-Match: "1"', "If-Modified-Since: x", "X-Own: 1")
        assert asked[b"accept-encoding"] == b"gzip, deflate"
        assert not {b"if-none-match", b"if-modified-since"} & asked.keys()
        assert asked[b"x-own"] == b"1"
        assert "http.response.pathsend" not in can  # A file goes by as what it is, and is looked into.
        asked.clear()
        await it.get("/data", "Accept: application/json", "Accept-Encoding: br", 'If-None-Match: "1"')
        assert (asked[b"accept-encoding"], asked[b"if-none-match"]) == (b"br", b'"1"')


async def test_an_encoding_that_cannot_be_read_is_left_alone_and_said_once() -> None:
    async with dev(answers(b"\x0b\x02\x80x\x03", [HTML, (b"content-encoding", b"br")])) as it:
        for _ in range(2):
            assert (await it.get("/", *BROWSER)).body == b"\x0b\x02\x80x\x03"
        assert it.said == [("page_left_alone", "its content-encoding is br")]


NO_PAGES = {
    "a download": (PAGE.encode(), [HTML, (b"content-disposition", b"attachment; filename=a.html")], 200),
    "JSON": (b'{"html": "<!doctype html>"}', [(b"content-type", b"application/json")], 200),
    "no type": (PAGE.encode(), [], 200),
    "a part": (PAGE.encode(), [HTML, (b"content-range", b"bytes 0-1/9")], 206),
    "UTF-16": ("<!doctype html><p>".encode("utf-16"), [(b"content-type", b"text/html; charset=UTF-16")], 200),
    "broken gzip": (b"\x1f\x8b\x08nonsense", [HTML, (b"content-encoding", b"gzip")], 200),
}


@pytest.mark.parametrize(("body", "headers", "status"), NO_PAGES.values(), ids=NO_PAGES)
async def test_what_is_no_page_leaves_byte_for_byte(body: bytes, headers: Headers, status: int) -> None:
    async with dev(answers(body, headers, status)) as it:
        response = await it.get("/", *BROWSER)
    assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize("header", ["HX-Request: true", "X-Requested-With: XMLHttpRequest", "Sec-Fetch-Dest: empty"])
async def test_what_a_script_asked_for_is_no_page(header: str) -> None:
    async with dev(answers(PAGE.encode())) as it:
        assert (await it.get("/", header)).body == PAGE.encode()


async def test_a_fragment_is_a_page_only_where_the_browser_shows_it_as_one() -> None:
    async with dev(answers(b"<h1>hello</h1>")) as it:
        assert (await it.get()).body == b"<h1>hello</h1>"
        assert (await it.get("/", "Sec-Fetch-Dest: document")).body == TAG.encode() + b"<h1>hello</h1>"


async def test_an_error_page_gets_it_too() -> None:
    async with dev(answers(PAGE.encode(), status=404)) as it:
        response = await it.get("/", *BROWSER)
    assert (response.status, response.body) == (404, WITH_SCRIPT)


async def test_a_HEAD_says_no_length_that_the_page_will_not_have() -> None:
    async with dev(answers(b"", [HTML, (b"content-length", b"%d" % len(PAGE))])) as it:
        assert (await it.get("/", method="HEAD")).header("content-length") is None


async def test_a_304_passes() -> None:
    async with dev(answers(b"", [HTML, (b"etag", b'"1"')], 304)) as it:
        response = await it.get()
    assert (response.status, response.header("etag")) == (304, '"1"')


async def test_a_page_s_nonce_is_used_and_a_policy_that_forbids_the_script_is_widened_and_said_once() -> None:
    policy = (b"content-security-policy", b"script-src 'nonce-abc'; connect-src 'self'")
    async with dev(answers(PAGE.encode(), [HTML, policy])) as it:
        response = await it.get("/", *BROWSER)
        assert b' nonce="abc" defer' in response.body
        assert response.header("content-security-policy") == policy[1].decode()
        assert it.said == []
    async with dev(answers(PAGE.encode(), [HTML, (policy[0], b"script-src 'nonce-\"><i>'")])) as it:
        assert b'nonce="&quot;&gt;&lt;i&gt;"' in (await it.get("/", *BROWSER)).body
    async with dev(answers(PAGE.encode(), [HTML, (b"content-security-policy", b"default-src 'none'")])) as it:
        for _ in range(2):
            response = await it.get("/", *BROWSER)
        assert response.header("content-security-policy") == (
            "default-src 'none'; script-src 'self'; connect-src 'self'"
        )
        assert it.said == [("page_policy_widened", "script-src, connect-src")]


async def test_pages_of_a_WSGI_application_get_it() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(PAGE)))])
        return [PAGE.encode()]

    async with dev(as_asgi(app, 1)) as it:
        response = await it.get("/", *BROWSER)
    assert response.body == WITH_SCRIPT
    assert response.header("content-length") in (None, str(len(WITH_SCRIPT)))


async def test_a_page_for_another_host_or_without_injection_is_left_as_it_is() -> None:
    async with dev(answers(PAGE.encode())) as it:
        assert (await it.get("/", *BROWSER, host="Host: evil.example")).body == PAGE.encode()
    async with dev(answers(PAGE.encode()), inject=False) as it:
        assert (await it.get("/", *BROWSER)).body == PAGE.encode()


# ---------------------------------------------------------------------------------------------- exceptions in a request


def fails(before: list[dict[str, Any]]) -> Asgi:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in before:
            await send(message)
        raise RuntimeError("<b>broken</b>")

    return app


BARE = [
    {"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/plain; charset=utf-8")]},
    {"type": "http.response.body", "body": b"Internal Server Error"},
]


@pytest.mark.parametrize("before", [[], BARE], ids=["nothing sent", "as Starlette sends it"])
async def test_an_exception_becomes_a_page_that_shows_it_and_refreshes_itself(before: list[dict[str, Any]]) -> None:
    async with dev(fails(before)) as it:
        response = await it.get("/", *BROWSER)
        assert response.status == 500
        assert b"client.js?t=t0ken" in response.body
        assert b"RuntimeError" in response.body
        assert b"<b>broken" not in response.body
        assert b"browser/layer.py" not in response.body  # Our own frames say nothing.
        # Whoever is no browser gets what it always got.
        assert (await it.get()).body == b"Internal Server Error"


async def test_a_bare_500_without_an_exception_is_the_application_s_own() -> None:
    async with dev(answers(b"my own", [(b"content-type", b"text/plain")], 500)) as it:
        response = await it.get("/", *BROWSER)
    assert (response.status, response.body) == (500, b"my own")


async def test_an_exception_in_the_midst_of_a_page_breaks_it_off_as_ever() -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [HTML]}
    async with dev(fails([start, {"type": "http.response.body", "body": PAGE.encode(), "more_body": True}])) as it:
        client = await it.served.connect()
        client.send(get("/", *BROWSER).replace(b"Host: test", LOCAL.encode()))
        await client.head()
        assert not (await client.end()).endswith(b"0\r\n\r\n")


# --------------------------------------------------------------------------------------------------------------- the hub


class Listener:
    """A page's socket, spoken by hand: what comes is small and whole."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def next(self) -> dict[str, Any]:
        first, second = await self._client.reader.readexactly(2)
        assert first == 0x81
        size = second
        if size == 126:
            size = int.from_bytes(await self._client.reader.readexactly(2))
        return dict(json.loads(await self._client.reader.readexactly(size)))

    async def leave(self) -> None:
        await self._client.close()


async def knock(
    it: Dev, path: str = f"/__midair/live?t={TOKEN}", *, host: str = "localhost", origin: str = ""
) -> Client:
    client = await it.served.connect()
    client.send(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: {origin or f'http://{host}'}\r\n\r\n".encode()
    )
    return client


async def listen_in(it: Dev, **asked: str) -> Listener:
    client = await knock(it, **asked)
    status, _ = await client.head()
    assert status == 101
    return Listener(client)


ERROR = Error(
    phase="build", title="TS1", message="no", file="a.ts", line=1, source=((1, "x"),), detail="out", serving=7
)


async def test_a_page_is_greeted_with_how_things_are_and_told_what_happens() -> None:
    async with dev(answers(b"")) as it:
        page = await listen_in(it)
        hello = await page.next()
        assert (hello["type"], hello["generation"], hello["status"], hello["error"]) == ("hello", 7, "serving", None)
        for message in (Failed(error=ERROR), Asset(paths=("static/a.css",)), Compiled(generation=8)):
            it.hub.told(messages.encode(message))
            assert await page.next() == json.loads(messages.encode(message))
        it.hub.told(messages.encode(Failed(error=ERROR)))
        newcomer = await listen_in(it)
        hello = await newcomer.next()
        assert (hello["status"], hello["error"]["title"]) == ("failed", "TS1")
        assert it.counts == [1, 2]


async def test_the_count_of_pages_goes_down_when_one_leaves() -> None:
    async with dev(answers(b"")) as it:
        page = await listen_in(it)
        await page.next()
        await page.leave()
        while it.counts[-1] != 0:  # noqa: ASYNC110 - the loop is turned until the server has seen it
            await asyncio.sleep(0)


async def test_a_page_is_told_to_come_again_when_its_worker_goes() -> None:
    async with dev(answers(b"")) as it:
        client = await knock(it)
        await client.head()
        page = Listener(client)
        await page.next()
        it.hub.told(messages.encode(Asset(paths=("a.css",))))
        it.hub.send_away(that_can_move=False)
        it.hub.send_away(that_can_move=True)
        assert (await page.next())["type"] == "asset"
        assert await client.reader.readexactly(4) == b"\x88\x02" + (1012).to_bytes(2)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"path": "/__midair/live?t=wrong"}, 403),
        ({"path": "/__midair/live"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"host": "evil.example"}, 403),
        ({"path": f"/__midair/else?t={TOKEN}"}, 404),
    ],
)
async def test_other_pages_are_refused(asked: dict[str, str], status: int) -> None:
    async with dev(answers(b"")) as it:
        client = await knock(it, **asked)
        assert (await client.head())[0] == status
        assert it.counts == []


async def test_through_a_tunnel_nobody_sees_source_or_opens_a_file() -> None:
    name = "shop.tunnel.example"
    async with dev(answers(b""), allowed_hosts=(name,), editor="code") as it:
        it.hub.told(messages.encode(Failed(error=ERROR)))
        near, far = await listen_in(it), await listen_in(it, host=name)
        hello = await near.next()
        assert (hello["can_open"], hello["error"]["source"], hello["error"]["detail"]) == (True, [[1, "x"]], "out")
        hello = await far.next()
        assert (hello["can_open"], hello["error"]["source"], hello["error"]["detail"]) == (False, [], "")


async def test_a_page_that_does_not_read_is_bounded() -> None:
    hub = Hub(1, "", can_open=False, on_count=lambda count: None)
    stuck = asyncio.Event()
    sent: list[str] = []

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            await stuck.wait()
            sent.append(message["text"])

    left = asyncio.Event()

    async def receive() -> Any:
        if not sent:
            sent.append("")
            return {"type": "websocket.connect"}
        await left.wait()
        return {"type": "websocket.disconnect"}

    serve = asyncio.create_task(hub.serve(receive, send, {"extensions": {}, "scheme": "ws"}, is_local=True))
    await asyncio.sleep(0)
    for number in range(10 * WAITING_MAX):
        hub.told(messages.encode(Asset(paths=(str(number),))))
    stuck.set()
    for _ in range(3 * WAITING_MAX):
        await asyncio.sleep(0)
    assert len(sent) <= WAITING_MAX + 2
    assert json.loads(sent[-1])["paths"] == [str(10 * WAITING_MAX - 1)]
    left.set()
    await serve


async def test_a_worker_has_a_most_of_pages() -> None:
    hub = Hub(1, "", can_open=False, on_count=lambda count: None)
    hub._pages = {object() for _ in range(PAGES_MAX)}  # type: ignore[misc]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await hub.serve(receive, send, {"extensions": {}, "scheme": "ws"}, is_local=True)
    assert sent == [{"type": "websocket.close", "code": 1013}]


async def test_a_page_that_cannot_move_is_sent_to_the_next_version_and_the_others_are_moved() -> None:
    hub = Hub(1, "", can_open=False, on_count=lambda count: None)
    sent: dict[str, list[str]] = {"ws": [], "wss": []}
    left = asyncio.Event()

    async def serve(scheme: str) -> None:
        messages = iter([{"type": "websocket.connect"}])

        async def receive() -> Any:
            if (first := next(messages, None)) is not None:
                return first
            await left.wait()
            return {"type": "websocket.disconnect"}

        async def send(message: Any) -> None:
            sent[scheme].append(message["type"])

        await hub.serve(receive, send, {"extensions": {}, "scheme": scheme}, is_local=True)

    pages = [asyncio.create_task(serve(scheme)) for scheme in sent]
    for wanted in ("websocket.send", "websocket.close"):
        await until(lambda wanted=wanted: wanted in sent["wss"])  # type: ignore[misc]
        hub.send_away(that_can_move=False)
    left.set()
    await asyncio.gather(*pages)
    assert "websocket.close" not in sent["ws"]


# --------------------------------------------------------------------------------------------------------- our own paths


async def test_the_script_is_for_whoever_has_the_token() -> None:
    async with dev(answers(b"the application's")) as it:
        response = await it.get(f"/__midair/client.js?t={TOKEN}&g=7")
        assert (response.status, response.header("content-type")) == (200, "text/javascript; charset=utf-8")
        assert b"WebSocket" in response.body
        for path in ("/__midair/client.js?t=wrong", "/__midair/client.js", "/__midair/"):
            assert (await it.get(path)).status == 403
        assert (await it.get(f"/__midair/else?t={TOKEN}")).status == 404
        assert (await it.get(f"/__midair/client.js?t={TOKEN}", method="POST")).status == 403
        assert (await it.get("/__midairs")).body == b"the application's"


async def open_file(it: Dev, file: str, **asked: str) -> int:
    query = f"t={asked.get('token', TOKEN)}&file={file}&line=2&column=3"
    host = asked.get("host", "localhost")
    origin = asked.get("origin", f"http://{host}")
    method = asked.get("method", "POST")
    return (await it.get(f"/__midair/open?{query}", f"Origin: {origin}", method=method, host=f"Host: {host}")).status


async def test_a_file_of_the_project_is_opened_for_our_own_page_alone(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "a.py").write_text("x")
    (tmp_path / "secret").write_text("x")
    told = tmp_path / "told"
    script = tmp_path / "editor"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}.new && mv {told}.new {told}\n')
    script.chmod(0o755)
    line = f"{script} {{file}} {{line}}:{{column}}"
    async with dev(answers(b""), editor=line, folder=str(project), allowed_hosts=("shop.tunnel.example",)) as it:
        assert await open_file(it, "../secret") == 422
        assert await open_file(it, "a.py", token="wrong") == 403
        assert await open_file(it, "a.py", origin="http://evil.example") == 403
        assert await open_file(it, "a.py", host="shop.tunnel.example") == 403
        assert await open_file(it, "a.py", method="GET") == 405
        assert not told.exists()
        assert await open_file(it, "a.py") == 200
        while not told.exists():  # noqa: ASYNC110 - a process of its own
            await asyncio.sleep(0.01)
        assert told.read_text() == f"{(project / 'a.py').resolve()}\n2:3\n"
    async with dev(answers(b""), editor="", folder=str(project)) as it:
        assert await open_file(it, "a.py") == 403


# ----------------------------------------------------------------------------------------------------------- the stand-in


async def test_the_stand_in_answers_503_with_a_page_for_browsers_and_a_text_for_others() -> None:
    async with dev(standin.app) as it:
        response = await it.get("/anything", *BROWSER)
        assert (response.status, response.header("cache-control")) == (503, "no-store")
        assert b"client.js?t=t0ken" in response.body
        assert b"Starting" in response.body
        it.hub.told(messages.encode(Hello(generation=0, status="waiting", error=ERROR)))
        assert b"TS1: no" in (await it.get("/", *BROWSER)).body
        lan = await it.get("/", *BROWSER, host="Host: 192.168.1.2")
        assert (lan.status, b"TS1" in lan.body) == (503, False)
        text = await it.get("/api")
        assert (text.status, text.header("content-type")) == (503, "text/plain; charset=utf-8")
        assert b"build (a.ts:1)\nTS1: no" in text.body
    async with dev(standin.app, expose=True) as it:
        it.hub.told(messages.encode(Hello(generation=0, status="waiting", error=ERROR)))
        far = await it.get("/", *BROWSER, host="Host: 192.168.1.2")
        assert b"TS1: no" in far.body
        assert (b'[1,"x"]' in far.body, b'"detail":"out"' in far.body) == (False, False)
