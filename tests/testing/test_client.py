"""The strict client puts every kind of bad answer in exactly one class, and nothing that happened goes uncounted."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from midair.testing.client import BackgroundClient, Client, ClientTrouble, Load, Target, main
from midair.testing.report import Answer, Report
from tests.support.rogue import Behaviour, Visit, rogue

GOOD = b'{"version": "1"}'


def ask(behaviour: Behaviour, *loads: Load) -> Report:
    """Let a client ask a misbehaving server until every connection has asked its limit."""

    async def session() -> Report:
        async with rogue(behaviour) as url, asyncio.timeout(20), Client(url, *loads) as client:
            await client.until_done()
        return client.report

    return asyncio.run(session())


def assert_only(report: Report, answer: Answer, times: int = 1) -> None:
    assert {kind: count for kind, count in report.counts.items() if count} == {answer: times}, report.summary()
    assert report.requests == times
    assert report.failed == (0 if answer is Answer.OK else times)
    assert sum(report.failed_versions.values()) == report.failed


async def good(visit: Visit) -> None:
    while await visit.request():
        await visit.answer(GOOD)


async def resets(visit: Visit) -> None:
    await visit.request()
    visit.reset()


async def resets_inside(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    visit.reset()


async def closes_unanswered(visit: Visit) -> None:
    await visit.request()


async def closes_inside_head(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-Le")


async def closes_inside_body(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")


async def closes_before_last_chunk(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + GOOD + b"\r\n")


async def closes_inside_trailers(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + GOOD + b"\r\n0\r\n")


async def answers_500(visit: Visit) -> None:
    await visit.request()
    await visit.answer(b"oh", status="500 Internal Server Error")


async def closes_inside_500(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\n")


async def answers_404(visit: Visit) -> None:
    await visit.request()
    await visit.answer(b"no", status="404 Not Found")


async def answers_301(visit: Visit) -> None:
    await visit.request()
    await visit.answer(b"", "Location: /", status="301 Moved Permanently")


async def names_no_version(visit: Visit) -> None:
    await visit.request()
    await visit.answer(b"hello")


async def says_too_much(visit: Visit) -> None:
    await visit.request()
    await visit.answer(GOOD + b"!", "Content-Length: 16")


async def says_more_than_it_counted(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + GOOD + b"!")


async def counts_nothing(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\n\r\n" + GOOD)


async def speaks_no_http(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


async def chunk_longer_than_its_size(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" + GOOD + b"\r\n0\r\n\r\n")


async def answers_someone_else(visit: Visit) -> None:
    await visit.request()
    await visit.answer(GOOD, "X-Nonce: 999999")


async def stalls(visit: Visit) -> None:
    await visit.request()
    await visit.reader.read()  # until the client gives up


async def stalls_inside(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{")
    await visit.reader.read()


@pytest.mark.parametrize(
    ("behaviour", "answer"),
    [
        (good, Answer.OK),
        (resets, Answer.RESET),
        (resets_inside, Answer.RESET),
        (closes_unanswered, Answer.EOF_BEFORE),
        (closes_inside_head, Answer.EOF_INSIDE),
        (closes_inside_body, Answer.EOF_INSIDE),
        (closes_before_last_chunk, Answer.EOF_INSIDE),
        (closes_inside_trailers, Answer.EOF_INSIDE),
        (answers_500, Answer.SERVER_ERROR),
        (closes_inside_500, Answer.EOF_INSIDE),
        (answers_404, Answer.OTHER_STATUS),
        (answers_301, Answer.OTHER_STATUS),
        (names_no_version, Answer.WRONG_BODY),
        (says_too_much, Answer.WRONG_BODY),
        (says_more_than_it_counted, Answer.WRONG_BODY),
        (counts_nothing, Answer.WRONG_BODY),
        (speaks_no_http, Answer.WRONG_BODY),
        (chunk_longer_than_its_size, Answer.WRONG_BODY),
        (answers_someone_else, Answer.WRONG_BODY),
        (stalls, Answer.TIMED_OUT),
        (stalls_inside, Answer.TIMED_OUT),
    ],
    ids=lambda value: value.__name__ if callable(value) else value.value,
)
def test_each_misbehaviour_is_counted_in_exactly_its_class(behaviour: Behaviour, answer: Answer) -> None:
    assert_only(ask(behaviour, Load(limit=1, timeout_s=0.3)), answer)


def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else can take it meanwhile
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        async def session() -> Report:
            async with Client(url, Load(limit=3)) as client:
                await client.until_done()
            return client.report

        assert_only(asyncio.run(session()), Answer.REFUSED, 3)


def test_a_missing_unix_socket_refuses(tmp_path: Path) -> None:
    async def session() -> Report:
        async with Client(f"unix:{tmp_path}/none.sock", Load(limit=1)) as client:
            await client.until_done()
        return client.report

    assert_only(asyncio.run(session()), Answer.REFUSED)


def test_a_unix_socket_is_asked_like_a_port(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await good(Visit(reader, writer, 0))
        except asyncio.IncompleteReadError:
            writer.close()

    async def session() -> Report:
        server = await asyncio.start_unix_server(serve, tmp_path / "web.sock")
        async with server, Client(f"unix:{tmp_path}/web.sock", Load(limit=5)) as client:
            await client.until_done()
        return client.report

    assert_only(asyncio.run(session()), Answer.OK, 5)


def test_a_close_between_requests_is_a_reconnect_and_no_failure() -> None:
    async def closes_after_one(visit: Visit) -> None:
        await visit.request()
        await visit.answer(GOOD)

    report = ask(closes_after_one, Load(limit=3, think_s=0.1))
    assert_only(report, Answer.OK, 3)
    assert (report.reconnects, report.planned_reconnects, report.connections) == (2, 0, 3)


def test_a_reset_between_requests_is_a_failure() -> None:
    async def resets_when_idle(visit: Visit) -> None:
        await visit.request()
        await visit.answer(GOOD)
        visit.reset()

    report = ask(resets_when_idle, Load(limit=2, think_s=0.1))
    assert (report.ok, report.counts[Answer.RESET], report.requests) == (1, 1, 2), report.summary()


def test_a_request_written_into_a_close_is_a_failure_and_is_not_asked_again() -> None:
    """The race that loses requests in most servers: the close is on its way when the next request is written."""
    heads: list[bytes] = []

    async def closes_on_the_second(visit: Visit) -> None:
        heads.append(await visit.request())
        await visit.answer(GOOD)
        heads.append(await visit.request())

    report = ask(closes_on_the_second, Load(limit=2))
    assert (report.ok, report.counts[Answer.EOF_BEFORE], report.requests) == (1, 1, 2), report.summary()
    assert len(heads) == 2


def test_connection_close_is_a_planned_reconnect() -> None:
    async def says_close(visit: Visit) -> None:
        await visit.request()
        await visit.answer(GOOD, "Connection: close")

    report = ask(says_close, Load(limit=3))
    assert_only(report, Answer.OK, 3)
    assert (report.reconnects, report.planned_reconnects, report.connections) == (0, 3, 3)


def test_new_connections_are_opened_for_each_request() -> None:
    report = ask(good, Load(limit=3, keep_alive=False))
    assert_only(report, Answer.OK, 3)
    assert report.connections == 3


def test_bytes_that_nobody_asked_for_are_a_failure() -> None:
    async def talks_in_between(visit: Visit) -> None:
        await visit.request()
        await visit.answer(GOOD)
        await asyncio.sleep(0.02)
        await visit.say(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await visit.reader.read()

    report = ask(talks_in_between, Load(limit=2, think_s=0.2))
    assert (report.ok, report.counts[Answer.WRONG_BODY]) == (1, 1), report.summary()


def test_a_whole_response_in_single_bytes_is_right() -> None:
    async def trickles(visit: Visit) -> None:
        await visit.request()
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + GOOD + b"\r\n0\r\nX-End: 1\r\n\r\n"
        for at in range(len(chunked)):
            await visit.say(chunked[at : at + 1])
            await asyncio.sleep(0)

    assert_only(ask(trickles, Load(limit=1)), Answer.OK)


def test_an_interim_response_is_not_the_answer() -> None:
    async def continues(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await visit.answer(GOOD)

    assert_only(ask(continues, Load(limit=1)), Answer.OK)


async def echoes(visit: Visit) -> None:
    while head := await visit.request():
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await visit.answer(await visit.reader.readexactly(length), "X-Version: 7")


async def echoes_one_bit_off(visit: Visit) -> None:
    while head := await visit.request():
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        body = bytearray(await visit.reader.readexactly(length))
        body[-1] ^= 1
        await visit.answer(bytes(body))


def test_posted_bodies_come_back_as_they_were_sent() -> None:
    report = ask(echoes, Load("/echo", body_bytes=65536, expect="echo", limit=4))
    assert_only(report, Answer.OK, 4)
    assert report.versions == {"7": 4}
    assert list(report.first_seen_s) == ["7"]
    assert 0 <= report.first_seen_s["7"] <= report.elapsed_s


def test_one_wrong_bit_in_an_echo_is_a_wrong_body() -> None:
    assert_only(ask(echoes_one_bit_off, Load("/echo", body_bytes=65536, expect="echo", limit=2)), Answer.WRONG_BODY, 2)


def event(number: int) -> bytes:
    data = b"data: " + json.dumps({"n": number, "version": "3"}).encode() + b"\n\n"
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_stream_left_by_the_client_is_one_right_answer() -> None:
    async def session() -> Report:
        under_way = asyncio.Semaphore(0)

        async def streams_for_ever(visit: Visit) -> None:
            await visit.request()
            await visit.say(STREAM)
            for number in range(1000):
                await visit.say(event(number))
                if number == 3:
                    under_way.release()
                await asyncio.sleep(0.01)

        async with (
            rogue(streams_for_ever) as url,
            asyncio.timeout(20),
            Client(url, Load.streams(connections=3)) as client,
        ):
            for _ in range(3):
                await under_way.acquire()
        return client.report

    report = asyncio.run(session())
    assert_only(report, Answer.OK, 3)
    assert report.versions == {"3": 3}
    assert report.events >= 3
    assert report.streams_open == 0


@pytest.mark.parametrize(
    ("events", "ending", "answer"),
    [
        ([0, 1, 2], b"0\r\n\r\n", Answer.OK),
        ([0, 1, 2], b"", Answer.EOF_INSIDE),
        ([0, 2], b"0\r\n\r\n", Answer.WRONG_BODY),
        ([0, 1, 1], b"0\r\n\r\n", Answer.WRONG_BODY),
        ([1], b"0\r\n\r\n", Answer.WRONG_BODY),
    ],
    ids=["ended in order", "cut", "one missing", "one twice", "first missing"],
)
def test_a_stream_is_right_only_without_a_gap_and_with_its_end(
    events: list[int], ending: bytes, answer: Answer
) -> None:
    async def streams(visit: Visit) -> None:
        await visit.request()
        await visit.say(STREAM + b"".join(event(number) for number in events) + ending)

    assert_only(ask(streams, Load("/stream", expect="events", limit=1)), answer)


def test_a_stream_that_falls_silent_times_out() -> None:
    async def falls_silent(visit: Visit) -> None:
        await visit.request()
        await visit.say(STREAM + event(0))
        await visit.reader.read()

    assert_only(ask(falls_silent, Load("/stream", expect="events", limit=1, timeout_s=0.3)), Answer.TIMED_OUT)


def test_failed_answers_name_the_version_that_gave_them() -> None:
    async def fails_as_2(visit: Visit) -> None:
        await visit.request()
        await visit.answer(b"", "X-Version: 2", status="503 Service Unavailable")

    report = ask(fails_as_2, Load(limit=2))
    assert report.failed_versions == {"2": 2}
    assert report.versions == {}
    assert [failure.version for failure in report.failures] == ["2", "2"]


def test_requests_in_flight_are_waited_for_when_the_client_stops() -> None:
    async def session() -> Report:
        arrived, release = asyncio.Event(), asyncio.Event()

        async def slow(visit: Visit) -> None:
            await visit.request()
            arrived.set()
            await release.wait()
            await visit.answer(GOOD)

        async with rogue(slow) as url, asyncio.timeout(10), Client(url, Load()) as client:
            await arrived.wait()
            asyncio.get_running_loop().call_later(0.05, release.set)
        return client.report

    assert_only(asyncio.run(session()), Answer.OK)


def test_a_stall_shows_as_the_longest_gap() -> None:
    async def stalls_once(visit: Visit) -> None:
        for number in range(6):
            await visit.request()
            if number == 3:
                await asyncio.sleep(0.3)
            await visit.answer(GOOD)

    report = ask(stalls_once, Load(limit=6))
    assert 0.3 <= report.longest_gap_s < 0.6
    assert report.percentile_s(100) >= 0.3 > report.percentile_s(50)


def test_a_paced_client_keeps_its_rate_and_counts_lateness_as_latency() -> None:
    async def late_once(visit: Visit) -> None:
        for number in range(40):
            await visit.request()
            if number == 0:
                await asyncio.sleep(0.2)
            await visit.answer(GOOD)

    report = ask(late_once, Load(rate_per_s=100, limit=30))
    assert_only(report, Answer.OK, 30)
    assert 0.28 <= report.elapsed_s < 0.8
    late = [latency_s for latency_s in report.latencies_s if latency_s > 0.05]
    assert len(late) >= 10, "the requests that were due during the stall waited too"


def test_the_clients_own_trouble_is_not_booked_as_the_services_failure() -> None:
    async def session() -> None:
        async with rogue(good) as url:
            # An address that this family cannot reach is what a lack of free ports looks like: EADDRNOTAVAIL.
            target = Target.parse(url)
            async with Client(Target(target.family, ("255.255.255.255", 1), ""), Load(limit=1)) as client:
                await client.until_done()

    with pytest.raises(ClientTrouble):
        asyncio.run(session())


def test_a_background_client_counts_while_its_owner_blocks() -> None:
    enough = threading.Event()

    async def counted(visit: Visit) -> None:
        for number in range(1000):
            await visit.request()
            await visit.answer(GOOD)
            if number == 20:
                enough.set()

    url_known, over = threading.Event(), threading.Event()
    url = ""

    async def serve() -> None:
        nonlocal url
        async with rogue(counted) as url:
            url_known.set()
            await asyncio.to_thread(over.wait, 10)

    server = threading.Thread(target=asyncio.run, args=(serve(),))
    server.start()
    try:
        assert url_known.wait(5)
        with BackgroundClient(url, Load(think_s=0.001)) as client:
            assert enough.wait(5)
            assert client.report.requests > 0
        assert client.report.failed == 0, client.report.summary()
        assert client.report.ok >= 20
    finally:
        over.set()
        server.join()


def test_the_command_prints_the_books_as_json_and_fails_when_something_failed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        words = ["--url", f"http://127.0.0.1:{taken.getsockname()[1]}", "--limit", "2", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "midair.testing.client", *words, "--connections", "1"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.returncode == 1, done.stderr
    books = json.loads(done.stdout)
    assert (books["requests"], books["failed"], books["refused"], books["ok"]) == (2, 2, 2, 0)
    assert sum(books[answer.value] for answer in Answer) == books["requests"]


def test_the_command_succeeds_when_nothing_failed(capsys: pytest.CaptureFixture[str]) -> None:
    url_known, over = threading.Event(), threading.Event()
    url = ""

    async def serve() -> None:
        nonlocal url
        async with rogue(good) as url:
            url_known.set()
            await asyncio.to_thread(over.wait, 10)

    server = threading.Thread(target=asyncio.run, args=(serve(),))
    server.start()
    try:
        assert url_known.wait(5)
        assert main(["--url", url, "--connections", "2", "--limit", "3"]) == 0
    finally:
        over.set()
        server.join()
    assert "6 requests in" in capsys.readouterr().out


def test_the_command_reports_when_it_is_told_to_end() -> None:
    async def told_to_end() -> tuple[int | None, bytes]:
        asked = asyncio.Event()

        async def answer(visit: Visit) -> None:
            while await visit.request():
                asked.set()
                await visit.answer(GOOD)

        async with rogue(answer) as url:
            command = (sys.executable, "-m", "midair.testing.client", "--url", url, "--for", "600", "--json")
            process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            await asyncio.wait_for(asked.wait(), 20)
            process.terminate()
            said, _ = await asyncio.wait_for(process.communicate(), 20)
        return process.returncode, said

    code, said = asyncio.run(told_to_end())
    assert code == 0, said
    assert json.loads(said)["ok"] > 0


@pytest.mark.parametrize("url", ["httpx://127.0.0.1", "ftp://x", "127.0.0.1:80", "http://"])
def test_an_address_that_cannot_be_asked_is_said(url: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        Target.parse(url)


def test_an_ipv6_address_is_understood() -> None:
    assert Target.parse("http://[::1]:8000") == Target(socket.AF_INET6, ("::1", 8000), "[::1]:8000")
