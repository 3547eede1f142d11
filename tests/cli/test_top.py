"""midair top on a real terminal, beside a service that says what the test tells it to."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from midair.__main__ import main
from midair.control import words
from midair.control.words import AnyAnswer, Request
from midair.errors import DONE, USAGE, Fault
from tests.cli import reports
from tests.cli.fake_service import FakeService
from tests.support.service import clean_environment
from tests.support.waiting import DidNotHappen, wait_for

WITHIN_S = 20.0
SEQUENCE = re.compile(r"\x1b\[[0-9?;]*[A-Za-z]")
TOP = (sys.executable, "-m", "midair", "top", "--interval", "100ms")
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Story:
    """A service whose reports go on by themselves, and that takes what it is asked for."""

    def __init__(self, *answers: AnyAnswer) -> None:
        self._answers = answers or (words.Accepted(update=9),)
        self.looks = 0
        self.asked: list[Request] = []
        self.ended: tuple[words.ReceiptLine, ...] = ()

    def __call__(self, request: Request) -> Sequence[AnyAnswer]:
        if isinstance(request, words.Status):
            self.looks += 1
            report = reports.draining(self.looks / 10)
            return [msgspec.structs.replace(report, last=(*self.ended, *report.last))]
        self.asked.append(request)
        return self._answers


class Looker:
    """midair top on a terminal of its own, and somebody in front of it."""

    def __init__(
        self,
        service: FakeService,
        *flags: str,
        width: int = 80,
        height: int = 24,
        command: tuple[str, ...] = (),
        **more: str,
    ) -> None:
        """command: what runs on the terminal, if it is not midair top. more: variables."""
        self._master, self._slave = pty.openpty()
        self.resize(width, height)
        self.modes = termios.tcgetattr(self._slave)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *(command or (*TOP, *flags))],
            cwd=service.folder,
            env=clean_environment(**{"TERM": "xterm", "NO_COLOR": "1", **more}),
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
        )
        self.seen = ""

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def read(self, until: Callable[[str], bool], what: str) -> str:
        """The picture for which it holds."""
        deadline_s = time.monotonic() + WITHIN_S
        while not until(self.picture):
            if not select.select([self._master], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
                raise DidNotHappen(f"{what} is not on the terminal:\n{self.picture}")
            try:
                self.seen += os.read(self._master, 65536).decode()
            except OSError as exc:
                raise DidNotHappen(f"{what} never came:\n{self.seen}") from exc
        return self.picture

    def shows(self, text: str) -> str:
        return self.read(lambda picture: text in picture, repr(text))

    @property
    def picture(self) -> str:
        """The latest whole one."""
        pictures = self.seen.split("\x1b[H")
        whole = [each for each in pictures if each.rstrip().endswith("\x1b[J") or "\x1b[J" in each]
        return SEQUENCE.sub("", whole[-1]).replace("\r", "") if whole else ""

    def ended(self) -> int:
        """Its exit code, once it has ended and all that it wrote was read."""
        wait_for(self._has_ended, WITHIN_S, what="the end of midair top")
        self.read_on()
        return self.process.wait()

    def _has_ended(self) -> bool:
        self.read_on()  # What it writes at its end has to go somewhere.
        return self.process.poll() is not None

    def read_on(self) -> str:
        """All that was written so far."""
        while select.select([self._master], [], [], 0)[0]:
            self.seen += os.read(self._master, 65536).decode()
        return self.seen

    @property
    def modes_now(self) -> list[object]:
        return list(termios.tcgetattr(self._slave))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@contextlib.contextmanager
def looking(
    service: FakeService,
    *flags: str,
    width: int = 80,
    height: int = 24,
    command: tuple[str, ...] = (),
    **more: str,
) -> Iterator[Looker]:
    one = Looker(service, *flags, width=width, height=height, command=command, **more)
    try:
        yield one
    finally:
        one.close()


def assert_left_as_found(one: Looker) -> None:
    assert one.modes_now == one.modes
    assert one.seen.count(ENTER) == one.seen.count(LEAVE) == 1
    assert one.seen.rstrip().endswith(LEAVE)


def test_it_shows_what_goes_on_follows_the_terminals_size_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    with FakeService(tmp_path, Story()) as service, looking(service) as one:
        picture = one.shows("REQ/S")
        assert picture.splitlines()[-1].startswith("r reload   R rollback")
        assert len(picture.splitlines()) == 24
        one.read(lambda picture: re.search(r"g8 .* 4\d\d ", picture) is not None, "a rate")
        one.resize(120, 40)
        one.read(lambda picture: len(picture.splitlines()) == 40 and "IDLE" in picture, "40 lines, all columns")
        one.type("h")
        one.shows("as midair rollback does")
        one.type("q")
        assert one.ended() == DONE
        assert_left_as_found(one)
        assert "\x1b[3" not in one.seen, "no colour was wished"


def test_an_action_asks_first_and_its_outcome_is_told(tmp_path: Path) -> None:
    story = Story()
    with FakeService(tmp_path, story) as service, looking(service, width=120) as one:
        one.shows("g8")
        one.type("R")
        one.shows("go back to the version before? y: do it")
        assert not story.asked
        one.type("n")
        one.shows("nothing was done")
        one.type("r")
        one.shows("update to what is on disk? y: do it")
        one.type("y")
        one.shows("update 9 has begun")
        assert story.asked == [words.Reload(wait="none", reason="midair top")]
        story.ended = (words.ReceiptLine(number=9, time_s=0, result="refused", fault="no such module\nmore"),)
        one.shows("update 9: refused: no such module")
        one.type("dy")
        wait_for(lambda: len(story.asked) == 2, WITHIN_S)
        assert isinstance(story.asked[1], words.Drain)
        one.type("\x1b[A")
        one.type("q")
        assert one.ended() == DONE


def test_who_may_look_and_not_act_is_told_so(tmp_path: Path) -> None:
    refused = words.Refused(fault=Fault("not-allowed", "uid 7 may not drain", "ask as root"))
    with FakeService(tmp_path, Story(refused)) as service, looking(service, width=120) as one:
        one.shows("g8")
        one.type("dy")
        one.shows("not done: uid 7 may not drain (ask as root)")
        one.type("q")
        assert one.ended() == DONE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_whatever_ends_it_the_terminal_is_put_back(tmp_path: Path, number: int) -> None:
    with FakeService(tmp_path, Story()) as service, looking(service) as one:
        one.shows("g8")
        one.process.send_signal(number)
        one.ended()
        assert_left_as_found(one)
        assert "Traceback" not in one.seen


def test_a_mistake_of_ours_puts_the_terminal_back_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if sys.orig_argv[3:4] == ['top']:\n"
        "    import midair.cli.topscreen as planted\n"
        "    planted.screen = lambda *_: 1 / 0\n"
    )
    with FakeService(tmp_path, Story()) as service, looking(service, PYTHONPATH=str(tmp_path)) as one:
        assert one.ended() == 3
        assert one.modes_now == one.modes
        assert one.seen.index(LEAVE) < one.seen.index("unexpected ZeroDivisionError")


def test_stopped_by_its_shell_it_gives_the_terminal_back_and_takes_it_again(tmp_path: Path) -> None:
    bash = ("bash", "--norc", "-i")
    with FakeService(tmp_path, Story()) as service, looking(service, command=bash) as one:
        one.type(" ".join(TOP) + "\n")
        one.shows("g8")
        one.type("\x1a")
        wait_for(lambda: "Stopped" in one.read_on(), WITHIN_S, what="the shell")
        assert LEAVE in one.seen
        one.seen = ""
        one.type("echo ty''ped\n")
        wait_for(lambda: "typed" in one.read_on(), WITHIN_S, what="an ordinary line")
        one.type("fg\n")
        one.shows("g8")
        assert ENTER in one.seen
        one.seen = ""
        one.type("q")
        wait_for(lambda: LEAVE in one.read_on(), WITHIN_S, what="the shell")
        one.type("exit\n")
        one.ended()


def test_a_service_that_goes_is_told_and_one_that_comes_back_too(tmp_path: Path) -> None:
    story = Story()
    with FakeService(tmp_path, story) as service, looking(service, width=120) as one:
        one.shows("g8")
        os.rename(service.runtime, tmp_path / "away")
        one.shows("the service does not run since")
        os.rename(tmp_path / "away", service.runtime)
        one.shows("the supervisor is there again (midair 0.1.0); the service ran on")
        one.type("q")
        assert one.ended() == DONE


# --- for scripts ---------------------------------------------------------------------------------------------------


def test_once_prints_one_screen_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeService(tmp_path, Story()) as service:
        assert main(["top", "--once", "--interval", "100ms", "-C", str(service.folder)]) == DONE
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "g8   1.9" in out
    assert "r reload" not in out
    assert service.requests == [words.Status(look=False, events=60)] * 2


def test_once_as_json_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeService(tmp_path, Story()) as service:
        assert main(["top", "--once", "--json", "--interval", "100ms", "-C", str(service.folder)]) == DONE
    assert json.loads(capsys.readouterr().out)["generations"][1]["requests_per_s"] == 400.0


def test_without_a_terminal_it_says_what_to_type_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeService(tmp_path, Story()) as service:
        assert main(["top", "-C", str(service.folder)]) == USAGE
    assert "--once prints one screen" in capsys.readouterr().err
