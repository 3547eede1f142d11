"""What is posted to ``midair alerts serve``: bounded, checked, answered in time, and recorded once."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from midair.alerting import gathering, webhook
from midair.alerting.alertmanager import ALERTS_MAX, TEXT_MAX, BadNotification, Notification, read
from midair.alerting.gathering import Watched, choose
from midair.alerting.incidents import Incidents
from midair.alerting.lines import Found, in_supervisor
from midair.alerting.receiver import Receiver
from midair.alerting.webhook import BODY_MAX_BYTES, Answer
from midair.config.load import ServiceAddress
from midair.control import words
from midair.control.words import AnyAnswer, Request
from midair.errors import Fault
from midair.observe.log import Log
from midair.observe.sink import Sink
from tests.cli.fake_service import FakeService

NOW_S = 1_795_726_300.0
STARTS_AT = "2026-11-26T20:51:35.123456789Z"
HISTORY = words.HistoryReport(
    receipts=(
        words.ReceiptLine(number=4, time_s=NOW_S - 10, duration_s=2, result="refused", generation=4),
        words.ReceiptLine(number=3, time_s=NOW_S - 30, duration_s=2, result="refused", generation=3),
    )
)


def fired(name: str = "MidairUpdateFailed", status: str = "firing", **labels: str) -> dict[str, Any]:
    of = {"alertname": name, "midair_update": "failed", "instance": "127.0.0.1:9464", **labels}
    return {"status": status, "labels": of, "annotations": {}, "startsAt": STARTS_AT, "fingerprint": f"{name}{labels}"}


def posted(*alerts: dict[str, Any]) -> bytes:
    return json.dumps({"version": "4", "status": "firing", "receiver": "midair", "alerts": alerts}).encode()


def answers(request: Request) -> Sequence[AnyAnswer]:
    """A service of which updates 3 and 4 were refused."""
    match request:
        case words.History():
            return (HISTORY,)
        case words.Receipt(number=number):
            return (words.ReceiptReport(number=number, document=msgspec.Raw(json.dumps({"number": number}))),)
        case words.Logs(generation=generation):
            row = words.LogLine(time_s=0, generation=generation, slot=0, text=f"of {generation}")
            return (words.LogLines(lines=(row,)), words.Done())
        case words.Status():
            return (words.Refused(fault=Fault("x", "x")),)
        case _:
            raise AssertionError(request)


def watched(service: FakeService) -> Watched:
    address = ServiceAddress(name=service.runtime.name, folder="", runtime_dirs=(str(service.runtime),))
    return Watched(address, in_supervisor(address))


def quiet() -> Log:
    with open(os.devnull, "wb") as file:
        return Log(Sink(file.fileno()), is_strict=True)


def take(receiver: Receiver, body: bytes) -> Answer:
    return asyncio.run(receiver.take(read(body)))


# --- what becomes of an alert ------------------------------------------------------------------------------------------


def test_an_alert_becomes_an_incident_with_the_receipt_and_the_lines_of_its_update(tmp_path: Path) -> None:
    with FakeService(tmp_path, answers) as service, Incidents(str(tmp_path / "i.jsonl")) as incidents:
        receiver = Receiver([watched(service)], incidents, quiet(), lambda: NOW_S)
        (taken,) = take(receiver, posted(fired())).alerts
        assert taken.what == "opened"
        assert taken.incident is not None
        (evidence,) = taken.incident.evidence
        assert (evidence.service, evidence.update, evidence.receipt) == ("shop", 4, {"number": 4})
        assert [line["message"] for line in evidence.lines] == ["of 4"]
        assert evidence.missing == ()

        (again,) = take(receiver, posted(fired())).alerts
        assert (again.what, again.incident) == ("repeated", taken.incident)
        (over,) = take(receiver, posted(fired(status="resolved"))).alerts
        assert over.what == "closed"
        (over,) = take(receiver, posted(fired(status="resolved"))).alerts
        assert over.what == "repeated"
        (unheard_of,) = take(receiver, posted(fired("Another", status="resolved"))).alerts
        assert (unheard_of.what, unheard_of.incident) == ("unknown", None)
        assert len((tmp_path / "i.jsonl").read_text().splitlines()) == 2


def test_an_alert_that_fires_on_is_about_the_next_failed_update_too(tmp_path: Path) -> None:
    history = [HISTORY]

    def later(request: Request) -> Sequence[AnyAnswer]:
        return (history[0],) if isinstance(request, words.History) else answers(request)

    with FakeService(tmp_path, later) as service, Incidents(str(tmp_path / "i.jsonl")) as incidents:
        receiver = Receiver([watched(service)], incidents, quiet(), lambda: NOW_S + 100)
        take(receiver, posted(fired()))
        another = words.ReceiptLine(number=5, time_s=NOW_S + 50, duration_s=2, result="refused", generation=5)
        history[0] = words.HistoryReport(receipts=(another, *HISTORY.receipts))
        (taken,) = take(receiver, posted(fired())).alerts
        assert taken.what == "extended"
        assert taken.incident is not None
        assert [each.update for each in taken.incident.evidence] == [4, 5]


def test_a_service_that_is_silent_costs_its_time_and_the_alert_is_recorded_all_the_same(tmp_path: Path) -> None:
    with (
        FakeService(tmp_path, lambda _: (), keep_open=True) as service,
        Incidents(str(tmp_path / "i.jsonl")) as incidents,
    ):
        receiver = Receiver([watched(service)], incidents, quiet(), lambda: NOW_S, gather_within_s=0.5)
        began_s = time.monotonic()
        first, second = take(receiver, posted(fired("A"), fired("B"))).alerts
        assert time.monotonic() - began_s < 5
        assert first.incident is not None
        assert second.incident is not None
        assert first.incident.evidence[0].missing[0].startswith("its history: no final answer within 0.")
        assert second.incident.evidence[0].missing == ("its history: there was no time left for it",)


def test_what_was_missing_is_asked_for_again_when_alertmanager_repeats_itself(tmp_path: Path) -> None:
    with Incidents(str(tmp_path / "i.jsonl")) as incidents:
        gone = ServiceAddress(name="shop", folder="", runtime_dirs=(str(tmp_path / "run" / "midair" / "shop"),))
        receiver = Receiver([Watched(gone, in_supervisor(gone))], incidents, quiet(), lambda: NOW_S)
        (taken,) = take(receiver, posted(fired())).alerts
        assert taken.incident is not None
        assert "nothing runs under the name 'shop'" in taken.incident.evidence[0].missing[0]
        with FakeService(tmp_path, answers):
            (taken,) = take(receiver, posted(fired())).alerts
        assert taken.what == "extended"
        assert taken.incident is not None
        assert [(each.update, each.missing) for each in taken.incident.evidence] == [(4, ())]


def test_two_alertmanagers_that_tell_of_one_alert_make_one_incident(tmp_path: Path) -> None:
    with FakeService(tmp_path, answers) as service, Incidents(str(tmp_path / "i.jsonl")) as incidents:
        receiver = Receiver([watched(service)], incidents, quiet(), lambda: NOW_S)

        async def both() -> list[str]:
            found = await asyncio.gather(*(receiver.take(read(posted(fired()))) for _ in range(4)))
            return sorted(each.alerts[0].what for each in found)

        assert asyncio.run(both()) == ["opened", "repeated", "repeated", "repeated"]


def service_called(name: str) -> Watched:
    return Watched(ServiceAddress(name=name, folder="", runtime_dirs=()), lambda want, within_s: Found("", ()))


@pytest.mark.parametrize(
    ("labels", "chosen"),
    [
        ({"service": "b", "instance": "a:1"}, "b"),
        ({"job": "b", "instance": "a:1"}, "b"),
        ({"job": "midair", "instance": "a:1"}, "a"),
        ({"job": "midair", "instance": "c:1"}, ""),
        ({}, ""),
    ],
)
def test_a_label_says_which_service_an_alert_is_about(labels: dict[str, str], chosen: str) -> None:
    found = choose(labels, [service_called("a"), service_called("b")], lambda each: f"{each.name}:1")
    assert (found.name if found else "") == chosen


def test_the_only_service_is_meant_unless_a_label_names_another() -> None:
    only = [service_called("only")]
    assert choose({"instance": "x:1"}, only, lambda each: "") is only[0]
    assert choose({"service": "other"}, only, lambda each: "a:1") is None
    assert choose({"service": "other", "instance": "a:1"}, only, lambda each: "a:1") is only[0]


def test_an_alert_of_which_the_service_is_not_known_is_recorded_and_says_so(tmp_path: Path) -> None:
    with Incidents(str(tmp_path / "i.jsonl")) as incidents:
        receiver = Receiver([service_called("a"), service_called("b")], incidents, quiet(), lambda: NOW_S)
        (taken,) = take(receiver, posted(fired(instance="x:1"))).alerts
        assert taken.incident is not None
        (sentence,) = taken.incident.evidence[0].missing
        assert sentence == "which service it is about: instance='x:1'; known here: a, b"


# --- what is no notification -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"version":"3","alerts":[]}',
        b'{"alerts":[]}',
        posted({"status": "firing"}),
        posted({**fired(), "status": "maybe"}),
        posted({**fired(), "startsAt": "yesterday"}),
        posted({**fired(), "startsAt": "2026-11-26T20:51:35"}),
        posted({**fired(), "labels": {"alertname": 3}}),
        b'{"version":"4","alerts":' + b"[" * 100_000,
    ],
)
def test_what_is_no_notification_of_version_4_is_refused(body: bytes) -> None:
    with pytest.raises(BadNotification):
        read(body)


def test_a_notification_is_cut_to_what_is_dealt_with() -> None:
    found = read(posted(*(fired(str(number), long="x" * 100_000) for number in range(ALERTS_MAX + 3))))
    assert len(found.alerts) == ALERTS_MAX
    assert found.truncated_alerts == 3
    assert len(found.alerts[0].labels["long"]) == TEXT_MAX


Asked = tuple[int, dict[bytes, bytes], dict[str, Any]]


def ask(
    take: Callable[[Notification], Awaitable[Answer]],
    body: bytes = posted(),
    *,
    method: str = "POST",
    path: str = "/alerts",
    token: str = "",
    **headers: str,
) -> Asked:
    """What the application answers."""
    given = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    chunks = [body[start : start + 65536] for start in range(0, len(body), 65536)] or [b""]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Any) -> None:
        sent.append(message)

    async def asked() -> None:
        await webhook.webhook(take, token=token)(scope, receive, send)

    asyncio.run(asked())
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"] or b"{}")


async def nothing(notification: Notification) -> Answer:
    return Answer(alerts=())


async def full(notification: Notification) -> Answer:
    raise OSError(28, "No space left on device")


async def endless(notification: Notification) -> Answer:
    await asyncio.sleep(3600)
    raise AssertionError


def test_a_notification_is_answered() -> None:
    assert ask(nothing)[0] == 200
    assert ask(nothing, content_type="application/json; charset=utf-8")[0] == 200
    assert ask(nothing, b"", method="GET", path="/livez")[0] == 200


def test_whoever_is_mistaken_is_told_so() -> None:
    assert ask(nothing, b"{")[0] == 400
    assert ask(nothing, path="/")[0] == 404
    status, headers, _ = ask(nothing, method="GET")
    assert (status, headers[b"allow"]) == (405, b"POST")
    assert ask(nothing, method="OPTIONS")[0] == 405, "a browser asks before it posts JSON to another site"
    assert ask(nothing, content_type="text/plain")[0] == 415
    assert ask(nothing, b" " * (BODY_MAX_BYTES + 1))[0] == 413


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Bearer secret", 200),
        ("bearer secret", 200),
        ("Bearer secre", 401),
        ("Bearer secret1", 401),
        ("Basic secret", 401),
        ("secret", 401),
        ("", 401),
        ("Bearer \xff", 401),
    ],
)
def test_whoever_does_not_know_the_token_is_turned_away(said: str, status: int) -> None:
    assert ask(nothing, token="secret", authorization=said)[0] == status


def test_alertmanager_is_asked_to_come_again_when_it_could_not_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, body = ask(full)
    assert status == 503
    assert "No space left on device" in body["error"]
    monkeypatch.setattr(webhook, "ANSWER_WITHIN_S", 0.05)
    assert ask(endless)[0] == 503


def test_so_many_are_dealt_with_at_one_time_and_the_rest_comes_again() -> None:
    async def many() -> list[int]:
        release = asyncio.Event()

        async def slow(notification: Notification) -> Answer:
            await release.wait()
            return Answer(alerts=())

        application = webhook.webhook(slow)
        statuses: list[int] = []
        refused = asyncio.Event()

        async def one() -> None:
            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": posted()}

            async def send(message: Any) -> None:
                if "status" in message:
                    statuses.append(message["status"])
                    if len(statuses) == 2:
                        refused.set()

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/alerts",
                "headers": [(b"content-type", b"application/json")],
            }
            await application(scope, receive, send)

        tasks = [asyncio.create_task(one()) for _ in range(webhook.AT_ONE_TIME_MAX + 2)]
        await refused.wait()
        assert statuses == [503, 503]
        release.set()
        await asyncio.gather(*tasks)
        return statuses

    assert asyncio.run(many()) == [503, 503, *[200] * webhook.AT_ONE_TIME_MAX]


def test_the_times_leave_room_for_the_answer() -> None:
    assert gathering.QUESTION_WITHIN_S < 6.0 < webhook.ANSWER_WITHIN_S < 10.0
