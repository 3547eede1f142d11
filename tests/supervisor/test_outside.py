"""What is seen of processes from outside: who lives below them, and their clients."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from midair.supervisor.outside import look, processor_s
from tests.support.waiting import wait_for

PROGRAM = """
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
sys.stdin.read()
child.kill()
child.wait()
"""


def test_clients_and_children_of_a_program_are_told() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        port = int(program.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as client:
            child = int(program.stdout.readline())
            seen = wait_for(
                lambda: look([program.pid], frozenset())[program.pid],
                20,
                until=lambda seen: [each.command for each in seen.processes] == ["sleep 60"],
            )
            assert [each.peer for each in seen.connections] == [f"127.0.0.1:{client.getsockname()[1]}"]
            (process,) = seen.processes
            assert (process.pid, process.parent, process.threads) == (child, program.pid, 1)
            assert process.age_s < 60
    finally:
        program.stdin.close()
        program.wait()
        program.stdout.close()


def test_a_client_of_a_listener_that_the_program_has_closed_is_known_by_its_port() -> None:
    """A command that was told to leave has closed it; other connections, to a database, are no clients."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, listener.accept()[0]:
            # This process has both ends: the one at the port is the client's, the other is what a program asks.
            seen = look([os.getpid()], frozenset({port}))[os.getpid()]
            assert f"127.0.0.1:{client.getsockname()[1]}" in [each.peer for each in seen.connections]
            assert f"127.0.0.1:{port}" not in [each.peer for each in seen.connections]


def test_a_table_of_ipv6_sockets_is_read(tmp_path: Path) -> None:
    (tmp_path / "7" / "fd").mkdir(parents=True)
    (tmp_path / "7" / "fd" / "3").symlink_to("socket:[55]")
    (tmp_path / "7" / "fd" / "4").symlink_to("socket:[56]")
    (tmp_path / "7" / "net").mkdir()
    head = "  sl  local_address remote_address st\n"
    mapped = "0000000000000000FFFF00000100007F"
    lines = [
        f"0: {'0' * 32}:1F90 {mapped}:0050 01 0:0 0:0 0 0 0 55",
        f"1: {'0' * 32}:1F90 {'0' * 24}01000000:0051 01 0:0 0:0 0 0 0 56",
        f"2: {'0' * 32}:1F90 {'0' * 32}:0052 01 0:0 0:0 0 0 0 57",
    ]
    (tmp_path / "7" / "net" / "tcp6").write_text(head + "\n".join(lines))
    seen = look([7], frozenset({8080}), str(tmp_path))[7]
    assert [each.peer for each in seen.connections] == ["127.0.0.1:80", "[::1]:81"]


def test_one_that_is_gone_has_nothing_and_used_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert look([gone.pid], frozenset())[gone.pid].processes == ()
    assert processor_s(gone.pid) == 0.0


def test_the_processor_time_of_a_process_is_told() -> None:
    until_s = time.process_time() + 0.05
    while time.process_time() < until_s:
        pass
    assert 0.0 < processor_s(os.getpid()) <= time.process_time() + 0.1
