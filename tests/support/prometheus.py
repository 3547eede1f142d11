"""A real Prometheus (Debian's) that scrapes a service, and what it says when it is asked.

with Prometheus(tmp_path, "127.0.0.1:9464") as prometheus:
    prometheus.await_scrape()
    assert prometheus.value("hot_update_success") == 1
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.installed import needs
from tests.support.waiting import wait_for

SCRAPE_EVERY = "250ms"
"""It takes whole numbers only."""
FIRST_SCRAPE_WITHIN_S = 30.0
"""Prometheus 2.42 hands its targets out every 5 s, the first time too."""
STOP_WITHIN_S = 10.0
LISTENS = re.compile(r'msg="Listening on" address=(\S+)')


@dataclass(frozen=True, slots=True)
class Series:
    """One line of an answer: its labels (``__name__`` among them, if it has one) and its values, oldest first."""

    labels: Mapping[str, str]
    values: tuple[float, ...]

    @property
    def value(self) -> float:
        return self.values[-1]


class Listening(ABC):
    """A program of Prometheus' that serves HTTP at a port that the kernel chooses. Entered: it is ready. Left: it has ended.

    Skips the test where it is not installed; with CI=true it fails.
    """

    program = ""

    def __init__(self, folder: Path) -> None:
        needs(self.program)
        self.folder = folder
        self._log = folder / f"{self.program}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    @abstractmethod
    def words(self) -> list[str]:
        """Its arguments, beside the address."""

    def __enter__(self) -> Self:
        words = [self.program, "--web.listen-address=127.0.0.1:0", *self.words()]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            self._await_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._end()

    def _await_ready(self) -> None:
        assert self._process is not None
        is_over = self._process.poll
        wait_for(
            lambda: is_over() is not None or LISTENS.search(self._log.read_text()), what=f"{self.program}'s address"
        )
        found = LISTENS.search(self._log.read_text())
        assert found, self._log.read_text()
        self.address = found[1]
        wait_for(self._is_ready, what=self.program)

    def _end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return self._log.read_text()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False


class Prometheus(Listening):
    """Its first scrape follows within seconds (``await_scrape``)."""

    program = "prometheus"

    def __init__(self, folder: Path, target: str, *, more: str = "", configuration: str = "") -> None:
        """target: HOST:PORT of a service's metrics. more: further lines of its configuration. configuration: in its place."""
        super().__init__(folder)
        needs("promtool")
        self._configuration = folder / "prometheus.yml"
        self._configuration.write_text(
            configuration
            or f"global: {{scrape_interval: {SCRAPE_EVERY}, scrape_timeout: {SCRAPE_EVERY}}}\n"
            f'scrape_configs: [{{job_name: midair, static_configs: [{{targets: ["{target}"]}}]}}]\n{more}'
        )

    def words(self) -> list[str]:
        return [
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            # A target waits twice before its first scrape: 5 s for discovery, which nothing changes, and then for this.
            "--scrape.discovery-reload-interval=100ms",
        ]

    def await_scrape(self) -> None:
        """Until it has scraped the service once."""
        wait_for(lambda: self.value("up"), FIRST_SCRAPE_WITHIN_S, what="a first scrape")

    def ask(self, query: str) -> list[Series]:
        """What it says now; of a range (``x[5m]``) all samples."""
        return self._asked("query", query=query)

    def ask_range(self, query: str, last_s: float, step_s: float) -> list[Series]:
        """What it says of each of these moments up to now: what a plot would show."""
        now_s = time.time()
        return self._asked("query_range", query=query, start=now_s - last_s, end=now_s, step=step_s)

    def _asked(self, path: str, **parameters: str | float) -> list[Series]:
        words = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{words}", timeout=10) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters['query']}: {error.read().decode()}") from error
        data = answer["data"]
        if data["resultType"] == "scalar":
            return [Series({}, (float(data["result"][1]),))]
        return [
            Series(each["metric"], tuple(float(value) for _, value in each.get("values", [each.get("value")])))
            for each in data["result"]
        ]

    def value(self, query: str) -> float:
        """The sum over all series of the answer; 0 without any."""
        return sum(each.value for each in self.ask(query))
