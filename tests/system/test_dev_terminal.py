"""The terminal under midair dev: keys, a debugger that has it for a while, and modes that are put back."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import MARK, clean_environment
from tests.support.waiting import DidNotHappen, wait_for

APP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    name = "one"
    if scope["path"] == "/stop":
        breakpoint()
        name += "!"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": name.encode()})
"""
CRASHES = """
import sys

if sys.orig_argv[3:4] == ["dev"]:
    import midair.dev.loop

    def crash(self, number):
        raise RuntimeError("planted")

    midair.dev.loop.DevLoop.signalled = crash
"""
DEV = (sys.executable, "-m", "midair", "dev", "app:app", "--bind", "127.0.0.1:0")
LINE_MODES = termios.ICANON | termios.ECHO


class Typist:
    """midair dev on a terminal of its own, and somebody in front of it."""

    def __init__(self, tmp: Path, command: tuple[str, ...] = (), **more: str) -> None:
        self.folder = tmp / "shop"
        self.folder.mkdir()
        self.save(APP)
        self._master, slave = pty.openpty()
        self.modes = termios.tcgetattr(slave)
        environment = {"MIDAIR_RUNTIME_DIR": str(tmp / "run"), "MIDAIR_STATE_DIR": str(tmp / "state"), MARK: tmp.name}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *(command or DEV)],
            cwd=self.folder,
            env=clean_environment(**environment, TERM="dumb", NO_COLOR="1", **more),
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        self._slave = slave
        self.seen = ""

    def save(self, text: str) -> None:
        (self.folder / "app.py").write_text(text)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self, pattern: str) -> None:
        """Ctrl-C until this is on the terminal: one that comes between the prompt and its read is taken up at the next key."""
        for _ in range(10):
            self.type("\x03")
            with contextlib.suppress(DidNotHappen):
                self.read(pattern, 2.0)
                return
        self.read(pattern)

    def read(self, pattern: str, within_s: float = 20.0) -> re.Match[str]:
        """What is on the terminal up to this. Raises DidNotHappen."""
        deadline_s = time.monotonic() + within_s
        place = 0
        while (found := re.compile(pattern).search(self.seen, place)) is None:
            if not select.select([self._master], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
                raise DidNotHappen(f"{pattern!r} is not on the terminal:\n{self.seen}")
            self.seen += os.read(self._master, 65536).decode()
        self.seen = self.seen[found.end() :]
        return found

    @property
    def modes_now(self) -> list[object]:
        return list(termios.tcgetattr(self._slave))

    @property
    def types_in_lines(self) -> bool:
        return bool(termios.tcgetattr(self._slave)[3] & LINE_MODES)

    def close(self) -> None:
        # What a shell has started is not told by it: the end of the terminal tells everybody.
        if self.process.poll() is None:
            self.process.terminate()
        os.close(self._master)
        os.close(self._slave)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def typist(tmp: Path, command: tuple[str, ...] = (), **more: str) -> Iterator[Typist]:
    """command: what runs on the terminal, if it is not midair dev. more: variables."""
    one = Typist(tmp, command, **more)
    try:
        yield one
    finally:
        one.close()


@pytest.mark.slow
def test_keys_do_what_the_help_says_and_the_modes_are_put_back(tmp_path: Path) -> None:
    with typist(tmp_path) as one:
        one.read(r"start  fork ")
        assert not one.types_in_lines
        one.type("h")
        one.read(r"r  reload now")
        one.type("p")
        one.read(r"paused")
        one.save(APP.replace("one", "two"))
        one.type("r")
        one.read(r"key r  fork ")
        one.type("p")
        one.read(r"goes on\s+app.py  fork ")
        one.save("x = (\n")
        one.read(r"your save is not live")
        one.type("e")
        one.read(r"SyntaxError.*\n")
        before_s = time.monotonic()
        one.type("q")
        one.process.wait(5)
        assert time.monotonic() - before_s < 2.0
        assert one.process.returncode == 0
        assert one.modes_now == one.modes


@pytest.mark.slow
def test_a_debugger_has_the_terminal_while_it_asks_and_what_is_saved_waits(tmp_path: Path) -> None:
    limits = ("--set", "worker.hang_warn=0.5s", "--set", "worker.hang_timeout=1s")
    with typist(tmp_path, (*DEV, *limits)) as one:
        url = one.read(r"http://127\.0\.0\.1:\d+/")[0]
        one.read(r"start  fork ")
        answers: list[bytes] = []
        asking = threading.Thread(
            target=lambda: answers.append(urllib.request.urlopen(f"{url}stop", timeout=30).read())
        )
        asking.start()
        one.read(r"\(Pdb\) ")
        one.type("p name * 3\n")
        # pdb prints within a bare "except", which swallows an interrupt: not before it asks again.
        one.read(r"'oneoneone'\s+\(Pdb\) ")
        one.interrupt(r"--KeyboardInterrupt--")
        # Much longer than a worker may stand still that nobody looks at.
        one.type("import time; time.sleep(2.5); print('sl' + 'ept')\n")
        one.read(r"slept")
        one.type("next\n")
        one.read(r"-> await send")
        one.save(APP.replace('name += "!"', 'name += "?"'))
        one.read(r"app.py waits until the debugger goes on")
        one.type("name = 'changed'\n")
        one.read(r"\(Pdb\) ")
        one.type("continue\n")
        asking.join(10)
        assert answers == [b"changed"]
        one.read(r"app.py  fork ")
        wait_for(lambda: not one.types_in_lines, what="keys again")
        one.type("\x03")
        assert one.process.wait(5) == 0
        assert one.modes_now == one.modes


@pytest.mark.slow
def test_a_worker_that_dies_with_the_terminal_gives_it_back(tmp_path: Path) -> None:
    with typist(tmp_path) as one:
        url = one.read(r"http://127\.0\.0\.1:\d+/")[0]
        one.read(r"start  fork ")

        def ask() -> None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}stop", timeout=30)

        asking = threading.Thread(target=ask)
        asking.start()
        one.read(r"\(Pdb\) ")
        one.type("import os; os.kill(os.getpid(), 9)\n")
        asking.join(10)
        wait_for(lambda: not one.types_in_lines, what="keys again")
        one.type("h")
        one.read(r"r  reload now")


