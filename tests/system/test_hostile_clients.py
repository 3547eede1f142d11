"""Clients that mean harm, at the control socket and at the admin address: the service does not notice, and nothing of it stays."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from midair.control import words
from midair.control.framing import encode_request
from midair.testing.client import Load
from tests.support import hostile
from tests.support.hostile import asked, connected, control, held, said
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

LOAD = Load(connections=4, think_s=0.01)
GROWS_BELOW = 6e6
"""Bytes that a supervisor may keep of memory that it had needed: the allocator's, not ours."""
SLOWEST_S = 1.0
"""For an answer of the service meanwhile: two processors, and whoever means harm uses one of them."""


@contextlib.contextmanager
def _unharmed(service: Service) -> Iterator[None]:
    """What happens inside is nothing to the service's clients, nor to the supervisor once it is over."""
    service.status()
    files, memory = len(service.supervisor.descriptors), service.supervisor.rss_bytes
    with service.asked(LOAD) as client:
        yield
        asked_so_far = client.report.ok
        wait_for(lambda: client.report.ok, 20, until=lambda now: now > asked_so_far + 20, what="further answers")
    assert client.report.failed == 0, client.report.summary()
    assert client.report.percentile_s(99) < SLOWEST_S, client.report.summary()
    wait_for(
        lambda: len(service.supervisor.descriptors), 20, until=lambda now: now <= files, what="as many files as before"
    )
    grown = service.supervisor.rss_bytes - memory
    assert grown < GROWS_BELOW, f"the supervisor has grown by {grown / 1e6:.1f} MB"


def _is_answered(service: Service) -> None:
    """Whoever operates it gets through, at once."""
    began_s = time.monotonic()
    assert service.midair("status", "--json", within_s=20).data["state"] == "serving"
    assert time.monotonic() - began_s < 10, "as fast as the command line starts"


def _harm_control(service: Service, times: int) -> None:
    """Everything at the control socket, ``times`` as much of it."""
    path = control(service)

    def connect() -> socket.socket:
        return connected(path)

    for frame in hostile.junk(seed=times, count=40 * times):
        with connect() as client:
            with contextlib.suppress(OSError):
                client.sendall(frame)
                client.shutdown(socket.SHUT_WR)
            answer = said(client)
            assert not answer or answer[4:].startswith(b'{"word":"'), answer
    # Half a frame, and nothing more.
    with held(connect, 100 * times, lambda client: client.sendall(b"\x00\x00")):
        _is_answered(service)
    # A byte now and then is no more than half a frame.
    with held(connect, 50 * times, lambda client: client.sendall(b"\x00\x00\x10\x00{")) as clients:
        for client in clients:
            with contextlib.suppress(OSError):
                client.sendall(b" ")
        _is_answered(service)
    # Answers that nobody reads, and followers that leave.
    ask = encode_request(words.History(limit=200)) if times > 1 else encode_request(words.Receipt())
    with held(connect, 60, lambda client: client.sendall(ask)):
        pass
    for _ in range(20 * times):
        with held(connect, 1, lambda client: client.sendall(encode_request(words.Logs(follow=True)))):
            pass
    # Much behind a request, and the same questions from many: one look at the disk, one interruption of the workers.
    with held(connect, 10, lambda client: client.sendall(hostile.flood(words.Logs(follow=True)))):
        pass
    for request in (words.Status(), words.Stacks()):
        with held(connect, 30, lambda client, request=request: client.sendall(encode_request(request))) as clients:  # type: ignore[misc]
            assert all(said(client) for client in clients)
    _is_answered(service)


