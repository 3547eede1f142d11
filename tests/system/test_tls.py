"""TLS in the workers: it outlives updates with nothing lost, renewals without one, and wrong files are refused in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from midair.testing.client import BackgroundClient, Load, Target
from tests.support.authority import Authority, Pair
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for
from tests.system.test_books import _began, _books, _ended

pytestmark = pytest.mark.slow

ASKING = (Load(connections=10), Load(connections=20, think_s=0.1), Load(connections=5, keep_alive=False, think_s=0.05))
LOOKING = {"tls": {"reload_interval": "50ms"}}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def connected(service: Service, authority: Authority) -> ssl.SSLSocket:
    """A new connection, its handshake over. Raises OSError."""
    host, _, port = service.url.removeprefix("https://").partition(":")
    return authority.client().wrap_socket(socket.create_connection((host, int(port)), 5), server_hostname=host)


def shown(service: Service, authority: Authority) -> bytes:
    """The certificate that a new connection is shown. Raises OSError."""
    with connected(service, authority) as sock:
        certificate = sock.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certfile.read_text())


def wait_for_certificate(service: Service, authority: Authority, wanted: Pair) -> None:
    """Until all workers show it: a few connections in a row, since the kernel chooses."""
    wait_for(lambda: {shown(service, authority) for _ in range(8)} == {der(wanted)}, what="the new certificate")


def drained(service: Service) -> int:
    """Workers of generations that do not serve."""
    status = service.status()
    return sum(len(each["workers"]) for each in status["generations"] if each["number"] != status["serving"])


def _gone(service: Service) -> None:
    wait_for(lambda: drained(service), until=(0).__eq__, what="the end of the old workers")


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_updates_lose_no_request_behind_tls(authority: Authority, tmp_path: Path, loop: str) -> None:
    chosen: dict[str, Setting] = {"serve": {"access_log": False, "loop": loop}}
    with Service(tmp_path, authority=authority, settings=chosen) as service:
        with service.asked(*ASKING) as client:
            for number in range(2, 5):
                service.update(str(number))
                _gone(service)
            wait_for(lambda: client.report.versions.get("4", 0), what="an answer of the last version")
        report = client.report
        assert report.failed == 0, report.summary() + service.log()
        assert report.reconnects == 0
        assert report.planned_reconnects >= 3 * 30  # each update sends every connection off once
        for number in (1, 2, 3):
            books = _books(service, number + 1, number)
            assert _began(books) == _ended(books)
            assert books["closed_drained"] >= 30
            assert books.get("handed_over", 0) == books.get("closed_cut", 0) == 0
        assert "books unbalanced" not in service.log()


def test_plain_connections_move_beside_those_that_cannot(authority: Authority, tmp_path: Path) -> None:
    path = f"/tmp/midair-tls-{os.getpid()}.sock"
    flags = ("--bind", f"unix:{path}")
    with Service(tmp_path, authority=authority, flags=flags) as service, contextlib.ExitStack() as clients:
        behind = clients.enter_context(service.asked(Load(connections=20, think_s=0.1)))
        beside = clients.enter_context(BackgroundClient(f"unix:{path}", Load(connections=20, think_s=0.1)))
        wait_for(lambda: beside.report.ok, what="a first answer")
        for number in (2, 3):
            service.update(str(number))
            _gone(service)
        assert (behind.report.failed, behind.report.reconnects) == (0, 0), behind.report.summary() + service.log()
        assert (beside.report.failed, beside.report.reconnects) == (0, 0), beside.report.summary() + service.log()
        assert (beside.report.connections, beside.report.planned_reconnects) == (20, 0)
        assert behind.report.planned_reconnects >= 40
        books = _books(service, 2, 1)
        assert books["handed_over"] == 20
        assert books["closed_drained"] >= 20
        assert _began(books) == _ended(books)


def test_clients_are_sent_off_at_the_pace(authority: Authority, tmp_path: Path) -> None:
    with Service(tmp_path, authority=authority, settings={"drain": {"rate": "25%"}}) as service:
        with service.asked(Load(connections=40, think_s=0.02)) as client:
            service.update("2")
            seen: list[tuple[float, int]] = []

            def told() -> int:
                seen.append((time.monotonic(), client.report.planned_reconnects))
                return seen[-1][1]

            wait_for(told, until=(40).__eq__, what="the last of them", every_s=0.05)
            for at_s, count in seen:
                within = [other for other_s, other in seen if at_s <= other_s <= at_s + 1.0]
                # A quarter a second and one; a look takes a while and is taken a little later than it says.
                assert within[-1] - count <= 11 + 3, seen
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary()


def test_an_idle_connection_is_not_closed_by_an_update_but_at_the_deadline(
    authority: Authority, tmp_path: Path
) -> None:
    chosen: dict[str, Setting] = {"drain": {"rate": "100%", "timeout": "2s"}}
    with Service(tmp_path, authority=authority, settings=chosen) as service:
        with connected(service, authority) as idle:
            idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(65536)
            service.update("2")
            began_s = time.monotonic()
            assert idle.recv(65536) == b""  # by close_notify
            assert time.monotonic() - began_s > 1.0
        assert _books(service, 2, 1)["closed_cut"] == 1


def test_a_rollback_keeps_them(authority: Authority, tmp_path: Path) -> None:
    chosen = {"bake": {"for": "30s"}, "drain": {"rate": "20%"}}
    with Service(tmp_path, authority=authority, settings=chosen) as service:
        with service.asked(Load(connections=20, think_s=0.05)) as client:
            service.write("good", "2")
            service.reload("--no-wait")
            wait_for(lambda: client.report.versions.get("2", 0), until=lambda count: count > 5, what="version 2")
            assert service.midair("rollback").code == 0
            _gone(service)
            assert service.serving_version() == "1"
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()


def test_websockets_behind_tls_go_on_and_are_told_to_come_again_at_the_deadline(
    authority: Authority, tmp_path: Path
) -> None:
    # Not the client with threads: one reads while the other writes, which OpenSSL forbids and Python before 3.13 does not prevent.
    async def talk(service: Service) -> None:
        url, tls = service.url.replace("https", "wss"), authority.client()
        async with asyncio.timeout(20), connect(url, ssl=tls, proxy=None) as websocket:
            await websocket.send("version")
            assert await websocket.recv() == "1"
            await asyncio.to_thread(service.update, "2")
            await websocket.send("version")
            assert await websocket.recv() == "1"
            with pytest.raises(ConnectionClosedError, match="1012"):
                await websocket.recv()
        async with asyncio.timeout(20), connect(url, ssl=tls, proxy=None) as websocket:
            await websocket.send("version")
            assert await websocket.recv() == "2"

    with Service(tmp_path, authority=authority, settings={"drain": {"rate": "100%", "timeout": "4s"}}) as service:
        asyncio.run(talk(service))


# ------------------------------------------------------------------------------------------------------------- certificates


def test_a_renewed_certificate_is_shown_without_an_update_and_under_load(authority: Authority, tmp_path: Path) -> None:
    with Service(tmp_path, authority=authority, settings=LOOKING, flags=("--metrics", "127.0.0.1:0")) as service:
        with service.asked(*ASKING) as client:
            for _ in range(3):
                new = authority.issue(days=30)
                new.install(service.folder)
                wait_for_certificate(service, authority, new)
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()
        assert client.report.planned_reconnects == 0
        assert service.status()["serving"] == 1
        assert 4 <= service.log().count("certificate loaded") <= 7  # a rename is seen between its two halves, perhaps


def test_half_a_renewal_changes_nothing_and_a_worker_that_dies_meanwhile_is_replaced(
    authority: Authority, tmp_path: Path
) -> None:
    with Service(tmp_path, authority=authority, settings=LOOKING) as service:
        before, new = shown(service, authority), authority.issue()
        new.install(service.folder, only="cert")
        wait_for(lambda: "certificate refused" in service.log(), what="the refusal")
        assert shown(service, authority) == before
        first = service.worker_pids()
        Process(first[0]).kill()
        wait_for(
            service.worker_pids,
            until=lambda pids: len(pids) == 2 and first[0] not in pids,
            what="another worker",
        )
        wait_for(lambda: service.status()["state"], until="serving".__eq__, what="the service")
        assert {shown(service, authority) for _ in range(8)} == {before}
        new.install(service.folder, only="key")
        wait_for_certificate(service, authority, new)
        refusals = [line for line in service.log().splitlines() if "certificate refused" in line]
        assert 1 <= len(refusals) <= 2, refusals  # the worker that came says it of itself


def test_an_update_with_wrong_files_is_refused_and_the_old_version_serves_on(
    authority: Authority, tmp_path: Path
) -> None:
    with Service(tmp_path, authority=authority) as service, service.asked(Load(connections=5, think_s=0.02)) as client:
        before = shown(service, authority)
        service.write("good", "2")
        for what in ("missing", "mismatch", "no PEM"):
            match what:
                case "missing":
                    (service.folder / "key.pem").unlink()
                case "mismatch":
                    authority.issue().install(service.folder, only="key")
                case _:
                    (service.folder / "cert.pem").write_text("hello")
            done = service.reload()
            assert done.code == 4, (what, done)
            assert "tls" in done.out, what
            assert service.serving_version() == "1", what
            assert shown(service, authority) == before, what
        authority.issue().install(service.folder)
        service.update("2")
        _gone(service)
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.parametrize("command", ["run", "check"])
def test_wrong_files_are_said_before_anything_serves(authority: Authority, tmp_path: Path, command: str) -> None:
    service = Service(tmp_path, authority=authority, ready_path="")
    with contextlib.closing(service._sock):
        (service.folder / "key.pem").unlink()
        done = service.midair(command)
        assert done.code == 2
        assert "error: tls.keyfile: " in done.err
        assert "hint: a path is relative to the service's folder" in done.err
        authority.issue(password="hunter2").install(service.folder)
        done = service.midair(command)
        assert done.code == 2
        assert "is encrypted, and there is no password" in done.err


def test_a_password_opens_the_key_and_is_shown_nowhere(authority: Authority, tmp_path: Path) -> None:
    flags = ("--ssl-keyfile-password", "hunter2", "--metrics", "127.0.0.1:0")
    locked = authority.issue(password="hunter2")
    service = Service(tmp_path, authority=authority, flags=flags)
    locked.install(service.folder)
    with service:
        assert shown(service, authority) == der(locked)
        service.update("2")
        authority.issue(password="hunter3").install(service.folder)
        assert service.reload().code == 4
        said = [service.midair(*words) for words in (("config", "--all"), ("config", "--json"), ("config", "--diff"))]
        assert "(set)" in said[0].out
        said += [service.midair("status", "--json"), service.midair("receipt", "2", "--json")]
        kept = [path.read_text(errors="replace") for path in (tmp_path / "state").rglob("*") if path.is_file()]
        everything = "".join([*(each.out + each.err for each in said), *kept, service.log()])
        assert "hunter" not in everything


def test_clients_show_certificates(authority: Authority, tmp_path: Path) -> None:
    chosen = {"tls": {"ca_certs": str(authority.ca_certs), "cert_reqs": "required"}}
    service = Service(tmp_path, authority=authority, settings=chosen, ready_path="")
    bob = authority.issue("bob")
    service._tls = authority.client(bob)
    with service:
        wait_for(lambda: service.midair("status", "--json").code, until=(0).__eq__, what="the service")
        with service.asked(Load(connections=5, think_s=0.05)) as client:
            service.update("2")
            _gone(service)
        assert client.report.failed == 0, client.report.summary() + service.log()
        with BackgroundClient(Target.parse(service.url, authority.client()), Load(limit=1)) as nobody:
            wait_for(lambda: nobody.report.failed, what="the refusal")
        assert nobody.report.ok == 0


def test_scanners_are_counted_and_leave_no_line(authority: Authority, tmp_path: Path) -> None:
    chosen = {"tls": {"handshake_timeout": "200ms"}}
    with Service(tmp_path, authority=authority, settings=chosen) as service:
        address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
        lines = wait_for(service.log, until=lambda log: "update done" in log).count("\n")
        for data in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00" + b"\xff" * 100, b"SSH-2.0-x\r\n"):
            with socket.create_connection(address, 5) as scanner:
                scanner.sendall(data)
                with contextlib.suppress(ConnectionError):
                    while scanner.recv(1000):
                        pass
        assert service.log().count("\n") == lines
        service.update("2")
        _gone(service)
        assert _books(service, 2, 1)["closed_handshake"] == 4


def test_an_in_place_upgrade_keeps_tls_as_it_is(authority: Authority, tmp_path: Path) -> None:
    with Service(tmp_path, authority=authority, settings=LOOKING) as service, service.asked(*ASKING) as client:
        assert service.midair("upgrade").code == 0
        new = authority.issue()
        new.install(service.folder)
        wait_for_certificate(service, authority, new)
        service.update("2")
        _gone(service)
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()
