"""The PROXY protocol: who is asking is told before the first request, by trusted proxies alone and in any pieces."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.observe.counters import Cell
from midair.worker.asgi import Receive, Scope, Send
from midair.worker.proxy_protocol import BadHeader, Header, read
from tests.worker.serving import get, hello, listen, respond, serving, until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def binary(command: int, family: int, addresses: bytes) -> bytes:
    """A header of version 2."""
    return SIGNATURE + bytes([command, family]) + len(addresses).to_bytes(2) + addresses


V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.2") + (56324).to_bytes(2) + (443).to_bytes(2)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    + (56324).to_bytes(2)
    + (443).to_bytes(2)
)
TLVS = b"\x03\x00\x04\xde\xad\xbe\xef" + b"\x02\x00\x04shop" + b"\x04\x00\x00"
ENDS_V4 = (("192.0.2.1", 56324), ("198.51.100.2", 443))
ENDS_V6 = (("2001:db8::1", 56324), ("2001:db8::2", 443))
NOBODY = (None, None)

HEADERS = {
    "a line": (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", ENDS_V4),
    "a line of IPv6": (b"PROXY TCP6 2001:db8::1 2001:DB8:0::2 56324 443\r\n", ENDS_V6),
    "a line of unknown": (b"PROXY UNKNOWN\r\n", NOBODY),
    "a line of unknown and more": (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", NOBODY),
    "binary": (binary(0x21, 0x11, V4), ENDS_V4),
    "binary IPv6": (binary(0x21, 0x21, V6), ENDS_V6),
    "binary with TLVs": (binary(0x21, 0x11, V4 + TLVS), ENDS_V4),
    "binary IPv6 with TLVs": (binary(0x21, 0x21, V6 + TLVS), ENDS_V6),
    "binary local": (binary(0x20, 0x00, b""), NOBODY),
    "binary local with addresses": (binary(0x20, 0x11, V4), NOBODY),
    "binary unspecified": (binary(0x21, 0x00, b"whatever"), NOBODY),
    "binary of datagrams": (binary(0x21, 0x12, V4), NOBODY),
    "binary of Unix sockets": (binary(0x21, 0x31, b"/" * 216), NOBODY),
}

BAD = {
    "a request": get(),
    "lower case": b"proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
    "no family": b"PROXY \r\n",
    "an unknown family": b"PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n",
    "unknown, misspelt": b"PROXY UNKNOWNX\r\n",
    "an address of the other family": b"PROXY TCP4 ::1 ::2 1 2\r\n",
    "a name for an address": b"PROXY TCP4 localhost 198.51.100.2 1 2\r\n",
    "an octal address": b"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
    "a port too many": b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
    "a port too large": b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n",
    "a port with a sign": b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n",
    "a port with zeros": b"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
    "two spaces": b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
    "ended by a bare LF": b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n",
    "a line without end": b"PROXY UNKNOWN " + b"a" * 200,
    "version 3": SIGNATURE + b"\x31\x11\x00\x0c" + V4,
    "an unknown command": SIGNATURE + b"\x22\x11\x00\x0c" + V4,
    "an unknown version-2 family": binary(0x21, 0x41, V4),
    "an unknown transport": binary(0x21, 0x13, V4),
    "too short for its addresses": binary(0x21, 0x11, V4[:-1]),
    "too short for IPv6": binary(0x21, 0x21, V4),
    "absurdly long": SIGNATURE + b"\x21\x11\xff\xff",
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_tells_both_ends_and_its_own_length(name: str) -> None:
    data, (client, server) = HEADERS[name]
    assert read(data + get()) == Header(len(data), client, server)
    assert [read(data[:end]) for end in range(len(data))] == [None] * len(data)


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_header_is_refused_and_never_waited_for(name: str) -> None:
    with pytest.raises(BadHeader):
        read(BAD[name])


@given(st.sampled_from([data for data, _ in HEADERS.values()]), st.data())
def test_a_damaged_header_is_refused_or_another_header_and_nothing_else(header: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(header) - 1))
    damaged = header[:place] + bytes([data.draw(st.integers(0, 255))]) + header[place + 1 :]
    outcomes: list[object] = []
    for end in (*range(len(damaged)), len(damaged) + 200):
        try:
            outcomes.append(read((damaged + b"G" * 200)[:end]))
        except BadHeader:
            outcomes.append(BadHeader)
            break
    # Once it is whole it is whole, whatever follows; and it is never believed first and refused later.
    whole = [outcome for outcome in outcomes if isinstance(outcome, Header)]
    assert len(set(whole)) <= 1
    assert not (whole and outcomes[-1] is BadHeader)


@given(st.binary(max_size=150))
def test_any_bytes_are_a_header_the_start_of_one_or_refused(junk: bytes) -> None:
    for lead in (b"", SIGNATURE, b"PROXY ", SIGNATURE + b"\x21\x11"):
        try:
            header = read(lead + junk)
        except BadHeader:
            continue
        assert header is None or header.length <= len(lead + junk)


# ------------------------------------------------------------------------------------------------------- over a socket


class Asked:
    """Remembers who asked, as the application was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, Any, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append((scope["client"], scope["server"], scope["path"]))
        await respond(send)


