"""Who is asking, when a proxy asks: X-Forwarded-For and -Proto are believed of trusted proxies alone."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from websockets.asyncio.client import connect

from midair.worker import forwarded
from midair.worker.asgi import Receive, Scope, Send
from midair.worker.forwarded import Trusted
from tests.worker.serving import get, listen, respond, serving

PROXIES = ("127.0.0.1", "10.0.0.0/8", "2001:db8::/32")

CHAINS = {
    "192.0.2.1": ("192.0.2.1", 0),
    " 192.0.2.1 ": ("192.0.2.1", 0),
    "192.0.2.1:4711": ("192.0.2.1", 4711),
    "forged, 192.0.2.1, 10.1.2.3": ("192.0.2.1", 0),
    "forged, 192.0.2.1, 10.1.2.3:80, 127.0.0.1": ("192.0.2.1", 0),
    "10.0.0.1, 10.0.0.2": ("10.0.0.1", 0),
    "2001:db9::1": ("2001:db9::1", 0),
    "[2001:db9::1]": ("2001:db9::1", 0),
    "[2001:db9::1]:4711": ("2001:db9::1", 4711),
    "192.0.2.1, 2001:0db8:0::0001": ("192.0.2.1", 0),
    "unknown": ("unknown", 0),
    "192.0.2.1, _hidden, 10.0.0.1": ("_hidden", 0),
    "[2001:db9::1": ("[2001:db9::1", 0),
    "": None,
    ", ": None,
}


@pytest.mark.parametrize("chain", CHAINS)
def test_the_client_is_the_last_that_is_no_trusted_proxy(chain: str) -> None:
    assert Trusted(PROXIES).client(chain) == CHAINS[chain]


def test_with_everybody_trusted_the_client_is_the_first() -> None:
    assert Trusted(["*"]).client("192.0.2.1, 192.0.2.2") == ("192.0.2.1", 0)
    assert Trusted(["*"]).covers(("198.51.100.1", 1))


@pytest.mark.parametrize(
    ("host", "is_trusted"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("10.255.0.1", True),
        ("11.0.0.1", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:11.0.0.1", False),
        ("2001:db8::1", True),
        ("2001:0db8:0000::1", True),
        ("2001:db9::1", False),
        ("nonsense", False),
        ("", False),
        ("1" * 100, False),
    ],
)
def test_who_is_a_trusted_proxy(host: str, is_trusted: bool) -> None:
    assert Trusted(PROXIES).covers((host, 1)) is is_trusted


def test_a_peer_on_a_unix_socket_is_a_trusted_proxy() -> None:
    assert Trusted([]).covers(None)


addresses = st.sampled_from(["127.0.0.1", "10.1.2.3", "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db9::1]:8"])


@given(st.lists(addresses, min_size=1, max_size=5), st.sampled_from(["*", ",".join(PROXIES)]), st.booleans())
def test_a_chain_is_read_as_uvicorn_reads_it(chain: list[str], proxies: str, is_in_lines: bool) -> None:
    lines = [(b"x-forwarded-for", entry.encode()) for entry in chain]
    headers = lines if is_in_lines else [(b"x-forwarded-for", ", ".join(chain).encode())]
    headers = [*headers, (b"x-forwarded-proto", b"https")]
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["client"], scope["scheme"]))

    scope: Scope = {"type": "http", "client": ("127.0.0.1", 1), "scheme": "http", "headers": headers}
    theirs = ProxyHeadersMiddleware(app, proxies)(dict(scope), None, None)  # type: ignore[arg-type]  # never asked
    with pytest.raises(StopIteration):
        theirs.send(None)
    forwarded.apply(scope, Trusted(proxies.split(",")))
    assert [(scope["client"], scope["scheme"])] == seen


@given(st.text(max_size=60), st.sampled_from([("*",), PROXIES]))
def test_whatever_a_header_says_gives_a_client_or_none(text: str, proxies: tuple[str, ...]) -> None:
    client = Trusted(proxies).client(text)
    assert client is None or (client[0] and 0 <= (client[1] or 0) <= 65535)


# ------------------------------------------------------------------------------------------------------- over a socket


class Asked:
    """Remembers who asked, as the application was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append((scope["client"], scope["scheme"]))
        await respond(send)


FORWARDED = ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")


@pytest.mark.parametrize(
    ("settings", "is_believed"),
    [
        ({}, True),
        ({"forwarded_allow_ips": ("*",)}, True),
        ({"forwarded_allow_ips": ("127.0.0.0/8",)}, True),
        ({"forwarded_allow_ips": ("10.0.0.1",)}, False),
        ({"proxy_headers": False}, False),
        ({"proxy_headers": False, "forwarded_allow_ips": ("*",)}, False),
    ],
)
async def test_the_headers_are_believed_of_a_trusted_proxy_alone(settings: dict[str, Any], is_believed: bool) -> None:
    app = Asked()
    async with serving(app, **settings) as served:
        client = await served.connect()
        await client.ask(get("/", *FORWARDED))
        own = client.writer.get_extra_info("sockname")
        assert app.seen == [(("192.0.2.1", 0), "https") if is_believed else (own, "http")]


async def test_one_request_says_nothing_about_the_next() -> None:
    app = Asked()
    async with serving(app) as served:
        client = await served.connect()
        await client.ask(get("/", *FORWARDED))
        await client.ask(get("/"))
        await client.ask(get("/", "X-Forwarded-Proto: gopher"))
        own = client.writer.get_extra_info("sockname")
        assert app.seen == [(("192.0.2.1", 0), "https"), (own, "http"), (own, "http")]


async def test_a_proxy_on_a_unix_socket_is_believed(tmp_path: Path) -> None:
    app = Asked()
    async with serving(app, listen(socket.AF_UNIX, str(tmp_path / "s")), forwarded_allow_ips=()) as served:
        client = await served.connect()
        await client.ask(get("/", *FORWARDED))
        await client.ask(get("/"))
        assert app.seen == [(("192.0.2.1", 0), "https"), (None, "http")]


async def test_a_websocket_behind_tls_is_wss() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await receive()
        await send({"type": "websocket.accept"})

    async with serving(app) as served:
        address = "ws://{}:{}/".format(*served.listener_address)
        headers = {"X-Forwarded-For": "192.0.2.1:7", "X-Forwarded-Proto": "https"}
        async with connect(address, proxy=None, additional_headers=headers):
            pass
        async with connect(address, proxy=None):
            pass
    assert [scope["scheme"] for scope in seen] == ["wss", "ws"]
    assert seen[0]["client"] == ("192.0.2.1", 7)
    assert ipaddress.ip_address(seen[1]["client"][0]).is_loopback


async def test_the_access_log_names_the_client_and_not_the_proxy(capfd: pytest.CaptureFixture[str]) -> None:
    async with serving(Asked(), access_log=True) as served:
        client = await served.connect()
        await client.ask(get("/shop", *FORWARDED))
    assert 'INFO:     192.0.2.1:0 - "GET /shop HTTP/1.1" 200 OK' in capfd.readouterr().out
