"""TLS in a worker: requests are answered behind it, nothing is cut by how it ends, and whatever a client does is in the books."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from midair.observe.counters import Cell
from midair.testing.response import BrokenAnswer
from midair.testing.tls import TlsWire
from midair.worker.asgi import Receive, Scope, Send
from midair.worker.certificates import CertificateUnusable, load
from midair.worker.settings import TlsSettings
from midair.worker.tls import Renewal, Tls
from tests.support.authority import Authority, Pair
from tests.worker.serving import Client, Held, Served, get, hello, listen, post, respond, serving, until, whole_body
from tests.worker.test_moving import answering, moving


@pytest.fixture(scope="module")
def new(authority: Authority) -> Pair:
    """What ``pair`` is renewed to. Made here: a test's own time is for its server."""
    return authority.issue()


@pytest.fixture(scope="module")
def short(authority: Authority) -> Pair:
    """Ends in ten days."""
    return authority.issue(days=10)


@pytest.fixture(scope="module")
def ended(authority: Authority) -> Pair:
    return authority.issue(days=0)


@pytest.fixture(scope="module")
def shown(authority: Authority) -> Pair:
    """A client's."""
    return authority.issue('bob, "the" builder')


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Of an authority that nobody believes."""
    return Authority(tmp_path_factory.mktemp("stranger")).issue()


def make_tls(pair: Pair, plain: tuple[socket.socket, ...] = (), **more: Any) -> Tls:
    settings = TlsSettings(certfile=str(pair.certfile), keyfile=str(pair.keyfile), **more)
    return Tls(settings, load(settings), plain)


class Seen:
    """Keeps the scopes of its calls."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await respond(send, b"seen")


# ---------------------------------------------------------------------------------------------------------------- requests


