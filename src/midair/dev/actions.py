"""``[[watch.action]]``: programs that run when files change.

What changed reaches them as arguments and as JSON on standard input, never in a line that a shell reads: anybody who can make a
file may have chosen its name. One run of an action at a time; what changes meanwhile is for one more run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from midair.config.schema import WatchAction
from midair.dev.children import Child, Children
from midair.errors import Fault
from midair.watch.actions import Due
from midair.watch.words import Change

WAITING_MAX = 10_000
"""Changes that wait for a run that does not end. More are left out, and it is told so."""


class Actions:
    """All actions of the settings."""

    def __init__(self, children: Children, on_trouble: Callable[[Fault], None]) -> None:
        self._children, self._on_trouble = children, on_trouble
        self._running: dict[WatchAction, Child] = {}
        self._waiting: dict[WatchAction, list[Change]] = {}

    @property
    def is_running(self) -> bool:
        return bool(self._running)

    def run(self, due: Sequence[Due]) -> None:
        """Run each, or once more when it has ended."""
        for each in due:
            waiting = self._waiting.setdefault(each.action, [])
            room = max(WAITING_MAX - len(waiting), 0)
            if len(each.changes) > room:
                message = f"the action {each.name} does not end: {len(each.changes) - room} changes are not told to it"
                self._on_trouble(Fault("action-behind", message))
            waiting += each.changes[:room]
            self._next(each.action)

    def _next(self, action: WatchAction) -> None:
        if action in self._running or not self._waiting.get(action):
            return
        due = Due(action, tuple(self._waiting.pop(action)))
        child = self._children.make(due.name, lambda child, how: self._ended(due, child, how))
        self._running[action] = child
        child.start(due.argv(), given=due.standard_input())

    def _ended(self, due: Due, child: Child, how: str) -> None:
        del self._running[due.action]
        if how != "exit 0" and not child.was_ended:
            self._on_trouble(Fault("action-failed", f"the action {due.name} failed: {how}", "see its own lines"))
        self._next(due.action)

    def end(self) -> None:
        self._waiting.clear()
        for child in self._running.values():
            child.end()
