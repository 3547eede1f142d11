"""What midair does, in under a minute: a busy service is updated three times, and somebody counts.

``make demo``, or ``python -m examples.demo``. Exit code 0 means that every client got every answer; 1 that something
failed, which would be a bug in midair.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from midair.testing.client import BackgroundClient, Load

SOURCE = Path(__file__).parent / "fastapi"
CONNECTIONS = 40
THINK_S = 0.1
START_WITHIN_S = 30.0
UPDATE_WITHIN_S = 30.0


@dataclass(frozen=True)
class Version:
    """What is saved, and how its update must end."""

    name: str
    what: str
    changes: tuple[tuple[str, str], ...]
    must_end: int  # exit code of `midair reload`
    must_serve: str


VERSIONS = (
    Version("2", 'a new greeting: "Good afternoon"', (('"Good morning"', '"Good afternoon"'),), 0, "2"),
    Version(
        "3",
        "a mistake: the start-up asks for a price list that is not there",
        (('"Good morning"', '"Good evening"'), ('{"tea": 2.50, "cake": 3.20}', "load_prices()")),
        4,
        "2",
    ),
    Version("4", 'the mistake mended: "Good evening"', (('"Good morning"', '"Good evening"'),), 0, "4"),
)


class Shop:
    """The service of examples/fastapi in a folder of its own, under `midair run` with two workers."""

    def __init__(self, stack: ExitStack) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="midair-demo-")))
        for name in ("app.py", "midair.toml"):
            shutil.copy(SOURCE / name, self.folder)
        self._original = (self.folder / "app.py").read_text()
        (self.folder / "VERSION").write_text("1\n")
        settings = (
            f'runtime_dir = "{self.folder}/run"\nstate_dir = "{self.folder}/state"\nversion_from = "file:VERSION"\n'
        )
        (self.folder / "midair.toml").write_text(settings + (SOURCE / "midair.toml").read_text())
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("MIDAIR_")}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.log = self.folder / "midair.log"
        # The demo makes the socket itself: the port is free for certain, and the first request waits in the kernel.
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(1024)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "midair", "run", "--bind", f"fd://{listener.fileno()}"],
                    cwd=self.folder,
                    env=self.environment,
                    pass_fds=(listener.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        stack.callback(self.stop)

    def answers(self) -> bool:
        """Wait for the first answer; False if the service ended instead, or START_WITHIN_S passed."""
        try:
            # The kernel keeps this connection until a worker accepts it: nothing is polled.
            with urllib.request.urlopen(self.url, timeout=START_WITHIN_S) as response:
                return response.status == 200
        except OSError:
            return False

    def save(self, version: Version) -> None:
        text = self._original.replace('VERSION = "1"', f'VERSION = "{version.name}"')
        for old, new in version.changes:
            assert old in text, f"the example does not say {old}"
            text = text.replace(old, new)
        (self.folder / "VERSION").write_text(f"{version.name}\n")
        (self.folder / "app.py").write_text(text)

    def reload(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "midair", "reload"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Screen:
    """What a person sees: lines that stay, and on a terminal one line below them that counts."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = 100
        self._live: Live | None = None
        self._over = threading.Event()

    def say(self, text: str = "", style: str = "") -> None:
        self.console.print(Text(text, style=style), overflow="ellipsis", no_wrap=True)

    def quote(self, line: str) -> None:
        """A line that a command said. A traceback's lines may be cut; why it was refused and what serves may not."""
        if line.startswith(("error", "hint")):
            self.console.print(Padding(Text(line, style="yellow"), (0, 0, 0, 4)))
        else:
            self.say(f"    {line}", "dim")

    def count(self, client: BackgroundClient, stack: ExitStack) -> None:
        """Keep the running count on the last line until the demo ends. On a pipe nothing runs."""
        if not self.console.is_terminal:
            return
        live = stack.enter_context(Live(console=self.console, refresh_per_second=10, transient=True))

        def show() -> None:
            while not self._over.wait(0.1):
                live.update(running_count(client))

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(self._over.set)


def running_count(client: BackgroundClient) -> Text:
    report = client.report
    serving = next(reversed(dict(report.versions)), "–")
    failed = Text(f"{report.failed} failed", style="bold green" if not report.failed else "bold red")
    return Text.assemble(
        ("  clients: ", "dim"), f"{report.requests:,} requests, ", failed, f", newest version seen: {serving}"
    )