async def test_requests_are_answered_behind_tls(authority: Authority, pair: Pair) -> None:
    seen = Seen()
    async with serving(seen, tls=make_tls(pair)) as served:
        client = await served.connect(authority.client())
        for _ in range(3):
            assert (await client.ask(get())).body == b"seen"
        session = client.writer.get_extra_info("ssl_object")
        assert (session.version(), session.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
    scope = seen.scopes[0]
    assert scope["scheme"] == "https"
    extension = scope["extensions"]["tls"]
    assert extension["server_cert"] in pair.certfile.read_text()
    assert (extension["tls_version"], extension["cipher_suite"]) == (0x0304, 0x1302)
    assert (extension["client_cert_chain"], extension["client_cert_name"], extension["client_cert_error"]) == (
        [],
        None,
        None,
    )


async def test_a_unix_socket_a_named_address_and_a_probe_stay_plain(pair: Pair, tmp_path: Path) -> None:
    seen, unix, named = Seen(), listen(socket.AF_UNIX, str(tmp_path / "s")), listen()
    async with serving(seen, unix, tls=make_tls(pair, (named,))) as served:
        served.server.accept([named])
        assert (await (await served.connect()).ask(get())).body == b"seen"
        reader, writer = await asyncio.open_connection(*named.getsockname())
        served.clients.append(Client(reader, writer))
        assert (await served.clients[-1].ask(get())).body == b"seen"
        ours, theirs = socket.socketpair()
        served.server.adopt(theirs, counted=False)
        reader, writer = await asyncio.open_connection(sock=ours)
        served.clients.append(Client(reader, writer))
        assert (await served.clients[-1].ask(get())).body == b"seen"
    named.close()
    # The probe speaks as the service's clients do: many an application answers http with a redirect.
    assert [scope["scheme"] for scope in seen.scopes] == ["http", "http", "https"]


async def test_a_client_shows_its_certificate_and_the_application_is_told_whose_it_is(
    authority: Authority, pair: Pair, shown: Pair
) -> None:
    seen = Seen()
    tls = make_tls(pair, ca_certs=str(authority.ca_certs), cert_reqs="required")
    async with serving(seen, tls=tls) as served:
        client = await served.connect(authority.client(shown))
        assert (await client.ask(get())).body == b"seen"
    extension = seen.scopes[0]["extensions"]["tls"]
    assert extension["client_cert_chain"] == [
        load(TlsSettings(certfile=str(shown.certfile), keyfile=str(shown.keyfile))).pem
    ]
    assert extension["client_cert_name"] == r"CN=bob\, \"the\" builder,O=test"


async def test_a_client_without_a_certificate_that_is_believed_meets_no_application(
    authority: Authority, pair: Pair, stranger: Pair
) -> None:
    seen = Seen()
    tls = make_tls(pair, ca_certs=str(authority.ca_certs), cert_reqs="required")
    async with serving(seen, tls=tls) as served:
        for context in (authority.client(), authority.client(stranger)):
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await (await served.connect(context)).ask(get())  # with TLS 1.3 it learns of it behind the handshake
        await until(lambda: served.count(Cell.CLOSED_HANDSHAKE) == 2)
    assert seen.scopes == []


async def test_a_websocket_says_wss(authority: Authority, pair: Pair) -> None:
    scopes: list[Scope] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send({"type": "websocket.close"})

    async with serving(application, tls=make_tls(pair)) as served:
        client = await served.connect(authority.client())
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        wanted = get("/", "Upgrade: websocket", "Connection: Upgrade", key, "Sec-WebSocket-Version: 13")
        assert (await client.ask(wanted)).status == 403
        assert await client.end() == b""
    assert scopes[0]["scheme"] == "wss"
    assert {"tls", "websocket.http.response"} <= scopes[0]["extensions"].keys()


# --------------------------------------------------------------------------------------------------------------- handshakes


async def test_who_does_not_shake_hands_is_counted_and_makes_no_noise(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    async def nothing(client: Client) -> None:
        await client.end()

    async def leaves(client: Client) -> None:
        await client.close()

    async def resets(client: Client) -> None:
        client.reset()

    async def no_tls(client: Client) -> None:
        client.send(get())
        await client.end()

    async def garbage(client: Client) -> None:
        client.send(b"\x16\x03\x01\x02\x00" + b"\xff" * 600)
        await client.end()

    async def half(client: Client) -> None:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        await client.close()

    visitors = (nothing, leaves, resets, no_tls, garbage, half)
    with caplog.at_level(logging.DEBUG):
        async with serving(hello, tls=make_tls(pair, handshake_timeout_s=0.1)) as served:
            for number, visit in enumerate(visitors, 1):
                await visit(await served.connect())
                await until(lambda number=number: served.count(Cell.CLOSED_HANDSHAKE) == number)  # type: ignore[misc]
            assert served.count(Cell.ACCEPTED) == len(visitors)
            assert served.count(Cell.OPEN) == 0
    noise = [record for record in caplog.records if "Using selector" not in record.getMessage()]
    assert [record.getMessage() for record in noise if record.levelno > logging.DEBUG] == []


async def test_an_old_version_of_tls_is_refused(authority: Authority, pair: Pair) -> None:
    context = authority.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(hello, tls=make_tls(pair, min_version="1.3")) as served:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await served.connect(context)
        await until(lambda: served.count(Cell.CLOSED_HANDSHAKE) == 1)


async def test_a_handshake_under_way_does_not_hold_up_the_end(pair: Pair) -> None:
    async with serving(hello, tls=make_tls(pair, handshake_timeout_s=60.0)) as served:
        client = await served.connect()
        await until(lambda: served.count(Cell.OPEN) == 1)
        served.server.stop_accepting()
        assert not served.server.is_empty()
        served.server.cut()
        await served.empty()
        assert served.count(Cell.CLOSED_CUT) == 1
        await client.end()


# ------------------------------------------------------------------------------------------------------------------ the end

LARGE = bytes(range(256)) * 4096 * 4  # 4 MiB: more than sockets hold


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, LARGE)


async def wired(served: Served, authority: Authority) -> TlsWire:
    """A client whose machine holds little, and whose library drops nothing (uvloop's does, of what comes before an end)."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, served.listener_address)
    wire = TlsWire(sock, authority.client(), "localhost")
    await wire.shake_hands()
    return wire


async def read_slowly(wire: TlsWire) -> bytes:
    """The body, once the end has been said by close_notify."""
    try:
        while True:
            await wire.fill()
            await asyncio.sleep(0.002)
    except BrokenAnswer as ended:
        assert "by close_notify" in ended.detail  # noqa: PT017 - it must end, and the loop is the way there
    return bytes(wire.buffer).partition(b"\r\n\r\n")[2]


async def test_a_last_response_arrives_whole_however_slowly_it_is_read(authority: Authority, pair: Pair) -> None:
    async with serving(large, tls=make_tls(pair), linger_s=0.05) as served:
        wire = await wired(served, authority)
        await wire.send(get("/", "Connection: close"))
        assert await read_slowly(wire) == LARGE
        wire.close()


async def test_a_last_response_arrives_whole_while_its_client_is_still_sending(
    authority: Authority, pair: Pair
) -> None:
    async with serving(large, tls=make_tls(pair), linger_s=0.05) as served:
        wire = await wired(served, authority)
        await wire.send(get("/", "Content-Length: 10000000", method="POST"))
        await wire.fill()
        await wire.send(b"x" * 50_000)
        assert await read_slowly(wire) == LARGE
        wire.close()


async def test_the_end_of_a_body_without_a_length_is_said_by_close_notify(authority: Authority, pair: Pair) -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(20):
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with serving(endless, tls=make_tls(pair)) as served:
        client = await served.connect(authority.client())
        assert len((await client.ask(get(version="1.0"))).body) == 20_000


async def test_a_refusal_reaches_a_client_that_is_still_sending(authority: Authority, pair: Pair) -> None:
    async with serving(hello, tls=make_tls(pair), body_max_bytes=1000, linger_s=0.2) as served:
        client = await served.connect(authority.client())
        client.send(post(b"x" * 60_000))
        assert (await client.response()).status == 413
        client.send(b"x" * 1000)  # what a client that has not looked yet goes on sending
        assert await client.end() == b""
        await until(lambda: served.count(Cell.CLOSED_REFUSED) == 1)


async def test_an_upload_is_answered_whole(authority: Authority, pair: Pair) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, await whole_body(receive))

    async with serving(echo, tls=make_tls(pair)) as served:
        client = await served.connect(authority.client())
        assert (await client.ask(post(LARGE))).body == LARGE


async def test_an_idle_connection_ends_with_close_notify_and_does_not_wait_for_the_clients(
    authority: Authority, pair: Pair
) -> None:
    async with serving(hello, tls=make_tls(pair), timeout_keep_alive_s=0.1, linger_s=0.1) as served:
        client = await served.connect(authority.client())
        assert (await client.ask(get())).body == b"hello"
        assert await client.end() == b""
        await until(lambda: served.count(Cell.CLOSED_IDLE) == 1)
        await until(lambda: served.count(Cell.OPEN) == 0)


async def test_a_client_that_never_reads_the_end_is_let_go_of(authority: Authority, pair: Pair) -> None:
    async with serving(hello, tls=make_tls(pair), linger_s=0.1) as served:
        client = await served.connect(authority.client())
        assert (await client.ask(get())).body == b"hello"
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # of a transport that reads
        served.server.cut()
        await until(lambda: served.count(Cell.OPEN) == 0)
        assert served.count(Cell.CLOSED_CUT) == 1
        client.writer.transport.abort()


async def test_a_client_that_leaves_before_its_answer_is_in_the_books_and_makes_no_noise(
    authority: Authority, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()
    async with serving(held, tls=make_tls(pair)) as served:
        for leave in ("reset", "close"):
            client = await served.connect(authority.client())
            client.send(get())
            await held.arrived(1 if leave == "reset" else 2)
            if leave == "reset":
                client.reset()
            else:
                await client.close()
        await until(lambda: served.count(Cell.CLOSED_BY_CLIENT) == 2)
        held.go.set()
    assert caplog.messages == []


# ---------------------------------------------------------------------------------------------------------------- retiring


async def test_they_are_sent_off_at_the_pace_while_others_move(authority: Authority, pair: Pair) -> None:
    plain = listen()
    async with moving(answering("old"), answering("new"), tls=make_tls(pair, (plain,))) as move:
        move.old.server.accept([plain])
        behind = [await move.old.connect(authority.client()) for _ in range(30)]
        for client in behind:
            assert (await client.ask(get("/1"))).header("connection") is None
        reader, writer = await asyncio.open_connection(*plain.getsockname())
        move.old.clients.append(other := Client(reader, writer))
        assert (await other.ask(get("/1"))).body == b"old /1 "
        move.old.server.stop_accepting()
        move.go(10)
        await until(lambda: move.used == [10])
        told = [(await client.ask(get("/2"))).header("connection") for client in behind]
        assert told.count("close") + move.moved == 10
        move.source.grant_all()
        await until(lambda: move.moved == 1)
        assert (await other.ask(get("/2"))).body == b"new /2 "
        left = [client for client, said in zip(behind, told, strict=True) if said is None]
        for client in left:
            assert (await client.ask(get("/3"))).header("connection") == "close"
        await until(lambda: move.old.count(Cell.OPEN) == 0)
        assert move.old.count(Cell.CLOSED_DRAINED) == 30
    plain.close()


async def test_a_request_under_way_is_the_last_and_an_idle_connection_is_not_closed(
    authority: Authority, pair: Pair
) -> None:
    held = Held()
    async with moving(held, hello, tls=make_tls(pair), timeout_keep_alive_s=0.5) as move:
        busy, idle = [await move.old.connect(authority.client()) for _ in range(2)]
        busy.send(get())
        await held.arrived()
        move.old.server.stop_accepting()
        move.source.grant_all()
        held.go.set()
        answer = await busy.response()
        assert (answer.body, answer.header("connection")) == (b"hello", "close")
        assert await busy.end() == b""
        await until(lambda: move.old.count(Cell.OPEN) == 1)
        assert await idle.end() == b""  # at the keep-alive time-out, as always
        await until(lambda: move.old.count(Cell.OPEN) == 0)
        assert move.old.count(Cell.CLOSED_IDLE) == 1
        assert move.old.count(Cell.CLOSED_DRAINED) == 1


async def test_a_worker_that_serves_again_keeps_them(authority: Authority, pair: Pair) -> None:
    async with moving(answering("old"), answering("new"), tls=make_tls(pair)) as move:
        client = await move.old.connect(authority.client())
        assert (await client.ask(get("/1"))).body == b"old /1 "
        move.old.server.stop_accepting()
        move.go(5)
        await until(lambda: move.used == [1])
        move.old.server.resume()
        for _ in range(2):
            assert (await client.ask(get("/2"))).header("connection") is None


async def test_a_pipeline_is_answered_before_the_last_word(authority: Authority, pair: Pair) -> None:
    async with moving(answering("old"), answering("new"), tls=make_tls(pair)) as move:
        client = await move.old.connect(authority.client())
        assert (await client.ask(get("/1"))).body == b"old /1 "
        move.source.grant_all()
        client.send(get("/2") + get("/3"))
        assert (await client.response()).header("connection") is None
        assert (await client.response()).header("connection") == "close"
        assert await client.end() == b""


# ------------------------------------------------------------------------------------------------------------- certificates


def der_of(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certfile.read_text())


def shown_to(client: Client) -> bytes:
    shown = client.writer.get_extra_info("ssl_object").getpeercert(True)
    assert isinstance(shown, bytes)
    return shown


async def test_a_renewed_certificate_is_shown_to_new_connections_and_the_old_ones_go_on(
    authority: Authority, pair: Pair, new: Pair, tmp_path: Path
) -> None:
    pair.install(tmp_path)
    tls = make_tls(Pair(tmp_path / "cert.pem", tmp_path / "key.pem"))
    async with serving(hello, tls=tls) as served:
        first = await served.connect(authority.client())
        assert not tls.renew()
        new.install(tmp_path)
        assert tls.renew()
        assert not tls.renew()
        second = await served.connect(authority.client())
        assert shown_to(first) != shown_to(second)
        for client in (first, second):
            assert (await client.ask(get())).body == b"hello"


async def test_half_of_a_renewal_is_refused_once_and_the_whole_is_taken(
    authority: Authority, pair: Pair, new: Pair, tmp_path: Path
) -> None:
    pair.install(tmp_path)
    tls = make_tls(Pair(tmp_path / "cert.pem", tmp_path / "key.pem"))
    async with serving(hello, tls=tls) as served:
        new.install(tmp_path, only="cert")
        with pytest.raises(CertificateUnusable, match="is not that of the certificate"):
            tls.renew()
        assert not tls.renew()  # said once
        client = await served.connect(authority.client())
        assert (await client.ask(get())).body == b"hello"
        new.install(tmp_path, only="key")
        assert tls.renew()
        assert shown_to(await served.connect(authority.client())) == der_of(new)


async def test_a_worker_begins_with_what_is_on_the_disk_and_not_with_what_its_zygote_had_read(
    authority: Authority, pair: Pair, new: Pair, tmp_path: Path
) -> None:
    pair.install(tmp_path)
    tls = make_tls(Pair(tmp_path / "cert.pem", tmp_path / "key.pem"))
    new.install(tmp_path)
    async with serving(hello, tls=tls) as served:
        Renewal(tls, served.server, lambda event, fields: None).begin()
        assert shown_to(await served.connect(authority.client())) == der_of(new)


async def test_what_an_operator_should_know_is_said(pair: Pair, short: Pair, ended: Pair, tmp_path: Path) -> None:
    said: list[tuple[str, dict[str, Any]]] = []

    def take(event: str, fields: dict[str, Any]) -> None:
        said.append((event, fields))

    def events() -> list[str]:
        return [event for event, _ in said]

    pair.install(tmp_path)
    tls = make_tls(Pair(tmp_path / "cert.pem", tmp_path / "key.pem"), reload_interval_s=0.02)
    async with serving(hello, tls=tls) as served:
        Renewal(tls, served.server, take).begin()
        assert events() == ["certificate_loaded"]
        (tmp_path / "key.pem").write_text("half")
        await until(lambda: len(said) == 2)
        short.install(tmp_path)
        await until(lambda: len(said) == 4)
        ended.install(tmp_path)
        await until(lambda: len(said) == 6)
        assert served.count(Cell.TLS_NOT_AFTER_S) == int(tls.certificate.not_after.timestamp())
        tls.settings = msgspec.structs.replace(tls.settings, reload_interval_s=0)  # looks no more, after the next time
    assert events() == [
        "certificate_loaded",
        "certificate_refused",
        *("certificate_loaded", "certificate_expires"),
        *("certificate_loaded", "certificate_expired"),
    ]
    assert said[3][1]["days"] in (9, 10)


def test_the_kernels_figures_stand_where_we_read_them() -> None:
    one, other = socket.socket(), listen()
    one.connect(other.getsockname())
    one.sendall(b"x" * 1000)
    accepted, _ = other.accept()
    assert accepted.recv(2000)
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
    assert struct.unpack_from("Q", info, 120) == (1001,)  # the SYN counts
    for each in (one, other, accepted):
        each.close()
