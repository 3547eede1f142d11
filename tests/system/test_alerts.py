"""The closed loop: an update fails, an alert is raised, and what is answered to it are that update's receipt and lines."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from midair.alerting.incidents import Incident, fold, read
from tests.support.monitoring import Alertmanager, watching
from tests.support.prometheus import FIRST_SCRAPE_WITHIN_S, Prometheus
from tests.support.service import Service, clean_environment
from tests.support.systemd import MIDAIR, Machine
from tests.support.toml import Setting
from tests.support.waiting import wait_for

TOKEN = "a-token"
SETTINGS: dict[str, Setting] = {"metrics": {"address": "127.0.0.1:0"}, "log": {"format": "json"}}


class Receiver:
    """``midair alerts serve`` beside a service."""

    def __init__(self, service: Service, folder: Path) -> None:
        self._service = service
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN + "\n")
        self.incidents_file = str(folder / "incidents.jsonl")
        self._log_path = folder / "alerts.log"

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its address."""
        words = ["alerts", "serve", "--bind", "127.0.0.1:0", "--log", str(self._service.log_path)]
        words += ["--incidents", self.incidents_file, "--token-file", str(self.token_file)]
        with (
            self._log_path.open("wb") as log,
            subprocess.Popen(
                [sys.executable, "-m", "midair", *words],
                cwd=self._service.folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stderr=log,
            ) as process,
        ):
            try:
                wait_for(self.events, 20, what="that it is served")
                yield f"http://{self.events()[0]['address']}"
            finally:
                process.terminate()
                assert process.wait(20) == 0, self.log()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log().splitlines(keepends=True) if line.endswith("\n")]

    def told(self, alert: str) -> list[str]:
        """The events of its log about this alert."""
        return [event["event"] for event in self.events() if event.get("alert") == alert]

    def log(self) -> str:
        return self._log_path.read_text()

    def incidents(self, alert: str) -> list[Incident]:
        """Those of this alert, oldest first."""
        return [each for each in fold(read(self.incidents_file)).values() if each.alert.name == alert]

    def post(self, url: str, alert: dict[str, Any]) -> dict[str, Any]:
        """What is answered to a notification of this alert."""
        body = json.dumps({"version": "4", "status": "firing", "alerts": [{**alert, "status": "firing"}]}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        request = urllib.request.Request(f"{url}/alerts", body, headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            (answer,) = json.loads(response.read())["alerts"]
        assert isinstance(answer, dict)
        return answer


@pytest.mark.slow
@pytest.mark.timeout(180)  # four programs ask each other
def test_a_failed_update_raises_an_alert_that_is_answered_with_its_receipt_and_its_lines(tmp_path: Path) -> None:
    with Service(tmp_path, settings=SETTINGS) as service:
        receiver = Receiver(service, tmp_path)
        with (
            receiver.running() as url,
            Alertmanager(tmp_path, url, receiver.token_file) as alertmanager,
            Prometheus(
                tmp_path, "", configuration=watching(tmp_path, service.status()["metrics"], alertmanager.address)
            ) as prometheus,
        ):
            # One fails before it: its lines and its receipt are not to be taken for those of the next.
            service.write("startup_raises", "2")
            assert service.reload().code == 4
            refused = 'midair_updates_total{result="refused"}'
            wait_for(lambda: prometheus.value(refused) == 1, FIRST_SCRAPE_WITHIN_S, what="a scrape")
            service.write("import_error", "3")
            assert service.reload().code == 4

            (incident,) = wait_for(lambda: receiver.incidents("MidairModuleLoadErrors"), 60, what="the alert")
            (evidence,) = incident.evidence
            assert evidence.missing == ()
            assert evidence.update == 3
            assert evidence.receipt == service.receipt(3)
            logged = [json.loads(line) for line in service.log_path.read_text().splitlines()]
            of_update = [line for line in logged if line.get("update") == 3 or line.get("generation") == 3]
            assert list(evidence.lines) == of_update
            assert of_update[0]["event"] == "update_started"
            assert of_update[-1]["event"] == "update_refused"
            assert "the import of this version fails on purpose" in of_update[-1]["error"]

            # Alertmanager repeats itself. The answer is the same, and nothing is written twice.
            answer = receiver.post(url, msgspec.to_builtins(incident.alert))
            assert answer["what"] == "repeated"
            assert msgspec.convert(answer["incident"], Incident) == incident
            shown = service.midair("alerts", "show", str(incident.incident), "--incidents", receiver.incidents_file)
            assert "the import of this version fails on purpose" in shown.out

            service.update("4", "good")
            wait_for(
                lambda: receiver.told("MidairModuleLoadErrors"),
                60,
                until=lambda told: "incident_closed" in told,
                what=f"the end of the alert\n{alertmanager.log()}\n{receiver.log()}",
            )
            # A scrape that came too late may have ended the alert and raised it anew: that is another incident, after this one.
            assert receiver.told("MidairModuleLoadErrors")[:2] == ["incident_opened", "incident_closed"]
            assert receiver.incidents("MidairModuleLoadErrors")[0].closed

            to = ("--through", f"http://{alertmanager.address}", "--incidents", receiver.incidents_file)
            tried = service.midair("alerts", "test", "--json", *to)
            assert tried.code == 0, tried
            assert tried.data["evidence"][0]["update"] == 4


@pytest.mark.slow
def test_under_systemd_the_lines_of_an_update_come_from_the_journal(machine: Machine) -> None:
    machine.write("/srv/watched", "good", "1")
    machine.place("/srv/watched/midair.toml", 'app = "app:app"\nbind = "127.0.0.1:8065"\nbake = { for = "0s" }\n')
    of = "[Service]\nWorkingDirectory=/srv/watched\nEnvironment=STATE_DIRECTORY=/srv/kept\n"
    machine.install("watched.service", f"{of}Type=notify\nRuntimeDirectory=midair/watched\nExecStart={MIDAIR} run\n")
    machine.install("alerts.service", f"{of}ExecStart={MIDAIR} alerts serve\n")
    machine.start("watched.service")
    machine.start("alerts.service")
    for version, app in (("2", "startup_raises"), ("3", "import_error")):
        machine.write("/srv/watched", app, version)
        assert machine.run(str(MIDAIR), "reload", folder="/srv/watched").returncode == 4
    machine.must("journalctl", "--sync")
    wait_for(lambda: _is_live(machine, "127.0.0.1:9466"), 20, what="that alerts are taken")
    incident = json.loads(machine.must(str(MIDAIR), "alerts", "test", "--json", folder="/srv/watched"))
    (evidence,) = incident["evidence"]
    assert (evidence["update"], evidence["lines_from"]) == (3, "the journal")
    assert {line["update"] for line in evidence["lines"]} == {3}
    assert [line["event"] for line in evidence["lines"]][:1] == ["update_started"]
    assert "the import of this version fails on purpose" in evidence["lines"][-1]["error"]
    machine.must("systemctl", "stop", "alerts.service", "watched.service")


def _is_live(machine: Machine, address: str) -> bool:
    try:
        return machine.get(address, "/livez")[0] == 200
    except OSError:
        return False
