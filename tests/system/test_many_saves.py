"""Saves follow each other faster than versions can start: the newest one counts, and nothing of the others stays."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path

import pytest

from midair.release.starting import CHECKPOINTS_MAX
from midair.testing.client import Load
from tests.support.developed import Developed
from tests.support.processes import Process
from tests.support.waiting import wait_for

KEPT = ("midair before", "midair spare", "midair packages")


class Saved(Developed):
    """Entered once its first version serves."""

    saves = 0

    def start(self) -> None:
        super().start()
        self.until_alone("1")

    def save(self, app: str, version: str) -> None:
        """Without waiting for what comes of it, only until it is heard: two signals on their way may become one."""
        self.write(app, version)
        self.saves += 1
        self.supervisor.send(signal.SIGHUP)
        wait_for(lambda: self.log_path.read_text().count("signal received") == self.saves, every_s=0.002)

    def until_alone(self, version: str) -> None:
        """Nothing is under way, this version serves, and nobody of an earlier one is left."""

        def seen() -> tuple[str, bytes, list[str]]:
            status = self.status()
            return status["state"], self.get("/")[1], [found["role"] for found in status["generations"]]

        def is_alone(now: tuple[str, bytes, list[str]]) -> bool:
            state, body, roles = now
            return (state, roles) == ("serving", ["serving"]) and f'"version": "{version}"'.encode() in body

        wait_for(seen, until=is_alone, what=f"version {version} alone")

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    @property
    def zygotes(self) -> list[Process]:
        return [process for process in self.processes() if process.name.startswith("midair z")]


@pytest.mark.parametrize("app", ["import_spins", "import_hangs"])
def test_a_save_ends_an_import_that_never_ends(tmp_path: Path, app: str) -> None:
    with Saved(tmp_path, "good") as service:
        serving = service.zygotes
        service.save(app, "2")
        wait_for(lambda: [each for each in service.zygotes if each not in serving])
        service.save("good", "3")
        # By its name: the process that was seen first may be a checkpoint by now, and another one hang.
        hanging = "midair z2"
        wait_for(lambda: hanging not in [each.name for each in service.zygotes], what="its end", every_s=0.002)
        service.until_alone("3")


def test_fifty_saves_in_a_row_leave_the_last_version_and_nothing_else(tmp_path: Path) -> None:
    with Saved(tmp_path, "good") as service, service.asked(Load(connections=4, think_s=0.01)) as client:

        def settled() -> tuple[int, int]:
            # Of what is kept for the next import, within its bound, the supervisor has the link and both outputs.
            kept = [process for process in service.processes() if process.name in KEPT]
            assert len(kept) <= CHECKPOINTS_MAX + 2
            # A version's zygote has become its worker, or stays beside it if its import took longer.
            kept += service.zygotes[:1]
            return len(service.processes()) - len(kept), len(service.supervisor.descriptors) - 3 * len(kept)

        before = settled()
        for number in range(2, 52):
            service.save("good", str(number))
        service.until_alone("51")
        wait_for(settled, until=lambda now: now <= before, what=f"no more than {before} (processes, descriptors)")
        assert client.report.failed == 0, client.report.summary()


def test_streams_of_the_last_saves_do_not_pile_up(tmp_path: Path) -> None:
    """What cannot move has 2 s, and less if there are more than three versions before the one that serves."""
    with Saved(tmp_path, "good") as service, contextlib.ExitStack() as streams:
        for number in range(2, 6):
            stream = socket.create_connection(service.address, timeout=5)
            streams.enter_context(stream).sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stream.recv(1000).startswith(b"HTTP/1.1 200")
            service.update(str(number))
            retiring = [found for found in service.status()["generations"] if found["role"] == "retiring"]
            assert len(retiring) <= 4  # One may just have been told to hurry.
        service.until_alone("5")
