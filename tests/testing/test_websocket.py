"""The strict client for WebSockets counts every irregularity once and under its own name, and none where there is none."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from midair.testing.client import ClientTrouble
from midair.testing.frames import CLOSE, FIN, PING, PONG, RSV1, TEXT, Deflater, Reader, accept_key, frame, masked
from midair.testing.websocket import WRONG, BackgroundWebSockets, SocketReport, Sockets, WebSocketClient
from tests.support.rogue import Visit, rogue
from tests.support.waiting import wait_for

LOAD = Sockets(think_s=0.01, limit=3, timeout_s=0.5)


@dataclass
class Told:
    """What a client said."""

    opcode: int
    payload: bytes


@dataclass
class Service:
    """The server's side of one WebSocket, which does right unless the test has it do otherwise."""

    visit: Visit
    version: str = "1"
    count: int = 0
    inflater: Reader | None = None
    deflater: Deflater | None = None

    async def accept(self, *headers: str, status: str = "101 Switching Protocols") -> None:
        head = (await self.visit.request()).decode()
        key = re.search(r"Sec-WebSocket-Key: (.*)\r\n", head)
        assert key is not None
        lines = [f"HTTP/1.1 {status}", f"Sec-WebSocket-Accept: {accept_key(key[1])}", *headers]
        await self.visit.say("\r\n".join([*lines, "", ""]).encode())

    async def hear(self) -> Told:
        first, size = await self.visit.reader.readexactly(2)
        length = size & 0x7F
        if length == 126:
            length = int.from_bytes(await self.visit.reader.readexactly(2), "big")
        key = await self.visit.reader.readexactly(4)
        payload = masked(await self.visit.reader.readexactly(length), key)
        if first & RSV1:
            assert self.inflater is not None
            self.inflater.feed(frame(TEXT, payload, flags=FIN | RSV1, key=None))
            inflated = self.inflater.next()
            assert inflated is not None
            payload = inflated.payload
        return Told(first & 0x0F, payload)

    async def say(self, **words: object) -> None:
        payload = json.dumps(words).encode()
        if self.deflater is not None:
            await self.send(frame(TEXT, self.deflater.compress(payload), flags=FIN | RSV1, key=None))
        else:
            await self.send(frame(TEXT, payload, key=None))

    async def send(self, data: bytes) -> None:
        await self.visit.say(data)

    async def answer(self, told: Told, **changes: object) -> None:
        self.count += 1
        await self.say(**{**json.loads(told.payload), "count": self.count, "version": self.version, **changes})

    async def messages(self) -> AsyncIterator[Told]:
        """Up to the client's close frame, which is answered."""
        while (told := await self.hear()).opcode != CLOSE:
            if told.opcode == TEXT:
                yield told
        await self.send(frame(CLOSE, told.payload, key=None))

    async def go_on(self) -> None:
        async for told in self.messages():
            await self.answer(told)


Behaviour = Callable[[Service], Awaitable[None]]


def talk(behaviour: Behaviour, load: Sockets = LOAD) -> SocketReport:
    """Let the first connection meet this behaviour; the next ones are served as they should be."""

    async def serve(visit: Visit) -> None:
        service = Service(visit)
        if visit.number == 0:
            await behaviour(service)
        else:
            await service.accept()
            await service.go_on()

    async def session() -> SocketReport:
        async with rogue(serve) as url, asyncio.timeout(20), WebSocketClient(url, load) as client:
            await client.until_done()
        return client.report

    return asyncio.run(session())


def assert_only(report: SocketReport, *kinds: str) -> None:
    assert {kind: count for kind in WRONG if (count := getattr(report, kind))} == dict.fromkeys(kinds, 1), (
        report.summary()
    )
    assert report.wrong == len(kinds) == len(report.failures)


async def good(service: Service) -> None:
    await service.accept()
    await service.say(hello="1")
    await service.go_on()


async def moves(service: Service) -> None:
    await service.accept()
    async for told in service.messages():
        await service.answer(told)
        service.version = "2"


async def pings(service: Service) -> None:
    await service.accept()
    await service.send(frame(PING, b"?", key=None))
    while (told := await service.hear()).opcode != PONG:
        await service.answer(told)
    assert told.payload == b"?"
    await service.go_on()


@pytest.mark.parametrize("behaviour", [good, moves, pings])
def test_nothing_is_counted_where_nothing_is_wrong(behaviour: Behaviour) -> None:
    report = talk(behaviour)
    assert_only(report)
    assert (report.opened, report.sent, report.answered) == (1, 3, 3)
    assert report.moves == (1 if behaviour is moves else 0)


async def refuses(service: Service) -> None:
    await service.accept(status="503 Service Unavailable")