@pytest.mark.slow
def test_a_debugger_has_the_terminal_although_our_own_streams_are_files(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with typist(tmp_path, ("sh", "-c", f"exec {' '.join(DEV)} < /dev/null > {log} 2>&1")) as one:
        found = wait_for(lambda: log.exists() and re.search(r"http://\S+", log.read_text()), what="the address")
        assert found
        wait_for(lambda: "start  fork" in log.read_text())
        answers: list[bytes] = []
        asking = threading.Thread(
            target=lambda: answers.append(urllib.request.urlopen(f"{found[0]}stop", timeout=30).read())
        )
        asking.start()
        one.read(r"\(Pdb\) ")
        one.type("continue\n")
        asking.join(10)
        assert answers == [b"one!"]


@pytest.mark.slow
def test_the_modes_are_put_back_when_midair_crashes(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASHES)
    with typist(tmp_path, PYTHONPATH=str(tmp_path)) as one:
        one.read(r"start  fork ")
        assert not one.types_in_lines
        one.process.send_signal(signal.SIGCONT)
        one.read(r"RuntimeError: planted")
        assert one.process.wait(10) != 0
        assert one.modes_now == one.modes


@pytest.mark.slow
def test_in_the_background_nothing_is_read_and_in_the_foreground_again_keys_are_there(tmp_path: Path) -> None:
    with typist(tmp_path, ("bash", "--norc", "-i")) as one:
        one.type(" ".join(DEV) + "\n")
        one.read(r"start  fork ")
        one.type("\x1a")
        one.read(r"Stopped")
        one.type("bg\n")
        one.read(r"midair dev app:app[^\n]*&")
        one.type("echo ty''ped\n")
        one.read(r"typed")
        one.save(APP.replace("one", "two"))
        one.read(r"app.py  fork ")
        one.type("fg\n")
        one.read(r"midair dev")
        wait_for(lambda: not one.types_in_lines, what="keys")
        one.type("h")
        one.read(r"r  reload now")
        one.type("q")
        one.read(r"bash[^\n]*[#$] ")
        one.type("exit\n")
        one.process.wait(10)