@pytest.mark.parametrize("is_split", [False, True])
@pytest.mark.parametrize("name", HEADERS)
async def test_the_application_is_told_the_ends_that_the_proxy_told(name: str, is_split: bool) -> None:
    data, (client_end, server_end) = HEADERS[name]
    app = Asked()
    async with serving(app, proxy_protocol=True) as served:
        client = await served.connect()
        stream = data + get("/1") + get("/2")
        for piece in [stream[i : i + 1] for i in range(len(stream))] if is_split else [stream]:
            client.send(piece)
            await asyncio.sleep(0)
        assert [(await client.response()).status for _ in range(2)] == [200, 200]
        own = client.writer.get_extra_info("sockname")
        ends = (client_end or own, server_end or served.listener_address)
        assert app.seen == [(*ends, "/1"), (*ends, "/2")]


@pytest.mark.parametrize("name", BAD)
async def test_a_connection_that_begins_wrongly_is_closed_and_counted(name: str) -> None:
    app = Asked()
    async with serving(app, proxy_protocol=True) as served:
        client = await served.connect()
        client.send(BAD[name] + get())
        assert await client.end() == b""
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_REFUSED) == 1
    assert app.seen == []


@pytest.mark.parametrize("begun", [b"", b"PROXY TCP4 192", SIGNATURE])
async def test_a_header_that_does_not_come_in_time_ends_the_connection(begun: bytes) -> None:
    async with serving(hello, proxy_protocol=True, timeout_head_s=0.1) as served:
        client = await served.connect()
        client.send(begun)
        assert await client.end() == b""
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_REFUSED) == 1


async def test_a_client_that_leaves_before_its_header_is_gone() -> None:
    async with serving(hello, proxy_protocol=True) as served:
        client = await served.connect()
        client.send(b"PROXY ")
        client.writer.write_eof()
        assert await client.end() == b""
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_BY_CLIENT) == 1


async def test_who_is_no_trusted_proxy_cannot_say_who_is_asking() -> None:
    app = Asked()
    async with serving(app, proxy_protocol=True, forwarded_allow_ips=("192.0.2.9",)) as served:
        client = await served.connect()
        assert (await client.ask(HEADERS["a line"][0] + get())).status == 400
        plain = await served.connect()
        assert (await plain.ask(get("/plain"))).status == 200
        assert app.seen == [(plain.writer.get_extra_info("sockname"), served.listener_address, "/plain")]


async def test_without_the_option_a_header_is_no_http() -> None:
    async with serving(hello) as served:
        for data, _ in HEADERS.values():
            client = await served.connect()
            assert (await client.ask(data + get())).status == 400


async def test_a_proxy_on_a_unix_socket_says_for_whom(tmp_path: Path) -> None:
    app = Asked()
    listener = listen(socket.AF_UNIX, str(tmp_path / "s"))
    async with serving(app, listener, proxy_protocol=True, forwarded_allow_ips=()) as served:
        client = await served.connect()
        await client.ask(HEADERS["binary"][0] + get())
        assert app.seen == [(*ENDS_V4, "/")]


@pytest.mark.parametrize(
    ("header", "proxies", "client"),
    [
        ("a line", ("127.0.0.1",), ("192.0.2.1", 56324)),
        ("a line", ("127.0.0.1", "192.0.2.0/24"), ("203.0.113.7", 0)),
        ("a line of unknown", ("127.0.0.1",), None),
        ("binary local", ("127.0.0.1",), None),
    ],
)
async def test_forwarded_headers_are_believed_of_whom_the_proxy_told_and_not_of_the_proxy(
    header: str, proxies: tuple[str, ...], client: Any
) -> None:
    # A proxy that speaks this protocol passes bytes on: what the headers say is its client's word, not its own.
    app = Asked()
    async with serving(app, proxy_protocol=True, forwarded_allow_ips=proxies) as served:
        asking = await served.connect()
        await asking.ask(HEADERS[header][0] + get("/", "X-Forwarded-For: 203.0.113.7"))
        assert app.seen[0][0] == (client or asking.writer.get_extra_info("sockname"))


async def test_a_probe_needs_no_header() -> None:
    app = Asked()
    async with serving(app, proxy_protocol=True) as served:
        ours, theirs = socket.socketpair()
        served.server.adopt(theirs, counted=False)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        writer.write(get("/health"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await until(lambda: not served.server.connections)
    assert app.seen == [(None, None, "/health")]


async def test_a_drain_does_not_wait_for_a_header_longer_than_its_time() -> None:
    async with serving(hello, proxy_protocol=True, timeout_head_s=0.1) as served:
        client = await served.connect()
        await until(lambda: bool(served.server.connections))
        served.server.drain()
        assert await client.end() == b""