@pytest.mark.slow
def test_nonsense_floods_and_silence_at_the_control_socket_harm_nobody(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with _unharmed(service):
            _harm_control(service, 1)
        complaints = service.log_path.read_text().count("control garbage")
        assert 0 < complaints <= 10, "the log is not theirs to fill"
        assert len(service.status()["last"]) == 1, "nobody has begun an update"


@pytest.mark.slow
def test_another_user_may_what_groups_say_and_has_a_share_of_the_connections(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    settings: dict[str, Setting] = {"control": {"readers": ["nogroup"]}}
    with Service(tmp_path, settings=settings) as service, hostile.as_nobody(service.runtime) as nobody:
        path = control(service)
        acting = (
            *(words.Reload(), words.Rollback(), words.Scale(workers=9), words.Hold(reason="mine"), words.Release()),
            *(words.Upgrade(), words.Stop(), words.Stop(force=True)),
        )
        with _unharmed(service):
            assert nobody(lambda: asked(path, words.Status())) == "status-report"
            assert [nobody(lambda r=request: asked(path, r)) for request in acting] == [  # type: ignore[misc]
                "refused not-allowed"
            ] * len(acting)

            def many() -> str:
                with held(lambda: connected(path), 60, lambda client: client.sendall(b"\x00")) as clients:
                    return str(sum(client.recv(1, socket.MSG_PEEK) == b"\x00" for client in clients[8:]))

            assert int(nobody(many)) == 52, "more than its share is told to come again"
            _is_answered(service)
        assert service.status()["hold"] is None
        assert len(service.status()["last"]) == 1
        assert service.status()["workers"] == 2


@pytest.mark.slow
def test_without_groups_another_user_cannot_even_knock(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with Service(tmp_path) as service, hostile.as_nobody(service.runtime) as nobody:
        assert "PermissionError" in nobody(lambda: asked(control(service), words.Status()))


def _harm_admin(service: Service, times: int) -> None:
    """Everything at the admin address, ``times`` as much of it."""
    host, _, port = service.status()["admin"].rpartition(":")

    def connect() -> socket.socket:
        return socket.create_connection((host, int(port)), timeout=10)

    def answer(request: bytes) -> bytes:
        with connect() as client:
            with contextlib.suppress(OSError):
                client.sendall(request)
            return said(client)[9:12]

    def get(path: str, more: str = "", method: str = "GET", name: str = "localhost") -> bytes:
        return answer(f"{method} {path} HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n{more}\r\n".encode())

    assert get("/readyz") == b"200"
    assert get("/", name="evil.example") == b"403"
    assert get("/api/status", "origin: https://evil.example\r\n") == b"403"
    assert get("/", "content-length: 0\r\n", method="POST") == b"405"
    for path in ("/../../../etc/passwd", "/receipts/..%2f..%2fetc%2fpasswd", "/%00", "/receipts/99999999999999999999"):
        assert get(path) == b"404"
    assert get("/", f"x: {'y' * 100_000}\r\n") in (b"431", b"")
    assert get("/", "".join(f"x{n}: y\r\n" for n in range(500))) in (b"431", b"")
    for frame in hostile.junk(seed=times, count=20 * times):
        assert answer(frame + b"\r\n\r\n") in (b"400", b"431", b"505", b"501", b"")
    # Connections that ask nothing, halves of heads, and answers that nobody reads.
    with held(connect, 200 * times, lambda client: None), held(connect, 100 * times, lambda c: c.sendall(b"GET / HT")):
        assert get("/readyz") == b"200"
        page = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n" * 20
        with held(connect, 30 * times, lambda client: client.sendall(page)):
            assert get("/readyz") == b"200"
            assert get("/") == b"200"
    # Many receipts: some are answered, the rest is told to come again.
    ask = "GET /api/receipts/{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect()) for _ in range(100 * times)]
        for number, client in enumerate(clients):
            client.sendall(ask.format(number + 1).encode())
        answers = [said(client)[9:12] for client in clients]
    assert set(answers) <= {b"200", b"404", b"503"}
    assert b"200" in answers


def _child_descriptors(service: Service) -> Callable[[], int]:
    (child,) = [p for p in service.processes() if "midair.admin.host" in p.command]
    return lambda: len(child.descriptors)


@pytest.mark.slow
def test_hostile_clients_of_the_admin_address_harm_nobody(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"admin": {"address": "127.0.0.1:0"}}) as service:
        files = _child_descriptors(service)
        before = files()
        with _unharmed(service):
            _harm_admin(service, 1)
        wait_for(files, 20, until=lambda now: now <= before + 3, what="its connections gone")
        assert len(service.status()["last"]) == 1
        assert "Traceback" not in service.log()


@pytest.mark.soak
def test_a_thousand_hostile_connections_at_once_harm_nobody(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"admin": {"address": "127.0.0.1:0"}}) as service:
        files = _child_descriptors(service)
        before = files()
        _harm_control(service, 1)
        for _ in range(3):
            with _unharmed(service):
                _harm_control(service, 10)
                _harm_admin(service, 5)
        wait_for(files, 30, until=lambda now: now <= before + 3, what="its connections gone")
        assert "Traceback" not in service.log()
