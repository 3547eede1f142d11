"""``midair alerts test``: one alert that means nothing goes the whole way, is answered like a real one, and ends. Blocking."""

from __future__ import annotations

import http.client
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from midair.alerting.alertmanager import VERSION
from midair.alerting.incidents import Incident
from midair.alerting.webhook import PATH
from midair.errors import ConfigError, WorldError

ALERT = "MidairTest"
MARK = "trial"
"""Label with a value of its own each time: no other alert is taken for this one."""
ANSWER_WITHIN_S = 15.0
LOOK_EVERY_S = 0.1
FIRES_MAX = timedelta(minutes=10)
"""If we cannot end it, Alertmanager does so by itself."""


class NotDelivered(WorldError):
    """The test alert did not get where alerts should go, or was not answered as they are."""

    code = "alert-not-delivered"
    hint = "midair alerts serve has to run there; with --through, a route of Alertmanager has to lead to it"


class _Answered(msgspec.Struct, frozen=True):
    class Each(msgspec.Struct, frozen=True):
        incident: Incident

    alerts: tuple[Each, ...]


def posted(url: str, labels: Mapping[str, str], token: str) -> Incident:
    """The incident that a receiver at ``url`` made of a test alert, closed again. Raises NotDelivered."""
    alert = _alert(labels)
    firing = _notify(url, token, {**alert, "status": "firing"})
    closed = _notify(url, token, {**alert, "status": "resolved", "endsAt": _now()})
    return msgspec.structs.replace(firing, closed=closed.closed)


def _notify(url: str, token: str, alert: Mapping[str, object]) -> Incident:
    body = {"version": VERSION, "status": alert["status"], "receiver": "test", "alerts": [alert]}
    answer = _post(urllib.parse.urljoin(url, PATH), body, {"Authorization": f"Bearer {token}"} if token else {})
    try:
        return msgspec.json.decode(answer, type=_Answered).alerts[0].incident
    except (msgspec.MsgspecError, IndexError) as exc:
        raise NotDelivered(f"{url} answered something else than midair alerts serve does: {exc}") from exc


def sent_through(
    url: str, labels: Mapping[str, str], incidents: Callable[[], Iterable[Incident]], within_s: float
) -> Incident:
    """As ``posted``, but Alertmanager at ``url`` sends the alert. incidents: those that are known. Raises NotDelivered."""
    alert = _alert(labels)
    ends_at = datetime.now(UTC) + FIRES_MAX
    url = urllib.parse.urljoin(url.rstrip("/") + "/", "api/v2/alerts")
    _post(url, [{**alert, "endsAt": ends_at.isoformat()}], {})
    deadline_s = time.monotonic() + within_s
    try:
        return _opened(
            alert, incidents, deadline_s, f"Alertmanager took it, and no incident came within {within_s:g} s"
        )
    finally:
        _post(url, [{**alert, "endsAt": _now()}], {})


def _opened(
    alert: Mapping[str, object], incidents: Callable[[], Iterable[Incident]], deadline_s: float, late: str
) -> Incident:
    while True:
        for incident in incidents():
            if incident.alert.labels == alert["labels"]:
                return incident
        if time.monotonic() > deadline_s:
            raise NotDelivered(late)
        time.sleep(LOOK_EVERY_S)  # Another process writes them, and tells nobody.


def _alert(labels: Mapping[str, str]) -> dict[str, object]:
    return {
        "labels": {**labels, "alertname": ALERT, MARK: uuid.uuid4().hex},
        "annotations": {"summary": "A test of the way from Alertmanager to midair. Nothing is wrong."},
        "startsAt": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _post(url: str, body: object, headers: Mapping[str, str]) -> bytes:
    """The body of a 200. Raises NotDelivered, ConfigError."""
    parts = urllib.parse.urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise ConfigError(f"{url!r} is not the address of a web server", hint="write http://127.0.0.1:9466")
    connection = kinds[parts.scheme](parts.netloc, timeout=ANSWER_WITHIN_S)
    try:
        connection.request(
            "POST", parts.path or "/", msgspec.json.encode(body), {"Content-Type": "application/json", **headers}
        )
        response = connection.getresponse()
        answer: bytes = response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise NotDelivered(f"{url} does not answer: {exc}") from exc
    finally:
        connection.close()
    if response.status != 200:
        raise NotDelivered(f"{url} answered {response.status}: {answer[:500].decode(errors='replace').strip()}")
    return answer
