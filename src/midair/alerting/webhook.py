"""The address that Alertmanager posts to: ``POST /alerts``. A plain ASGI application, served by midair's own connection layer.

Whoever posts must say a token, if there is one, and must post JSON: a page in somebody's browser can do that only after a
question that is not answered here. What comes is bounded, and the answer comes before Alertmanager gives up (10 s).

    200  recorded; the body holds each incident with the receipt and the lines of its update
    400  no notification of version 4: it would be none the next time, either
    401, 404, 405, 413, 415  whoever asks is mistaken
    503  not recorded (the disk, too many at one time, no time): Alertmanager posts it again
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from midair.alerting.alertmanager import BadNotification, Notification, read
from midair.alerting.incidents import Incident
from midair.errors import MidairError
from midair.worker.asgi import Asgi, Receive, Scope, Send

PATH = "/alerts"
LIVE_PATH = "/livez"
BODY_MAX_BYTES = 1024 * 1024
"""A notification of ALERTS_MAX alerts with long annotations."""
AT_ONE_TIME_MAX = 8
"""Notifications that are dealt with side by side; each may hold a thread for some seconds."""
ANSWER_WITHIN_S = 9.0
"""Alertmanager waits 10 s at least (its group_interval, if that is longer)."""


class Taken(msgspec.Struct, frozen=True):
    """What became of one alert of a notification."""

    alert: str
    """Its name."""
    what: str
    """opened, repeated, extended, closed, or unknown: it ended, and nobody had told of its beginning."""
    incident: Incident | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered with 200."""

    alerts: tuple[Taken, ...]
    left_out: int = 0
    """Alerts that were too many for one notification."""


Take: TypeAlias = Callable[[Notification], Awaitable[Answer]]


class Refused(Exception):  # not an error of midair's: an answer
    """The request gets this status."""

    def __init__(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers


def webhook(take: Take, *, token: str = "", refused: Callable[[int, str], None] = lambda status, why: None) -> Asgi:
    """The application. take: records a notification; may raise OSError or MidairError. token: empty: nobody is asked for one.

    refused: is told of each answer that is not 200.
    """
    running = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        running += 1
        try:
            if running > AT_ONE_TIME_MAX:
                raise Refused(503, "too many notifications at one time")
            body = await _respond(scope, receive, take, token)
            await _send(scope, send, 200, body)
        except Refused as exc:
            refused(exc.status, str(exc))
            await _send(scope, send, exc.status, msgspec.json.encode({"error": str(exc)}), *exc.headers)
        finally:
            running -= 1

    return application


async def _respond(scope: Scope, receive: Receive, take: Take, token: str) -> bytes:
    """The body of a 200. Raises Refused."""
    if scope["path"] == LIVE_PATH and scope["method"] in ("GET", "HEAD"):
        return b'{"live":true}'
    if scope["path"] != PATH:
        raise Refused(404, f"Alertmanager's notifications are posted to {PATH}")
    if scope["method"] != "POST":
        raise Refused(405, "a notification is posted", (b"allow", b"POST"))
    headers = dict(scope["headers"])
    if token and not _is_token(headers.get(b"authorization", b""), token):
        raise Refused(401, "the token is missing or another one", (b"www-authenticate", b"Bearer"))
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        raise Refused(415, "a notification is application/json")
    try:
        notification = read(await _body(receive))
        answer = await asyncio.wait_for(take(notification), ANSWER_WITHIN_S)
    except BadNotification as exc:
        raise Refused(400, str(exc)) from exc
    except TimeoutError as exc:
        raise Refused(503, f"it could not be recorded within {ANSWER_WITHIN_S:.0f} s") from exc
    except (OSError, MidairError) as exc:
        raise Refused(503, f"it could not be recorded: {exc}") from exc
    return msgspec.json.encode(answer)


def _is_token(header: bytes, token: str) -> bool:
    """In constant time: how long it takes does not tell how much of it was right."""
    scheme, _, said = header.partition(b" ")
    return hmac.compare_digest(said.strip(), token.encode()) and scheme.lower() == b"bearer"


async def _body(receive: Receive) -> bytes:
    """Raises Refused. The connection layer bounds it, too, before the first byte if its length is said."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the client left before the end of its notification")
        body += message.get("body", b"")
        if len(body) > BODY_MAX_BYTES:
            raise Refused(413, "the notification is too large")
        if not message.get("more_body", False):
            return bytes(body)


async def _send(scope: Scope, send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
