"""docs/monitoring.md is what happens: rules that Prometheus takes, and an alert that is answered with its update."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk
from tests.support.installed import needs

SERVE = "midair alerts serve --bind 127.0.0.1:9466 --service shop --token-file /etc/midair/alerts-token"
WALK = Walk("docs/monitoring.md", goes_on={SERVE: "address=127.0.0.1:9466"})
ALERT = {
    "status": "firing",
    "labels": {"alertname": "MidairUpdateFailed", "job": "midair", "midair_update": "failed", "severity": "warning"},
    "annotations": {"summary": "An update of web-1:9464 was refused"},
    "startsAt": "2100-01-01T00:00:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "a1b2c3d4e5f60718",
}
POST = (
    'curl -sf --retry 20 --retry-connrefused -H "Authorization: Bearer $(cat /etc/midair/alerts-token)" '
    "-H Content-Type:application/json -o /dev/null http://127.0.0.1:9466/alerts -d "
)


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    needs("promtool")
    needs("openssl")
    with Terminal(user="root") as terminal, WALK.begun(terminal) as walker:
        terminal.prepare("mkdir -p /etc/prometheus /etc/midair")
        terminal.write("midair.toml", 'app = "app:app"\n')
        terminal.write("app.py", shop())
        terminal.begin("midair run").wait_said("update done")
        terminal.write("app.py", "import redys\n")
        terminal.type("midair reload")
        walker.through(SERVE)
        told = {"version": "4", "status": "firing", "alerts": [ALERT]}
        terminal.prepare(POST + shlex.quote(json.dumps(told)))
        walker.rest()
