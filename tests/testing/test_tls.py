"""Behind TLS the strict client is as strict: a connection that ends without close_notify was torn down."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from midair.testing.client import Client, Load, Target
from midair.testing.report import Answer, Report
from tests.support.authority import Authority

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"version": "1"}'
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def server(authority: Authority, talk: Talk) -> AsyncIterator[str]:
    pair = authority.issue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certfile, pair.keyfile)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def ask(authority: Authority, talk: Talk, *, believes: Authority | None = None, limit: int = 2) -> Report:
    async def session() -> Report:
        async with server(authority, talk) as url:
            target = Target.parse(url, (believes or authority).client())
            async with asyncio.timeout(10), Client(target, Load(limit=limit)) as client:
                await client.until_done()
        return client.report

    return asyncio.run(session())


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)


async def closes_between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)


async def tears_inside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER[:-3])
    await writer.drain()
    writer.transport.abort()


async def closes_inside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER[:-3])


def test_answers_behind_tls_are_counted_and_session_tickets_are_nothing_unasked_for(authority: Authority) -> None:
    report = ask(authority, answers, limit=20)
    assert (report.ok, report.failed, report.connections) == (20, 0, 1), report.summary()


def test_a_connection_that_was_closed_in_order_between_two_requests_is_a_reconnect(authority: Authority) -> None:
    report = ask(authority, closes_between, limit=3)
    assert (report.ok, report.failed, report.connections) == (3, 0, 3), report.summary()


@pytest.mark.parametrize("talk", [tears_inside, closes_inside])
def test_an_end_inside_a_response_is_a_failure_with_close_notify_and_without(authority: Authority, talk: Talk) -> None:
    report = ask(authority, talk)
    assert report.counts[Answer.EOF_INSIDE] == report.failed == 2, report.summary()


def test_a_server_that_is_not_believed_is_a_failure(authority: Authority, tmp_path: Path) -> None:
    report = ask(authority, answers, believes=Authority(tmp_path / "other"))
    assert report.counts[Answer.RESET] == report.failed == 2, report.summary()
