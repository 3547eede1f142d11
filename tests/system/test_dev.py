"""The developer's loop: what is saved is served, what is broken is not, and nobody who asks meanwhile notices."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from midair.observe.metrics import STEPS
from midair.testing.client import Load
from tests.support.service import STOP_WITHIN_S
from tests.support.toml import Setting
from tests.support.waiting import wait_for
from tests.support.watched import Watched

ASKING = (Load(connections=2, keep_alive=False, think_s=0.01), Load(connections=2, think_s=0.02))


def ready(service: Watched) -> None:
    """Its folder is watched, and its first version serves."""
    wait_for(lambda: "watching" in service.log() and "start  " in service.log(), what="the start")


def told(service: Watched, pattern: str) -> bool:
    """A line of the log is like this."""
    return re.search(rf"^{pattern}", service.log(), re.MULTILINE) is not None


@pytest.mark.slow
def test_a_save_is_live_and_one_that_is_broken_is_not(tmp_path: Path) -> None:
    with Watched(tmp_path, "good", settings={"name": "shop"}) as service:
        ready(service)
        assert service.status()["name"] == "shop-dev", "the service of this folder may run beside"
        with service.asked(*ASKING) as client:
            service.write("good", "2")
            wait_for(service.serving_version, until="2".__eq__, what="version 2")
            wait_for(lambda: told(service, r"\w+\.py, \w+\.py  fork.*  import "), what="the line of the save")

            good = (service.folder / "app.py").read_text()
            service.save("app.py", good + "\nx = (\n")
            wait_for(lambda: "your save is not live" in service.log(), what="the error")
            assert re.search(r"app.py  kept.*\n  import: SyntaxError: .*\n  app.py:\d+:5\n", service.log())
            assert "is still serving, your save is not live" in service.log()
            assert service.serving_version() == "2"

            service.save("app.py", "import no_such_thing\n" + good)
            wait_for(lambda: "ModuleNotFoundError: No module named 'no_such_thing'" in service.log())
            service.save("app.py", "while True: pass\n" + good)
            wait_for(lambda: service.status()["update"], what="a version that is imported for ever")
            service.write("good", "3")
            wait_for(service.serving_version, until="3".__eq__, what="version 3, in the place of the one that hangs")
        assert client.report.failed == 0, client.report.summary() + service.log()
        began_s = time.monotonic()
        service.supervisor.send(signal.SIGINT)
        assert service.wait_ended() == 0
        assert time.monotonic() - began_s < 2.0, "one Ctrl-C, and it is over"


@pytest.mark.slow
def test_steps_come_before_the_update_and_a_failing_one_keeps_the_version(tmp_path: Path) -> None:
    settings: dict[str, Setting] = {
        "build": {
            "pre": "echo pre >> ../steps",
            "build": "cp app.src app.py && echo build >> ../steps",
            "check": f"{sys.executable} -m py_compile app.py && echo check >> ../steps",
            "post": "echo post >> ../steps",
        }
    }
    steps = tmp_path / "steps"
    with Watched(tmp_path, "good", settings=settings, ready_path="") as service:
        # Its first build fails: there is nothing to copy yet. The service is there all the same.
        wait_for(lambda: "build | cp: " in service.log(), what="the first build's failure")
        source = (service.folder / "app.py").read_text()
        service.save("app.src", source)
        wait_for(lambda: steps.read_text().split()[-1] == "post", what="the first version")
        assert service.serving_version() == "1"
        service.save("app.src", "x = (\n")
        wait_for(lambda: "  check: " in service.log(), what="what failed, and that it is not live")
        assert service.serving_version() == "1"
        service.save("app.src", source.replace('VERSION = "1"', 'VERSION = "2"'))
        wait_for(service.serving_version, until="2".__eq__)
        line = r"app.src.*  fork.*  pre [\d.]+ m?s  build [\d.]+ m?s  check [\d.]+ m?s  import "
        wait_for(lambda: len(re.findall(line, service.log())), until=lambda count: count == 2, what="the lines of both")
        wait_for(lambda: steps.read_text().split().count("post"), until=lambda count: count == 2)
        figures = wait_for(
            lambda: service.figures().dev,
            until=lambda dev: dev is not None and sum(dev.builds["post"].buckets) == 2,
            what="two whole rounds",
        )
        assert figures is not None
        assert figures.failures == {"pre": 0, "build": 1, "check": 1, "post": 0}
        assert [sum(figures.builds[step].buckets) for step in STEPS] == [4, 4, 3, 2]
        assert figures.changes["create"] >= 1
        assert figures.changes["write"] >= 2
        assert figures.watches >= 1

        def unknown() -> set[int]:
            """Processes that are forked for imports and workers, and that the figures say nothing of."""
            hosts = {process.pid for process in service.processes() if "midair.worker.host" in process.command}
            return hosts - {process.pid for process in service.figures().processes}

        wait_for(unknown, until=lambda pids: not pids, what="all processes among the figures")


@pytest.mark.slow
def test_a_newer_save_ends_the_build_that_runs(tmp_path: Path) -> None:
    line = "echo $$ >> ../builds; case $(cat how) in slow) sleep 60;; esac"
    with Watched(tmp_path, "good", settings={"build": {"build": line}}, ready_path="") as service:
        service.save("how", "quick")
        ready(service)
        service.save("how", "slow")
        builds = tmp_path / "builds"
        before = len(builds.read_text().split())
        wait_for(lambda: len(builds.read_text().split()) > before, what="the slow build")
        service.save("how", "quick again")
        wait_for(lambda: told(service, "how  fork"), what="the quick build's update")
        wait_for(lambda: [p for p in service.processes() if "sleep" in p.command], until=lambda left: not left)


@pytest.mark.slow
def test_a_build_that_asks_for_the_update_itself_gets_one(tmp_path: Path) -> None:
    line = f"{sys.executable} -m midair reload"
    with Watched(tmp_path, "good", flags=("--exec", f"test ! -e go || {line}")) as service:
        ready(service)
        service.save("go", "")
        wait_for(lambda: told(service, "go  fork"))
        service.write("good", "2")
        wait_for(service.serving_version, until="2".__eq__)
        wait_for(lambda: told(service, r"\w+\.py, \w+\.py  fork"))
        assert [entry["by"] for entry in _history(service) if entry["by"] == "save"] == []


def _history(service: Watched) -> list[dict[str, str]]:
    receipts = service.midair("history", "--json").data["receipts"]
    assert isinstance(receipts, list)
    return receipts


@pytest.mark.slow
def test_a_build_that_feeds_itself_is_named_and_stopped(tmp_path: Path) -> None:
    line = "date +%s%N > out.js; echo built >> ../builds"
    with Watched(tmp_path, "good", settings={"build": {"build": line}}, ready_path="") as service:
        wait_for(lambda: "out.js changes again each time something is done here" in service.log())
        wait_for(lambda: told(service, r"(start|out\.js)  fork"), what="a version in spite of it")
        builds = (tmp_path / "builds").read_text()
        service.write("good", "2")
        wait_for(service.serving_version, until="2".__eq__, what="a save by hand, which counts all the same")
        wait_for((tmp_path / "builds").read_text, until=lambda now: now != builds)
        # Rounds that feed themselves took some milliseconds each: a second is a hundred of them.
        assert len((tmp_path / "builds").read_text().split()) < 12


@pytest.mark.slow
def test_who_saves_again_and_again_while_a_build_runs_is_served_in_the_end(tmp_path: Path) -> None:
    """Such as a program that writes code: by the third time the file looks like one that the build itself writes."""
    line = "cp source.txt app.py; echo built >> ../builds; sleep 0.3"
    settings = {"build": {"build": line}, "watch": {"ignore": ["*.py"]}}
    with Watched(tmp_path, "good", settings=settings, ready_path="") as service:
        source = (service.folder / "app.py").read_text()
        builds = tmp_path / "builds"
        wait_for(builds.exists, what="a build")
        for number in (2, 3):
            began = builds.read_text()
            service.save("source.txt", f"{source}\nVERSION = '{number}'\n")
            wait_for(builds.read_text, until=began.__ne__, what="the next build")
        service.save("source.txt", f"{source}\nVERSION = '4'\n")
        wait_for(lambda: "source.txt changes again each time" in service.log(), what="the suspicion")
        wait_for(lambda: b'"4"' in service.get("/")[1], what="the last of the saves")


@pytest.mark.slow
def test_changed_paths_reach_an_action_and_no_shell(tmp_path: Path) -> None:
    program = "import json, sys; json.dump([sys.argv[1:], json.load(sys.stdin)], open('../given', 'w'))"
    action = {"on": ["create"], "paths": ["*.txt"], "update": False, "run": [sys.executable, "-c", program]}
    with Watched(tmp_path, "good", settings={"watch.action": [action]}) as service:
        ready(service)
        service.save("$(touch x).txt", "")
        given = tmp_path / "given"
        wait_for(given.exists)
        arguments, document = json.loads(wait_for(given.read_text))
        assert arguments == ["$(touch x).txt"]
        assert document == {"changes": [{"kind": "create", "path": "$(touch x).txt"}]}
        assert not (service.folder / "x").exists()
        assert not told(service, r"\$"), "it was for the action alone"


@pytest.mark.slow
def test_programs_beside_are_started_again_and_ended_with_us(tmp_path: Path) -> None:
    beside = [
        {
            "name": "front",
            "command": ["sh", "-c", "echo $NODE_ENV $PPID; sleep 60"],
            "env": {"NODE_ENV": "development"},
        },
        {"name": "once", "command": ["sh", "-c", "echo done"], "restart": "failure"},
    ]
    with Watched(tmp_path, "good", settings={"dev.process": beside}) as service:
        ready(service)
        wait_for(lambda: f"front | development {service.pid}" in service.log())
        assert service.log().count("once | done") == 1
        front = next(p for p in service.processes() if p.command.startswith("sh -c echo $NODE_ENV"))
        front.kill()
        wait_for(lambda: service.log().count("front | development"), until=lambda times: times == 2)
        assert "front has ended (SIGKILL), and is started again" in service.log()


@pytest.mark.slow
def test_a_change_of_the_configuration_counts_at_once(tmp_path: Path) -> None:
    with Watched(tmp_path, "good") as service:
        ready(service)
        service.configure(build={"check": "echo checked"}, watch={"ignore": ["*.md"]})
        wait_for(lambda: "check | checked" in service.log(), what="the new step, in the round that brings it")
        wait_for(lambda: service.log().count("watching"), until=lambda times: times == 2)
        (service.folder / "midair.toml").write_text("workers = = 2\n")
        wait_for(lambda: "  configuration: " in service.log(), what="what is wrong with it")
        assert service.serving_version() == "1"


@pytest.mark.slow
def test_a_program_is_built_and_handed_over(tmp_path: Path) -> None:
    program = ("{python}", "-c", "exec(open('server.built').read())")
    source = """
