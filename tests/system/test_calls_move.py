"""WebSockets and event streams outlive the version that accepted them, if their application carries what they need."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from midair.testing.client import Load
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for
from tests.system.test_connections_move import _retiring, _workers

pytestmark = pytest.mark.slow


@contextmanager
def sockets(service: Service, count: int, path: str = "/") -> Iterator[list[ClientConnection]]:
    with ExitStack() as stack:
        url = service.url.replace("http://", "ws://") + path
        yield [stack.enter_context(connect(url, proxy=None, ping_interval=None)) for _ in range(count)]


def asked(client: ClientConnection, text: str) -> tuple[int, str]:
    """Count and version of the answer."""
    client.send(text)
    count, version, same = str(client.recv(timeout=10)).split(" ", 2)
    assert same == text
    return int(count), version


def test_websockets_keep_their_count_through_versions(tmp_path: Path) -> None:
    with Service(tmp_path, "carrying") as service, sockets(service, 20) as clients:
        for number in range(1, 5):
            for client in clients:
                assert asked(client, f"hello {number}") == (number, str(number))
            service.update(str(number + 1))
            wait_for(lambda: _retiring(service), until=(0).__eq__, what="all connections on the new version")


def test_what_a_version_pushes_goes_on_without_gap(tmp_path: Path) -> None:
    with Service(tmp_path, "carrying") as service, sockets(service, 5, "/push") as clients:
        seen: list[list[tuple[int, str]]] = [[] for _ in clients]

        def read(client: ClientConnection, into: list[tuple[int, str]]) -> None:
            for text in client:
                _, number, version = str(text).split()
                into.append((int(number), version))

        threads = [threading.Thread(target=read, args=pair) for pair in zip(clients, seen, strict=True)]
        for thread in threads:
            thread.start()
        for number in (2, 3):
            service.update(str(number))
            newest = str(number)
            wait_for(
                lambda: {each[-1][1] if each else "" for each in seen},
                until={newest}.__eq__,
                what="pushes of the new version",
            )
        for client in clients:
            client.close()
        for thread in threads:
            thread.join(10)
        for each in seen:
            assert [number for number, _ in each] == list(range(1, len(each) + 1))
            assert {version for _, version in each} == {"1", "2", "3"}


def test_an_event_stream_runs_through_four_versions(tmp_path: Path) -> None:
    loads = (Load.streams("/events", connections=10), Load(think_s=0.1))
    with Service(tmp_path, "carrying") as service, service.asked(*loads) as client:
        wait_for(lambda: client.report.streams_open, until=(10).__eq__, what="ten streams")
        for number in (2, 3, 4):
            service.update(str(number))
            wait_for(lambda: _workers(service), until=(2).__eq__, what="only the new workers")
        assert client.report.streams_open == 10
    assert client.report.failed == 0, client.report.summary() + service.log()
    assert client.report.connections == 11


def test_a_version_that_carries_nothing_leaves_them_with_the_one_before(tmp_path: Path) -> None:
    with Service(tmp_path, "carrying") as service, sockets(service, 4) as clients:
        for client in clients:
            assert asked(client, "a") == (1, "1")
        service.update("2", "good")
        wait_for(service.log, until=lambda log: "carry_on" in log, what="why they stay")
        for client in clients:
            assert asked(client, "b") == (2, "1")
        events = [event["event"] for event in service.receipt(2)["events"]]
        assert "connections_stay" in events
        # The next version can: they go straight there.
        service.update("3", "carrying")
        wait_for(lambda: _retiring(service), until=(0).__eq__, what="all connections on the new version")
        for client in clients:
            assert asked(client, "c") == (3, "3")


def test_a_rollback_brings_them_back(tmp_path: Path) -> None:
    with Service(tmp_path, "carrying", settings={"bake": {"for": "30s"}}) as service, sockets(service, 6) as clients:
        for client in clients:
            assert asked(client, "a") == (1, "1")
        service.write("carrying", "2")
        service.reload("--no-wait")
        wait_for(lambda: {asked(client, "b")[1] for client in clients}, until={"2"}.__eq__, what="version 2")
        before = [asked(client, "c")[0] for client in clients]
        assert service.midair("rollback").code == 0
        wait_for(lambda: _workers(service), until=(2).__eq__, what="only the old workers")
        assert [asked(client, "d") for client in clients] == [(count + 1, "1") for count in before]


def test_a_killed_receiver_loses_only_what_was_its_own(tmp_path: Path) -> None:
    slow = {"bake": {"for": "30s"}, "drain": {"rate": "10%"}}
    with Service(tmp_path, "carrying", settings=slow) as service, sockets(service, 40) as clients:
        service.write("carrying", "2")
        service.reload("--no-wait")
        wait_for(lambda: sum(asked(client, "a")[1] == "2" for client in clients), until=lambda moved: moved > 8)
        Process(service.worker_pids()[0]).kill()
        wait_for(lambda: service.status()["serving"], until=(1).__eq__, what="the rollback")
        wait_for(lambda: _workers(service), until=(2).__eq__, what="only the old workers")
        books = wait_for(lambda: service.receipt(2)["books"].get("2", {}), what="the books of generation 2")
        broken = 0
        for client in clients:
            try:
                asked(client, "b")
            except ConnectionClosed:
                broken += 1
        assert 0 < broken == books["lost"], service.log()


def test_those_that_do_not_move_are_told_and_sent_away_one_after_the_other(tmp_path: Path) -> None:
    """good.py's WebSockets carry nothing. 1012 for each, spread over the time before the deadline."""
    settings: dict[str, Setting] = {"drain": {"rate": "100%", "timeout": "4s"}}
    with Service(tmp_path, "good", settings=settings) as service, sockets(service, 20) as clients:
        for client in clients:
            client.send("version")
            assert client.recv(timeout=5) == "1"
        ended: list[tuple[float, int]] = []

        def wait(client: ClientConnection) -> None:
            try:
                client.recv(timeout=20)
            except ConnectionClosed as closed:
                ended.append((time.monotonic(), closed.rcvd.code if closed.rcvd else 0))

        threads = [threading.Thread(target=wait, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        service.update("2")
        for thread in threads:
            thread.join(20)
        assert {code for _, code in ended} == {1012}
        assert len(ended) == 20
        times = sorted(at_s for at_s, _ in ended)
        assert times[-1] - times[0] > 0.3, "all at once"
        books = wait_for(lambda: service.receipt(2)["books"].get("1", {}), what="the books of generation 1")
        assert books["closed_drained"] == 20, books


def test_the_application_is_told_that_its_worker_drains(tmp_path: Path) -> None:
    with Service(tmp_path, "carrying", settings={"drain": {"rate": "5%"}}) as service:
        address = service.url.removeprefix("http://")
        # Few connections move at one a second: this one is old for a while.
        held = [http.client.HTTPConnection(address, timeout=5) for _ in range(4)]

        def told(connection: http.client.HTTPConnection) -> dict[str, object]:
            connection.request("GET", "/")
            answer = json.loads(connection.getresponse().read())
            assert isinstance(answer, dict)
            return answer

        for connection in held:
            assert told(connection) == {"version": "1", "draining": False}
        service.update("2")
        answers = [told(connection) for connection in held]
        assert {"version": "1", "draining": True} in answers
        assert {answer["draining"] for answer in answers if answer["version"] == "2"} <= {False}
        for connection in held:
            connection.close()
