"""After an update whose deployer was killed: ``current`` names what serves, so that a restart starts that.

``midair deploy`` does so itself, holding the lock of the release folders. If it is gone and has left its journal, nobody else
would before the next deployment.
"""

from __future__ import annotations

import os

from midair.core.effects import Closed
from midair.errors import Fault
from midair.release.folders import CURRENT, Layout, follow_after_kill
from midair.supervisor.estate import Estate
from midair.supervisor.ledger import Receipt


class Following:
    """Hears how updates end."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    def closed(self, effect: Closed, receipt: Receipt) -> None:
        root, name = os.path.split(self._estate.settings.folder.rstrip("/"))
        release = self._estate.releases.get(effect.serving) if effect.serving else None
        if name != CURRENT or release is None:
            return
        home = release.survey.home

        def follow() -> str:
            return follow_after_kill(Layout(root), home)

        def done(outcome: str | Fault) -> None:
            if isinstance(outcome, Fault):
                self._estate.say("current_stayed", {"error": outcome.message})
            elif outcome:
                self._estate.say_update(receipt, "current_followed", release=outcome)

        self._estate.offload.begin("looking at release folders", follow, str, done)
