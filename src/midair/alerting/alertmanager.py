"""What Alertmanager sends to a webhook (its version 4), as typed values.

Fields that are not known are passed over, so a newer Alertmanager is understood as far as we go.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from midair.errors import WorldError

VERSION = "4"
ALERTS_MAX = 64
"""Of one notification. A group of more is an outage of its own: ``max_alerts`` in Alertmanager's own configuration."""
TEXT_MAX = 2048
"""Characters of one label or annotation that are kept."""


class BadNotification(WorldError):
    """What was posted to `midair alerts serve` is not a notification of Alertmanager, version 4."""

    code = "bad-notification"


class Alert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert of a notification."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    starts_at: datetime
    ends_at: datetime | None = None
    fingerprint: str = ""
    """Of its labels."""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    @property
    def starts_s(self) -> float:
        """Seconds since the epoch when it began to fire."""
        return self.starts_at.timestamp()

    @property
    def key(self) -> str:
        """The same for every repetition of this alert, another one when it fires again."""
        of_labels = self.fingerprint or ",".join(f"{name}={value}" for name, value in sorted(self.labels.items()))
        return f"{of_labels}@{self.starts_at.astimezone(UTC).isoformat()}"


class Notification(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is posted: a group of alerts."""

    version: str = ""
    status: str = ""
    receiver: str = ""
    alerts: tuple[Alert, ...] = ()
    truncated_alerts: int = 0
    """Alerts that Alertmanager itself left out."""


def read(body: bytes) -> Notification:
    """The notification in ``body``, its texts cut and its alerts at most ALERTS_MAX. Raises BadNotification."""
    try:
        found = msgspec.json.decode(body, type=Notification)
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise BadNotification(f"not a notification of Alertmanager: {exc}") from exc
    if found.version != VERSION:
        raise BadNotification(f"a notification of version {found.version!r}; {VERSION!r} is understood")
    if unplaced := [alert for alert in found.alerts if alert.starts_at.tzinfo is None]:
        raise BadNotification(f"startsAt of {unplaced[0].name!r} has no time zone")
    left_out = max(0, len(found.alerts) - ALERTS_MAX)
    return msgspec.structs.replace(
        found,
        alerts=tuple(map(_cut, found.alerts[:ALERTS_MAX])),
        truncated_alerts=found.truncated_alerts + left_out,
    )


def _cut(alert: Alert) -> Alert:
    cut = {
        words: {name[:TEXT_MAX]: text[:TEXT_MAX] for name, text in getattr(alert, words).items()}
        for words in ("labels", "annotations")
    }
    return msgspec.structs.replace(alert, **cut)
