"""What midair why-alive says of each thing that can keep a version."""

from __future__ import annotations

import json

import msgspec

from midair.cli.why_alive import lines_of
from midair.control import words
from midair.errors import USAGE
from midair.observe.holding import Connection, Holding
from tests.cli.reports import REPORT, WORKER
from tests.cli.test_commands import Ask, ask

__all__ = ["ask"]


def test_everything_that_keeps_a_version_is_told_with_what_ends_it() -> None:
    assert list(lines_of(REPORT)) == [
        "1.8 (generation 7), 2 h old: it retires: its workers end when nothing keeps them any more, or at their deadline",
        "  its once-only program mailer runs",
        "",
        "worker 7.0, pid 77, leaving, cut in 2 min",
        "  42 connections: 1 websocket, 1 request, 1 background, 40 idle",
        "    10.0.0.7:51234  WEBSOCKET /prices for 2 min  (stays: its application carries nothing (midair.carry_on))",
        "      at shop/main.py:33 in prices < shop/main.py:12 in app",
        "    10.0.0.8:4711  GET /report for 5.0 s  (not answered yet; moves after its answer)",
        "    10.0.0.9:0  3.0 s old  (between two requests; moves when it is its turn)",
        "    10.0.0.9:1  3.0 s old  (between two requests; moves when it is its turn)",
        "    10.0.0.9:2  3.0 s old  (between two requests; moves when it is its turn)",
        "    10.0.0.9:99  POST /orders for 8.0 s  (answered, but the application's call has not returned)",
        "    … and 37 more",
        "  task refresh",
        "      at shop/rates.py:8 in refresh",
        "  … and 2 more tasks",
        "  thread asyncio_0 (the worker waits for it)",
        "      at python3.11/socket.py:706 in readinto",
        "  thread stats (nobody waits for it)",
        "  1 thread of a pool waits for work",
        "  process 80, 4.0 s old, state R: convert in.png out.webp",
        "",
        "It ends by itself within 2 min. Sooner: midair drain (--within 5s)",
    ]


def test_of_one_that_serves_nothing_is_said_of_moving() -> None:
    text = "\n".join(lines_of(msgspec.structs.replace(REPORT, role="serving")))
    assert "moves" not in text
    assert "stays" not in text


def test_a_worker_that_hangs_is_told_with_where_its_threads_stand() -> None:
    stacks = "Thread 0x7f (most recent call first):\n" + "".join(
        f'  File "main.py", line {n} in f\n' for n in range(50)
    )
    worker = msgspec.structs.replace(WORKER, holding=None, stacks=stacks)
    lines = list(lines_of(msgspec.structs.replace(REPORT, workers=(worker,))))
    assert "  hangs: its event loop does not answer. Where its threads stand:" in lines
    assert '      File "main.py", line 0 in f' in lines
    assert "    … midair stacks 7.0 shows all 51 lines" in lines


def test_of_a_command_what_can_be_seen_is_told() -> None:
    held = Holding(kinds={"open": 1}, connections=(Connection(peer="10.0.0.7:1", kind="open", age_s=0),))
    worker = msgspec.structs.replace(WORKER, is_command=True, holding=held)
    lines = list(lines_of(msgspec.structs.replace(REPORT, workers=(worker,))))
    assert "  1 connection: 1 open" in lines
    assert "    10.0.0.7:1" in lines
    nothing = msgspec.structs.replace(worker, holding=Holding())
    assert "  no connection that can be seen" in lines_of(msgspec.structs.replace(REPORT, workers=(nothing,)))


def test_what_is_asked_for(ask: Ask) -> None:
    code, out, _, requests = ask("why-alive g7", REPORT)
    assert (code, requests) == (0, [words.WhyAlive(generation=7)])
    assert "worker 7.0" in out


def test_as_json_it_is_the_report(ask: Ask) -> None:
    _, out, _, requests = ask("why-alive --json", REPORT)
    assert requests == [words.WhyAlive()]
    assert json.loads(out)["workers"][0]["holding"]["kinds"]["idle"] == 40


def test_a_worker_is_no_generation(ask: Ask) -> None:
    code, _, err, requests = ask("why-alive 7.0")
    assert (code, requests) == (USAGE, [])
    assert "'7.0' is not a generation" in err
