"""The extensions of ASGI that midair has: early hints, trailers, a file by its path."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

from midair.observe.counters import Cell
from midair.worker.asgi import Asgi, Receive, Scope, Send
from midair.worker.response import InvalidResponse
from tests.worker.serving import Client, Served, get, post, respond, serving, until, whole_body

START = {"type": "http.response.start", "status": 200, "headers": []}
TE = "TE: trailers"


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The applications here fail on purpose."""
    caplog.set_level(logging.CRITICAL, "midair.error")


async def test_what_one_request_writes_into_its_extensions_no_other_sees() -> None:
    seen: list[set[str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(set(scope["extensions"]))
        scope["extensions"]["mine"] = {}
        await respond(send)

    async with serving(app) as served:
        client = await served.connect()
        for _ in range(2):
            await client.ask(get())
    assert seen[0] == seen[1]


# --------------------------------------------------------------------------------------------------------- early hints


def hinting(*links: bytes) -> Asgi:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": links})
        await respond(send, b"hello")

    return app


async def test_hints_are_a_103_before_the_response() -> None:
    async with serving(hinting(b"</a.css>; rel=preload", b"</b.js>; rel=preload")) as served:
        client = await served.connect()
        client.send(get())
        hint = await client.head()
        assert hint == (103, [("link", "</a.css>; rel=preload"), ("link", "</b.js>; rel=preload")])
        assert (await client.response()).body == b"hello"
        assert served.count(Cell.REQUESTS) == 1


async def test_http_1_0_knows_no_hints() -> None:
    async with serving(hinting(b"</a.css>")) as served:
        client = await served.connect()
        assert (await client.ask(get(version="1.0"))).status == 200


async def test_a_hint_that_would_break_its_lines_is_not_sent() -> None:
    async with serving(hinting(b"</a.css>\r\nX: y")) as served:
        assert (await (await served.connect()).ask(get())).status == 500


async def test_a_hint_within_the_response_is_an_error_of_the_application() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        with pytest.raises(RuntimeError, match="early_hint"):
            await send({"type": "http.response.early_hint", "links": [b"</a.css>"]})
        await send({"type": "http.response.body", "body": b"hello"})

    async with serving(app) as served:
        assert (await (await served.connect()).ask(get())).body == b"hello"


# ------------------------------------------------------------------------------------------------------------ trailers


def trailing(*bodies: bytes, headers: Any = (), trailers: Any = ([(b"x-sum", b"1")],)) -> Asgi:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": headers, "trailers": True})
        for place, body in enumerate(bodies):
            await send({"type": "http.response.body", "body": body, "more_body": place < len(bodies) - 1})
        for place, lines in enumerate(trailers):
            more = place < len(trailers) - 1
            await send({"type": "http.response.trailers", "headers": lines, "more_trailers": more})

    return app


async def raw(client: Client, request: bytes, end: bytes) -> bytes:
    """The answer up to ``end``, without its head."""
    client.send(request)
    return (await client.reader.readuntil(end)).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("bodies", "chunks"),
    [
        ((b"hello",), b"5\r\nhello\r\n"),
        ((b"",), b""),
        ((b"a", b"bc", b""), b"1\r\na\r\n2\r\nbc\r\n"),
    ],
)
async def test_trailers_stand_behind_the_last_chunk(bodies: tuple[bytes, ...], chunks: bytes) -> None:
    trailers = ([(b"x-sum", b"1")], [(b"X-More", b"a, b")])
    async with serving(trailing(*bodies, trailers=trailers)) as served:
        client = await served.connect()
        for _ in range(2):
            answer = await raw(client, get("/", TE), b"a, b\r\n\r\n")
            assert answer == chunks + b"0\r\nx-sum: 1\r\nX-More: a, b\r\n\r\n"


async def test_who_has_not_asked_for_trailers_gets_none() -> None:
    async with serving(trailing(b"hello")) as served:
        client = await served.connect()
        for headers in ((), ("TE: gzip",)):
            assert await raw(client, get("/", *headers), b"\r\n0\r\n\r\n") == b"5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("length", [[], [(b"content-length", b"5")]])
async def test_trailers_are_dropped_where_they_have_no_place(length: Any) -> None:
    async with serving(trailing(b"hel", b"lo", headers=length)) as served:
        client = await served.connect()
        assert (await client.ask(get("/", TE, method="HEAD"), head_only=True)).status == 200
        assert (await client.ask(get("/", TE))).status == 200 if length else True
        old = await served.connect()
        assert (await old.ask(get("/", TE, version="1.0"))).body == b"hello"


@pytest.mark.parametrize(
    "line",
    [
        (b"content-length", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"connection", b"close"),
        (b"Set-Cookie", b"a=b"),
        (b"x", b"a\r\nb: c"),
        (b"a b", b"c"),
    ],
)
async def test_what_cannot_be_a_trailer_is_an_error_of_the_application(line: tuple[bytes, bytes]) -> None:
    async with serving(trailing(b"hello", trailers=([line],))) as served:
        client = await served.connect()
        client.send(get("/", TE))
        assert (await client.end()).endswith(b"5\r\nhello\r\n"), "the end is missing, so that the client sees it"
        assert served.count(Cell.APPLICATION_ERRORS) == 1


@pytest.mark.parametrize("message", ["http.response.body", "http.response.trailers"])
async def test_events_out_of_their_order_are_errors_of_the_application(message: str) -> None:
    raised: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "trailers": message == "http.response.body"})
        await send({"type": "http.response.body", "body": b"hello", "more_body": message == "http.response.trailers"})
        try:
            await send({"type": message, "headers": [], "body": b"more"})
        except RuntimeError as exc:
            raised.append(str(exc))
        await send({"type": "http.response.body"} if "trailers" in message else {"type": "http.response.trailers"})

    async with serving(app) as served:
        response = await (await served.connect()).ask(get())
        assert response.body == b"hello"
    assert len(raised) == 1


