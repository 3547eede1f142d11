"""Watches connections move: how many have, by the workers' own counters, many times a second."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Self

from midair.config.client import load_client
from midair.control import client
from midair.control.words import FiguresReport, Metrics
from tests.support.waiting import wait_for

EVERY_S = 0.02
STILL_S = 0.3
"""Nothing has moved for so long: it is over."""


@dataclass(frozen=True, slots=True)
class Look:
    """So many had moved at some moment between asking and being answered (monotonic seconds)."""

    asked_s: float
    answered_s: float
    moved: int


class Moves:
    """Entered: looks all the while. Left: ``looks`` is whole."""

    def __init__(self, folder: Path) -> None:
        self._address = load_client(folder=str(folder), environ=os.environ)
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, name="moves", daemon=True)
        self._trouble: BaseException | None = None
        self.looks: list[Look] = []

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave.set()
        self._thread.join()
        if self._trouble is not None:
            raise self._trouble
        self._look()

    @property
    def moved(self) -> int:
        """Until now, since it was entered."""
        return self.looks[-1].moved - self.looks[0].moved

    def _run(self) -> None:
        try:
            while not self._leave.wait(EVERY_S):
                self._look()
        except BaseException as error:  # noqa: BLE001 - carried to whoever leaves
            self._trouble = error

    def _look(self) -> None:
        asked_s = monotonic()
        report = client.ask_one(self._address, Metrics(form="figures"), FiguresReport)
        self.looks.append(Look(asked_s, monotonic(), report.snapshot.totals.get("handed_over", 0)))

    def wait(self, moved: int, within_s: float) -> None:
        """Until so many have moved, and no more come. Raises DidNotHappen."""
        wait_for(lambda: self.moved, within_s, until=lambda now: now >= moved, what=f"{moved} connections that move")
        wait_for(self._still_s, within_s, until=lambda still_s: still_s > STILL_S, what="the last of them")

    def _still_s(self) -> float:
        last = self.looks[-1]
        return last.answered_s - next(look.answered_s for look in self.looks if look.moved == last.moved)

    def most_in(self, window_s: float) -> int:
        """The most that moved between two looks that lie wholly in a window of this length: never more than truly moved."""
        most, first = 0, 0
        for look in self.looks:
            while look.answered_s - self.looks[first].asked_s > window_s:
                first += 1
            most = max(most, look.moved - self.looks[first].moved)
        return most

    def seconds(self) -> float:
        """From the first that moved to the last."""
        rises = [
            later for earlier, later in zip(self.looks, self.looks[1:], strict=False) if later.moved > earlier.moved
        ]
        return rises[-1].answered_s - rises[0].asked_s if rises else 0.0
