"""``midair alerts serve``: notifications in, incidents out. One event loop; whatever blocks does so in a thread, within a limit."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Sequence

from midair.alerting.alertmanager import Alert, Notification
from midair.alerting.evidence import Evidence
from midair.alerting.gathering import Clock, Watched, gather
from midair.alerting.incidents import Incidents
from midair.alerting.webhook import ANSWER_WITHIN_S, BODY_MAX_BYTES, Answer, Taken, webhook
from midair.observe.counters import Page
from midair.observe.log import Log
from midair.sockets.listener import Listener
from midair.worker.server import Server
from midair.worker.settings import ServeSettings

GATHER_WITHIN_S = 6.0
"""For all alerts of a notification together; what is left of ANSWER_WITHIN_S is for the disk."""
SETTINGS = ServeSettings(
    access_log=False,
    lifespan="off",
    loop="asyncio",
    limit_concurrency=64,
    body_max_bytes=BODY_MAX_BYTES,
    head_max_bytes=16 * 1024,
    timeout_head_s=10.0,
    timeout_body_s=10.0,
    proxy_headers=False,
    drain_idle_grace_s=0.5,
)


class Receiver:
    """Takes notifications, one process long."""

    def __init__(
        self,
        services: Sequence[Watched],
        incidents: Incidents,
        log: Log,
        wall_s: Callable[[], float] = time.time,
        gather_within_s: float = GATHER_WITHIN_S,
    ) -> None:
        self._services, self._incidents, self._log = services, incidents, log
        self._wall_s, self._gather_within_s = wall_s, gather_within_s
        self._writing = threading.Lock()

    async def take(self, notification: Notification) -> Answer:
        """Record every alert of it. Raises OSError: then not all are, and whoever posts should do so again."""
        clock = Clock(self._gather_within_s)
        taken = []
        for alert in notification.alerts:
            taken.append(await asyncio.to_thread(self._take, alert, clock))
            self._say(taken[-1])
        return Answer(alerts=tuple(taken), left_out=notification.truncated_alerts)

    def _take(self, alert: Alert, clock: Clock) -> Taken:
        if alert.status == "resolved":
            with self._writing:
                return self._close(alert)
        with self._writing:
            known = self._incidents.of(alert)
        # The first time it is about what was before it; while it fires on, about what has come since.
        at_s = self._wall_s() if known else alert.starts_s
        evidence = gather(alert, self._services, clock, at_s=at_s)
        # Looked up again: another Alertmanager of a pair may have told of it meanwhile.
        with self._writing:
            return self._record(alert, evidence)

    def _record(self, alert: Alert, evidence: Evidence) -> Taken:
        known = self._incidents.of(alert)
        if known is None or known.closed:
            return Taken(alert.name, "opened", self._incidents.open(alert, evidence, self._wall_s()))
        last = known.evidence[-1] if known.evidence else Evidence()
        if not says_more(evidence, last):
            return Taken(alert.name, "repeated", known)
        return Taken(alert.name, "extended", self._incidents.extend(known, evidence, self._wall_s()))

    def _close(self, alert: Alert) -> Taken:
        known = self._incidents.of(alert)
        if known is None or known.closed:
            return Taken(alert.name, "repeated" if known else "unknown", known)
        return Taken(alert.name, "closed", self._incidents.close(known, self._wall_s()))

    def _say(self, taken: Taken) -> None:
        if taken.incident is None or taken.what == "repeated":
            return
        if taken.what == "closed":
            self._log.say("incident_closed", incident=taken.incident.incident, alert=taken.alert)
            return
        evidence = taken.incident.evidence[-1]
        self._log.say(
            f"incident_{taken.what}",
            incident=taken.incident.incident,
            alert=taken.alert,
            service=evidence.service or None,
            about=evidence.update or None,
            lines=len(evidence.lines),
            missing="; ".join(evidence.missing) or None,
        )


def says_more(evidence: Evidence, last: Evidence) -> bool:
    """Whether what was gathered now is worth a line beside what was gathered last. Pure."""
    if evidence.update and evidence.update != last.update:
        return True
    return bool(last.missing) and len(evidence.missing) < len(last.missing)


async def serve(
    listeners: Sequence[Listener], receiver: Receiver, token: str, log: Log, served: Callable[[], None]
) -> None:
    """Answer notifications until SIGTERM or SIGINT; what is being answered then still is. served: called once it accepts."""
    loop = asyncio.get_running_loop()
    stop, emptied = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def refused(status: int, why: str) -> None:
        log.say("notification_refused", answer=status, error=why)

    server = Server(
        webhook(receiver.take, token=token, refused=refused), SETTINGS, Page.create("alerts"), {}, loop=loop
    )
    server.accept([listener.socket for listener in listeners])
    served()
    await stop.wait()
    server.stop_accepting()
    server.drain()
    server.when_empty(emptied.set)
    try:
        await asyncio.wait_for(emptied.wait(), ANSWER_WITHIN_S)
    except TimeoutError:
        server.cut()
    server.close()