async def test_an_application_that_owes_its_trailers_breaks_off() -> None:
    async with serving(trailing(b"hello", trailers=())) as served:
        client = await served.connect()
        client.send(get("/", TE))
        assert (await client.end()).endswith(b"5\r\nhello\r\n")


# ------------------------------------------------------------------------------------------------------ a file by path


def sending(path: object, *headers: tuple[bytes, bytes], status: int = 200) -> Asgi:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await whole_body(receive)
        await send({**START, "status": status, "headers": headers})
        await send({"type": "http.response.pathsend", "path": path})

    return app


CONTENT = bytes(place % 251 for place in range(1_000_000))


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return write(tmp_path / "page.html", CONTENT)


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 1_000_000])
@pytest.mark.parametrize("is_told", [False, True])
async def test_a_file_is_sent_whole_and_the_connection_goes_on(tmp_path: Path, size: int, is_told: bool) -> None:
    content = CONTENT[:size]
    file = write(tmp_path / "page.html", content)
    headers = [(b"content-length", b"%d" % size)] if is_told else []
    async with serving(sending(file, *headers)) as served:
        client = await served.connect()
        for request in (get(), post(b"x" * 1000), get()):
            response = await client.ask(request)
            assert (response.status, response.header("content-length"), response.body) == (200, str(size), content)


async def test_a_file_is_as_long_as_the_content_length_that_was_told(file: str) -> None:
    async with serving(sending(file, (b"content-length", b"300000"))) as served:
        client = await served.connect()
        for _ in range(2):
            assert (await client.ask(get())).body == CONTENT[:300_000]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
async def test_where_there_is_no_body_no_file_is_sent(file: str, method: str, status: int) -> None:
    async with serving(sending(file, status=status)) as served:
        client = await served.connect()
        for _ in range(2):
            response = await client.ask(get(method=method), head_only=True)
            assert response.status == status


async def test_a_file_in_chunks_and_to_http_1_0(file: str) -> None:
    async with serving(sending(file, (b"transfer-encoding", b"chunked"))) as served:
        assert (await (await served.connect()).ask(get())).body == CONTENT
        assert (await (await served.connect()).ask(get(version="1.0"))).body == CONTENT


async def test_a_file_that_becomes_shorter_breaks_off_its_response(file: str) -> None:
    class Shrinking:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await send({**START, "headers": [(b"content-length", b"50000000")]})
            await send({"type": "http.response.pathsend", "path": file})

    async with serving(Shrinking()) as served:
        client = await served.connect()
        client.send(get())
        await client.head()
        assert await client.end() == CONTENT, "less than was promised, and the end of the connection"
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_ERROR) == 1


async def held_up(served: Served) -> tuple[Client, Any]:
    """A client that has read the head, and the connection, which waits for it to read on."""
    client = await served.connect()
    client.send(get())
    await client.head()
    (connection,) = served.server.connections
    await until(lambda: connection.is_write_paused)
    return client, connection


async def test_a_file_that_shrinks_while_a_slow_client_reads_breaks_off_too(tmp_path: Path) -> None:
    file = write(tmp_path / "film", b"a" * 30_000_000)
    async with serving(sending(file)) as served:
        client, _ = await held_up(served)
        os.truncate(file, 20_000_000)
        assert len(await client.end()) == 20_000_000


@pytest.mark.parametrize("path", ["/nowhere/at/all", "relative.html", "/", b"/bytes", None])
async def test_what_cannot_be_sent_is_an_error_before_the_head_and_not_the_clients_departure(path: Any) -> None:
    raised: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await sending(path)(scope, receive, send)
        except InvalidResponse as exc:
            raised.append(exc)
            raise

    async with serving(app) as served:
        assert (await (await served.connect()).ask(get())).status == 500
    assert len(raised) == 1
    assert not isinstance(raised[0], OSError)


async def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    async with serving(sending(str(tmp_path / "pipe"))) as served:
        assert (await (await served.connect()).ask(get())).status == 500


async def test_a_file_is_read_no_faster_than_its_client_reads(tmp_path: Path) -> None:
    file = write(tmp_path / "film", b"a" * 30_000_000)
    async with serving(sending(file)) as served:
        client, connection = await held_up(served)
        assert connection.transport.get_write_buffer_size() < 1_000_000
        assert len(await client.reader.readexactly(30_000_000)) == 30_000_000


async def test_no_descriptor_is_left_of_files_that_were_sent_or_not(file: str) -> None:
    async with serving(sending(file)) as served:
        client = await served.connect()
        await client.ask(get())
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            await client.ask(get())
        assert len(os.listdir("/proc/self/fd")) == before
        leaving = await served.connect()
        leaving.send(get())
        await leaving.head()
        leaving.reset()
        await until(lambda: len(served.server.connections) == 1 and not served.server.running)
        await leaving.close()
        await asyncio.sleep(0)
        assert len(os.listdir("/proc/self/fd")) == before


async def test_starlette_sends_files_by_their_path(file: str) -> None:
    async def page(request: Any) -> FileResponse:
        return FileResponse(file)

    async with serving(Starlette(routes=[Route("/", page)])) as served:
        client = await served.connect()
        response = await client.ask(get())
        assert response.body == CONTENT
        part = await client.ask(get("/", "Range: bytes=10-19"))
        assert (part.status, part.body) == (206, CONTENT[10:20])
        head = await client.ask(get(method="HEAD"), head_only=True)
        assert head.header("content-length") == "1000000"
