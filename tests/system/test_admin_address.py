"""The admin address: one process for it and the metrics, back after its death, there over an upgrade, and true about readiness."""

from __future__ import annotations

import http.client
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

BOTH: dict[str, Setting] = {
    "admin": {"address": "127.0.0.1:0"},
    "metrics": {"address": "127.0.0.1:0"},
    "stop": {"timeout": "5s", "delay": "1s"},
}


def _asked(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error)


def _child(service: Service) -> Process:
    (found,) = [p for p in service.processes() if "midair.admin.host" in p.command]
    return found


@pytest.mark.slow
def test_one_process_serves_page_and_metrics_and_comes_back_and_outlives_an_upgrade(tmp_path: Path) -> None:
    with Service(tmp_path, settings=BOTH) as service:
        admin, metrics = service.status()["admin"], service.status()["metrics"]
        with service.asked(Load(connections=2, keep_alive=False, think_s=0.02)) as client:
            first = _child(service)
            first.kill()
            # The supervisor holds the ports: who asks meanwhile waits in their queues.
            assert _asked(admin, "/readyz") == (200, "serving\n")
            second = _child(service)
            assert second != first
            niceness = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (second.pid, *service.worker_pids())]
            assert niceness[0] > max(niceness[1:]), "the workers come first"
            assert service.midair("upgrade").code == 0, service.log()
            assert _child(service) == second
            assert (service.status()["admin"], service.status()["metrics"]) == (admin, metrics)
            assert _asked(admin, "/api/status")[0] == 200
            assert _asked(metrics, "/metrics")[1].startswith("# HELP")
            assert _asked(metrics, "/")[0] == 404, "the metrics' address is for metrics alone"
            service.write("startup_raises", "2")
            assert service.reload("-m", "</script>\u202e").code == 4
            receipt = _asked(admin, f"/receipts/{service.receipt()['number']}")[1]
            assert "&lt;/script&gt;\\x202e" in receipt
            assert "Fault" in receipt
            assert _asked(admin, "/readyz") == (200, "serving\n"), "the earlier version serves"
        assert client.report.failed == 0, client.report.summary()
        # A stop that waits for the load balancer: still served, and not ready any more.
        service.supervisor.send(signal.SIGTERM)
        wait_for(
            lambda: _asked(admin, "/readyz"), 10, until=lambda said: said == (503, "stopping\n"), what="unreadiness"
        )
        assert service.wait_ended() == 0
        assert _asked(admin, "/readyz")[0] == 0