@dataclass(frozen=True)
class Ending:
    """How one update ended."""

    version: Version
    exit_code: int
    took_s: float
    answered_after_s: float | None
    """From the reload to the first answer of the new code; None: it never answered."""
    requests: int
    failed: int

    @property
    def is_right(self) -> bool:
        return self.exit_code == self.version.must_end


def update(shop: Shop, version: Version, client: BackgroundClient, screen: Screen) -> Ending:
    """Save a version, reload, and show what `midair reload` says, as it says it."""
    screen.say()
    screen.say(f"▸ app.py is saved as version {version.name}: {version.what}", "bold")
    screen.say("  $ midair reload", "cyan")
    report = client.report
    requests, failed, asked_at_s, began_s = report.requests, report.failed, report.elapsed_s, time.monotonic()
    shop.save(version)
    with shop.reload() as reload:
        watchdog = threading.Timer(UPDATE_WITHIN_S, reload.kill)
        watchdog.start()
        assert reload.stdout is not None
        for line in reload.stdout:
            screen.quote(line.rstrip())
        watchdog.cancel()
    took_s = time.monotonic() - began_s
    first_s = report.first_seen_s.get(version.name)
    ending = Ending(
        version,
        reload.returncode,
        took_s,
        None if first_s is None else first_s - asked_at_s,
        report.requests - requests,
        report.failed - failed,
    )
    if ending.exit_code == 0:
        screen.say(f"  ✓ committed: version {version.must_serve} serves", "green")
    else:
        screen.say(f"  ✗ refused, exit code {ending.exit_code}: version {version.must_serve} serves on", "yellow")
    style = "green" if not ending.failed else "bold red"
    screen.say(f"    meanwhile {ending.requests:,} requests, {ending.failed} failed", style)
    return ending


def receipt(client: BackgroundClient, endings: list[Ending], screen: Screen) -> bool:
    """Print the books; True if nothing was lost and every update ended as it had to."""
    report = client.stop()
    table = Table(title="receipt", title_justify="left", show_edge=False, pad_edge=False)
    for column in ("update", "ended", "new code answers after", "over after", "requests", "failed"):
        table.add_column(column, justify="left" if column in ("update", "ended") else "right")
    for ending in endings:
        ended = "committed" if ending.exit_code == 0 else f"refused (exit {ending.exit_code})"
        table.add_row(
            f"to version {ending.version.name}",
            ended if ending.is_right else f"exit {ending.exit_code}, which is wrong",
            "never" if ending.answered_after_s is None else f"{ending.answered_after_s:.2f} s",
            f"{ending.took_s:.2f} s",
            f"{ending.requests:,}",
            str(ending.failed),
        )
    screen.say()
    screen.console.print(table)
    seen = ", ".join(f"{version} ({count:,})" for version, count in report.versions.items())
    is_right = (
        not report.failed and all(ending.is_right for ending in endings) and list(report.versions) == ["1", "2", "4"]
    )
    screen.say()
    screen.say(f"requests       {report.requests:,} on {CONNECTIONS} keep-alive connections; no client ever retries")
    screen.say(f"failed         {report.failed}", "bold green" if not report.failed else "bold red")
    screen.say(f"versions seen  {seen}")
    screen.say(
        f"latency        p50 {report.percentile_s(50) * 1e3:.1f} ms, p99 {report.percentile_s(99) * 1e3:.1f} ms; "
        f"longest time without an answer {report.longest_gap_s * 1e3:.0f} ms"
    )
    if not is_right:
        screen.say(report.summary(), "red")
    return is_right


def main() -> int:
    """Run the demo; the process's exit code."""
    screen = Screen()
    screen.say("midair: new code, same connections", "bold")
    screen.say()
    with ExitStack() as stack:
        shop = Shop(stack)
        screen.say(f"$ midair run app:app --bind {shop.url.removeprefix('http://')} --workers 2", "cyan")
        if not shop.answers():
            screen.console.print(f"the service did not start:\n{shop.log.read_text()}", markup=False)
            return 1
        client = stack.enter_context(BackgroundClient(shop.url, Load(connections=CONNECTIONS, think_s=THINK_S)))
        screen.say(f"  version 1 serves; {CONNECTIONS} clients ask it all the time, and each answer is counted")
        screen.count(client, stack)
        endings = [update(shop, version, client, screen) for version in VERSIONS]
        is_right = receipt(client, endings, screen)
        if not is_right:
            screen.console.print(shop.log.read_text(), markup=False)
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