async def accepts_another_key(service: Service) -> None:
    await service.visit.request()
    await service.visit.say(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n")


async def closes_at_once(service: Service) -> None:
    await service.accept()


async def closes_with_1012(service: Service) -> None:
    await service.accept()
    await service.answer(await service.hear())
    await service.send(frame(CLOSE, (1012).to_bytes(2, "big"), key=None))


async def ends_without_a_word(service: Service) -> None:
    await service.accept()
    await service.answer(await service.hear())


async def resets(service: Service) -> None:
    await service.accept()
    await service.answer(await service.hear())
    service.visit.reset()


async def sends_no_frame(service: Service) -> None:
    await service.accept()
    await service.answer(await service.hear())
    await service.send(b"\xff\xff\xff\xff")


async def does_not_answer_the_close_frame(service: Service) -> None:
    await service.accept()
    while (told := await service.hear()).opcode == TEXT:
        await service.answer(told)
    await service.hear()


async def swallows(service: Service) -> None:
    await service.accept()
    async for told in service.messages():
        service.count += 1
        if service.count != 2:
            service.count -= 1
            await service.answer(told)


async def repeats(service: Service) -> None:
    await service.accept()
    async for told in service.messages():
        await service.answer(told)
        if service.count == 2:
            service.count -= 1
            await service.answer(told)


async def overtakes(service: Service) -> None:
    await service.accept()
    first, second = await service.hear(), await service.hear()
    await service.answer(second, count=2)
    await service.answer(first, count=1)
    await service.go_on()


async def answers_another_text(service: Service) -> None:
    await service.accept()
    await service.answer(await service.hear(), text="another")
    await service.go_on()


async def answers_what_was_not_asked(service: Service) -> None:
    await service.accept()
    await service.say(n=17, text="", count=18, version="1")
    await service.go_on()


async def speaks_of_something_else(service: Service) -> None:
    await service.accept()
    await service.say(weather="fine")
    await service.go_on()


async def forgets_its_counter(service: Service) -> None:
    await service.accept()
    async for told in service.messages():
        await service.answer(told, **({"count": 1} if service.count == 1 else {}))


async def counts_pushes_wrong(service: Service) -> None:
    await service.accept()
    for number in (0, 1, 3):
        await service.say(push=number, version="1")
    await service.go_on()


async def repeats_a_push(service: Service) -> None:
    await service.accept()
    for number in (0, 0):
        await service.say(push=number, version="1")
    await service.go_on()


async def greets_again(service: Service) -> None:
    await service.accept()
    await service.say(hello="1")
    await service.say(hello="1")
    await service.go_on()


@pytest.mark.parametrize(
    ("behaviour", "kinds"),
    [
        (refuses, ["refused"]),
        (accepts_another_key, ["refused"]),
        (closes_with_1012, ["broken"]),
        (ends_without_a_word, ["broken"]),
        (resets, ["broken"]),
        (sends_no_frame, ["broken"]),
        (does_not_answer_the_close_frame, ["broken"]),
        (repeats, ["repeated"]),
        (answers_another_text, ["altered"]),
        (answers_what_was_not_asked, ["altered"]),
        (speaks_of_something_else, ["altered"]),
        (counts_pushes_wrong, ["push_gaps"]),
        (repeats_a_push, ["push_gaps"]),
        (greets_again, ["greeted_again"]),
        (forgets_its_counter, ["counter_gaps"]),
        (overtakes, ["out_of_order"]),
        (closes_at_once, ["broken", "lost"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_irregularity_is_counted_once(behaviour: Behaviour, kinds: list[str]) -> None:
    report = talk(behaviour)
    assert_only(report, *kinds)


def test_a_message_without_an_answer_is_lost() -> None:
    report = talk(swallows)
    # The next answer overtakes the one that never comes, and in the end the client waits for it in vain.
    assert (report.lost, report.out_of_order, report.broken) == (1, 1, 1), report.summary()
    assert report.wrong == 3


def test_a_service_that_stops_pushing_is_noticed() -> None:
    async def falls_silent(service: Service) -> None:
        await service.accept()
        await service.say(push=0, version="1")
        await service.go_on()

    report = talk(falls_silent, replace(LOAD, has_pushes=True, think_s=0.2, timeout_s=0.1))
    assert report.pushes == 1
    assert report.push_gaps >= 1
    assert report.wrong == report.push_gaps


def test_a_service_that_does_not_compress_is_refused_by_a_client_that_demands_it() -> None:
    async def session() -> SocketReport:
        async def serve(visit: Visit) -> None:
            await good(Service(visit))

        async with rogue(serve) as url, WebSocketClient(url, replace(LOAD, is_compressed=True)) as client:
            while not client.report.refused:  # noqa: ASYNC110 - what is waited for are figures, not events
                await asyncio.sleep(0.01)
        return client.report

    report = asyncio.run(session())
    assert report.refused > 0 == report.sent


def test_a_compressed_message_needs_the_window_of_the_one_before() -> None:
    heard: list[bytes] = []

    async def compressed(service: Service) -> None:
        await service.accept("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12")
        service.inflater, service.deflater = Reader(12), Deflater(15)
        async for told in service.messages():
            heard.append(told.payload)
            await service.answer(told)

    report = talk(compressed, replace(LOAD, is_compressed=True))
    assert_only(report)
    assert report.answered == 3
    words = [json.loads(payload)["text"].split() for payload in heard]
    assert [texts[-1] for texts in words[:-1]] == [texts[0] for texts in words[1:]]


def test_the_clients_own_trouble_is_not_the_services() -> None:
    async def session() -> None:
        async with asyncio.timeout(10), WebSocketClient("http://256.0.0.1:1", LOAD) as client:
            await client.until_done()

    with pytest.raises(ClientTrouble):
        asyncio.run(session())


def test_in_the_background_it_talks_until_it_is_stopped() -> None:
    async def run() -> None:
        async def serve(visit: Visit) -> None:
            await good(Service(visit))

        async with rogue(serve) as url:
            await asyncio.to_thread(in_the_background, url)

    def in_the_background(url: str) -> None:
        with BackgroundWebSockets(url, replace(LOAD, limit=0, connections=2)) as client:
            wait_for(lambda: client.report.answered, until=lambda count: count > 5)
            report = client.stop()
        assert_only(report)
        assert report.sent == report.answered > 5
        assert report.opened == 2

    asyncio.run(run())
