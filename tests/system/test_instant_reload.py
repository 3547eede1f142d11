"""``midair dev`` imports what a save has changed and what comes after; what is served is whole, and it says how it was made."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from midair.config.client import ServiceAddress
from midair.control import client
from midair.control import words as control
from midair.testing.client import Load
from tests.support.developed import Developed
from tests.support.processes import Process
from tests.support.waiting import wait_for
from tests.worker.histories import History, model

APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        body = json.dumps(said()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
import json
"""
THREAD = "import threading as t\nt.Thread(target=t.Event().wait, name='mine', daemon=True).start()\n"
KEPT = ("midair before", "midair spare", "midair packages")


class Edited(Developed):
    """A project of several modules."""

    def __init__(self, tmp: Path, seed: int) -> None:
        super().__init__(tmp, "good", chdir="project")
        self.history = History(seed, self.folder / "project", APPLICATION)

    def start(self) -> None:
        super().start()
        wait_for(lambda: self.get("/")[0], until=lambda status: status == 200)

    @property
    def address(self) -> ServiceAddress:
        return ServiceAddress(name="it", folder=str(self.folder), runtime_dirs=(str(self.runtime),))

    def take(self) -> int:
        """What is on the disk; the exit code of a reload. Without a process for each: there are many."""
        return client.follow(self.address, control.Reload(), told=lambda answer: None, timeout_s=20).exit_code

    def told(self) -> object:
        return json.loads(self.get("/")[1])

    def way(self) -> str:
        """How the version that serves was made."""
        status = client.ask_one(self.address, control.Status(), control.StatusReport)
        (serving,) = [found for found in status.generations if found.number == status.serving]
        return f"{serving.mode} {serving.why}"

    @property
    def kept(self) -> list[Process]:
        return [process for process in self.processes() if process.name in KEPT]


def test_what_is_served_after_each_save_is_whole_and_nobody_is_refused(tmp_path: Path) -> None:
    with Edited(tmp_path, seed=18) as service, service.asked(Load(rate_per_s=50, expect="any")) as clients:
        good, ways = model(service.history.modules), []
        for _ in range(20):
            done = service.history.save()
            expected = model(service.history.modules)
            code = service.take()
            assert (code == 0) == (expected is not None), f"{done}\n{service.log()}"
            good = expected if expected is not None else good
            assert service.told() == good, f"{done}, {service.way()}"
            ways.append(service.way())
            assert (
                len(service.kept) <= 7
            )  # Four checkpoints, a spare of one, a third-party zygote, and one in the making.
    assert clients.report.failed == 0
    assert any("from a checkpoint" in way for way in ways), ways


def test_who_reads_the_status_sees_from_where_a_version_was_forked_and_why(tmp_path: Path) -> None:
    with Edited(tmp_path, seed=7) as service:
        assert service.way() == "fork from the base"
        main = service.folder / "project" / "app.py"
        for number in range(3):
            main.write_text(f"{main.read_text()}\nNUMBER = {number}\n")
            assert service.take() == 0
        assert service.way() == "fork from a checkpoint before app.py"
        happened = [event["fields"] for event in service.receipt()["events"] if event["event"] == "imported"]
        assert [fields["why"] for fields in happened] == ["from a checkpoint before app.py"]
        (service.folder / "midair.toml").write_text(
            (service.folder / "midair.toml").read_text() + "\n[env]\nNEW = '1'\n"
        )
        assert service.take() == 0
        assert service.way().startswith("fork from the base")
    assert not service.kept


def test_a_thread_at_import_is_named(tmp_path: Path) -> None:
    with Edited(tmp_path, seed=7) as service:
        main = service.folder / "project" / "app.py"
        main.write_text(THREAD + main.read_text())
        assert service.take() == 0
        assert service.way() == "spawn thread 'mine' is running"


def test_what_is_kept_may_be_killed_at_any_time(tmp_path: Path) -> None:
    """The next import goes on from what is left, at last from the base."""
    with Edited(tmp_path, seed=7) as service:
        main = service.folder / "project" / "app.py"
        for number in range(8):
            main.write_text(f"{main.read_text()}\nNUMBER = {number}\n")
            assert service.take() == 0
            for process in service.kept[number % 2 :]:
                process.send(signal.SIGKILL)
            assert service.told() == model(service.history.modules)
        (service.folder / "project" / "app.py").write_text("NUMBER = (")
        assert service.take() == 4
        (base,) = [process for process in service.processes() if process.name == "midair base"]
        base.send(signal.SIGKILL)
        main.write_text("import registry\n" + APPLICATION + "def said(): return 1\n")
        assert service.take() == 0
        assert service.told() == 1


def test_a_spare_ends_with_what_it_was_forked_from(tmp_path: Path) -> None:
    with Edited(tmp_path, seed=7) as service:
        main = service.folder / "project" / "app.py"
        for number in range(2):
            main.write_text(f"{main.read_text()}\nNUMBER = {number}\n")
            assert service.take() == 0
        (spare,) = wait_for(lambda: [each for each in service.kept if each.name == "midair spare"], what="a spare")
        for checkpoint in [each for each in service.kept if each.name == "midair before"]:
            checkpoint.send(signal.SIGKILL)
        wait_for(lambda: not spare.is_alive, what="its end")
        assert service.take() == 0


def test_an_import_that_never_ends_is_ended_by_the_next_save(tmp_path: Path) -> None:
    with Edited(tmp_path, seed=7) as service:
        main = service.folder / "project" / "app.py"
        good = main.read_text()
        main.write_text(good + "\n")
        assert service.take() == 0
        main.write_text(good + "\nwhile True: pass\n")
        client.follow(service.address, control.Reload(wait="none"), told=lambda answer: None, timeout_s=20)
        spinning = wait_for(lambda: [p for p in service.processes() if p.name == "midair z3"], what="an import")
        main.write_text(good + "\n\n")
        assert service.take() == 0
        assert "from a checkpoint before app.py" in service.way()
        wait_for(lambda: [p for p in spinning if p.is_alive], until=lambda alive: not alive)
