"""What is seen of a service at a glance, while it is in trouble: what keeps an old version, where a worker stands, what went on."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from midair.cli.why_alive import lines_of
from midair.config.client import load_client
from midair.control import words
from midair.control.client import RefusedByService, ask, ask_one
from tests.support.service import Service
from tests.support.waiting import wait_for

WITHIN_S = 20.0
HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@contextmanager
def client(service: Service, request: str) -> Iterator[socket.socket]:
    """Asks, and holds the line until it is hung up on."""
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=WITHIN_S) as connection:
        connection.sendall(request.encode())
        yield connection


def until_hung_up(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(65536):
            pass
    connection.close()


def why_alive(service: Service, generation: int = 0) -> words.WhyAliveReport:
    """Asked without a command each time: they are waited with."""
    address = load_client(folder=str(service.folder), environ={})
    return ask_one(address, words.WhyAlive(generation=generation), words.WhyAliveReport)


def status(service: Service) -> words.StatusReport:
    address = load_client(folder=str(service.folder), environ={})
    return ask_one(address, words.Status(look=False, events=50), words.StatusReport)


def asked(service: Service, request: words.Request) -> list[words.AnyAnswer]:
    return list(ask(load_client(folder=str(service.folder), environ={}), request))


def kept(report: words.WhyAliveReport) -> dict[str, int]:
    """Connections by kind, of the only worker."""
    (worker,) = report.workers
    assert worker.holding
    return worker.holding.kinds


@pytest.mark.slow
def test_what_keeps_an_old_version_is_told_and_it_ends_when_somebody_says_so(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"drain": {"rate": "100%", "timeout": "5m"}, "exit": {"timeout": "10s"}}
    slow = "GET /slow?s=300&token=secret HTTP/1.1\r\nHost: x\r\n\r\n"
    with (
        Service(tmp_path, workers=1, settings=settings) as service,
        client(service, slow) as asking,
        client(service, HANDSHAKE) as socket_,
        client(service, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") as idle,
    ):
        wait_for(lambda: kept(why_alive(service)), WITHIN_S, until={"websocket": 1, "request": 1, "idle": 1}.__eq__)
        assert why_alive(service).why == "it serves"
        service.update("2")
        # What is idle has moved; what waits for the application has not.
        report = wait_for(
            lambda: why_alive(service), WITHIN_S, until=lambda r: kept(r) == {"websocket": 1, "request": 1}
        )
        assert (report.generation, report.role) == (1, "retiring")
        (worker,) = report.workers
        assert worker.holding
        rows = {each.kind: each for each in worker.holding.connections}
        assert rows["request"].request == "GET /slow"
        assert rows["request"].stack[-1].endswith(" in app")
        assert rows["websocket"].why_not == "its application carries nothing (midair.carry_on)"
        assert 200 < (worker.ends_in_s or 0) <= 300
        text = service.midair("status").out
        assert "g1 drains  1 request, 1 WebSocket; cut in 5 min" in text
        assert "midair why-alive 1" in text
        assert "secret" not in "\n".join([text, *lines_of(report)])
        assert why_alive(service, 2).role == "serving"
        done = service.midair("drain", "--within", "200ms")
        assert (done.code, done.out) == (0, "1 worker leaves within 0.2 s\n")
        until_hung_up(asking)
        until_hung_up(socket_)
        idle.close()
        wait_for(lambda: [g.number for g in status(service).generations if g.workers], WITHIN_S, until=[2].__eq__)
        with pytest.raises(RefusedByService, match="there is no generation 9"):
            why_alive(service, 9)
        assert "drain_hurried" in [event.event for event in status(service).events]


@pytest.mark.slow
def test_a_worker_that_hangs_is_told_as_hung_with_where_it_stands(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"worker": {"hang_warn": "500ms"}}

    def hang(service: Service) -> None:
        with suppress(OSError):
            service.get("/hang?s=30", timeout_s=WITHIN_S)

    with Service(tmp_path, workers=1, settings=settings) as service:
        asking = threading.Thread(target=hang, args=(service,))
        asking.start()
        try:
            wait_for(lambda: status(service).generations[0].workers[0].state, WITHIN_S, until="hung".__eq__)
            report = why_alive(service)
        finally:
            os.kill(status(service).generations[0].workers[0].pid, signal.SIGKILL)  # nobody waits for its end
            asking.join()
        (worker,) = report.workers
        assert worker.holding is None
        assert " in http" in worker.stacks, "the function that blocks"
        assert "  hangs: its event loop does not answer. Where its threads stand:" in lines_of(report)


@pytest.mark.slow
def test_who_follows_the_log_sees_an_upgrade_and_the_update_after_it_and_nothing_twice(tmp_path: Path) -> None:
    with Service(tmp_path, workers=1) as service:
        reader = service.midair_in_background("logs", "-f", "--json")
        assert reader.stdout is not None
        try:
            lines = [json.loads(reader.stdout.readline())]
            upgraded = service.midair("upgrade")
            assert upgraded.code == 0, upgraded
            service.update("2")
            while [line["event"] for line in lines].count("update_done") < 2:
                lines.append(json.loads(reader.stdout.readline()))
        finally:
            reader.terminate()
            reader.communicate()
        numbers = [line["number"] for line in lines]
        assert numbers == sorted(set(numbers))
        wanted = ("update_done", "upgrade_started", "supervisor_resumed")
        events = [line["event"] for line in lines if line["event"] in wanted]
        assert events == ["update_done", "upgrade_started", "supervisor_resumed", "update_done"]
        # The same afterwards, of the update alone, from what is kept.
        (of_one,) = (
            answer for answer in asked(service, words.Logs(update=3, events=True)) if isinstance(answer, words.LogLines)
        )
        assert {line.fields.get("update", 3) for line in of_one.lines} == {3}
        assert "update_done" in [line.event for line in of_one.lines]
        with pytest.raises(RefusedByService, match="there is no update 99"):
            asked(service, words.Logs(update=99))


@pytest.mark.slow
def test_of_a_program_what_can_be_seen_from_outside_is_told(tmp_path: Path) -> None:
    command = ("{python}", "app.py", "parent")
    with (
        Service(tmp_path, "program", command=command, workers=1) as service,
        client(service, "GET / HT") as asking,
    ):
        wait_for(lambda: status(service).serving, WITHIN_S, what="its commit")
        peer = "{}:{}".format(*asking.getsockname())

        def peers() -> list[str]:
            (worker,) = why_alive(service).workers
            assert worker.is_command
            assert worker.holding
            return [each.peer for each in worker.holding.connections]

        wait_for(peers, WITHIN_S, until=lambda found: peer in found)