import http.server, os, signal, socket, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "18"); self.end_headers()
        self.wfile.write(b'{"version": "VERSION"}')
    def log_message(self, *args): pass
server = http.server.HTTPServer(('', 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
server.serve_forever()
"""
    settings: dict[str, Setting] = {"build": {"build": "cp server.src server.built"}, "watch": {"ignore": ["*.built"]}}
    with Watched(tmp_path, "good", settings=settings, command=program, ready_path="") as service:
        service.save("server.src", source.replace("VERSION", "one"))
        wait_for(lambda: told(service, "(start|server.src)  exec"), STOP_WITHIN_S)
        assert service.serving_version() == "one"
        with service.asked(*ASKING) as client:
            service.save("server.src", source.replace("VERSION", "two"))
            wait_for(service.serving_version, until="two".__eq__)
        assert client.report.failed == 0, client.report.summary() + service.log()
        wait_for(lambda: re.search(r"server.src  exec  build \d+ ms", service.log()))


@pytest.mark.slow
def test_programs_read_events_and_a_save_that_is_held_back_says_so(tmp_path: Path) -> None:
    with Watched(tmp_path, "good", flags=("--log-format", "json")) as service:

        def events(name: str) -> list[dict[str, str]]:
            rows = [json.loads(line) for line in service.log().splitlines() if line.startswith("{")]
            return [row for row in rows if row["event"] == name]

        wait_for(lambda: events("saved"), what="the start")
        service.write("good", "2")
        wait_for(lambda: len(events("saved")), until=lambda saves: saves == 2)
        assert events("saved")[1]["did"] == "fork"
        assert "live_s" in events("saved")[1]
        assert service.midair("hold", "-m", "a demonstration").code == 0
        service.write("good", "3")
        failed = wait_for(lambda: events("save_failed"))
        assert "a demonstration" in failed[0]["error"]
        assert service.serving_version() == "2"


@pytest.mark.slow
def test_what_is_saved_while_nobody_watches_is_served_when_somebody_does_again(tmp_path: Path) -> None:
    with Watched(tmp_path, "good") as service:
        ready(service)
        watcher = next(p for p in service.processes() if "midair.watch.host" in p.command)
        watcher.send(signal.SIGSTOP)
        service.write("good", "2")
        watcher.kill()
        wait_for(service.serving_version, until="2".__eq__)
        assert "the watcher has ended (SIGKILL) and is started again" in service.log()
        wait_for(lambda: service.log().count("watching"), until=lambda times: times == 2)
        service.write("good", "3")
        wait_for(service.serving_version, until="3".__eq__)
