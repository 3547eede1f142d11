"""The watcher child, as the supervisor has it: a process at the other end of a link. For tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from midair.config.schema import Watch
from midair.sockets import passing
from midair.watch import words
from midair.watch.words import Change
from tests.support.processes import Process
from tests.support.waiting import DidNotHappen, is_readable

Told = tuple[str, ...]
"""A change as tests compare it: ``("write", "app.py")``, ``("move", "b.py", "a.py")``."""


class WatcherChild:
    """Started and told what to watch; what it says is read with ``hear``."""

    def __init__(self, start: words.Begin) -> None:
        self.channel, theirs = passing.pair()
        with theirs:
            argv = [sys.executable, "-m", "midair.watch.host", str(theirs.fileno())]
            self._popen = subprocess.Popen(argv, pass_fds=[theirs.fileno()])
        self.process = Process(self._popen.pid)
        self.tell(start)
        self.troubles: list[words.Trouble] = []

    def tell(self, word: words.ToWatcher) -> None:
        passing.send(self.channel, words.encode(word))

    def hear(self, within_s: float = 20.0) -> words.FromWatcher | None:
        """The next word; None: nothing was said within that time."""
        message = self._message(within_s)
        if message is None:
            return None
        message.close()
        return words.decode_from_watcher(message.data)

    def ready(self) -> words.Ready:
        """Wait until it watches. Troubles on the way are kept."""
        while True:
            word = self._must_hear(20.0)
            if isinstance(word, words.Ready):
                return word
            assert isinstance(word, words.Trouble), word
            self.troubles.append(word)

    def batch(self, within_s: float = 20.0) -> list[Told]:
        """The next whole batch. Troubles on the way are kept."""
        return [told(change) for change in self.changes(within_s)]

    def changes(self, within_s: float = 20.0) -> list[Change]:
        found: list[Change] = []
        while True:
            word = self._must_hear(within_s)
            if isinstance(word, words.Trouble):
                self.troubles.append(word)
                continue
            assert isinstance(word, words.Changes), word
            found += word.changes
            if word.is_last:
                return found

    def digests(self) -> dict[str, tuple[int, int, int, int, bytes]]:
        self.tell(words.TellDigests())
        message = self._message(20.0)
        assert message is not None
        try:
            word = words.decode_from_watcher(message.data)
            assert isinstance(word, words.Digests), word
            found = words.read_digests(message.fds[0])
            assert word.count == len(found)
            return found
        finally:
            message.close()

    @property
    def watched(self) -> int:
        """Watches that the kernel holds for it."""
        lines = 0
        for fd, what in self.process.descriptors.items():
            if what == "anon_inode:inotify":
                lines += Path(f"/proc/{self.process.pid}/fdinfo/{fd}").read_text().count("inotify wd:")
        return lines

    def end(self) -> int:
        """Close the link; the exit status."""
        self.channel.close()
        return self._popen.wait(5)

    def _must_hear(self, within_s: float) -> words.FromWatcher:
        word = self.hear(within_s)
        if word is None:
            raise DidNotHappen(f"the watcher said nothing within {within_s} s")
        return word

    def _message(self, within_s: float) -> passing.Message | None:
        deadline_s = time.monotonic() + within_s
        while is_readable(self.channel, max(0.0, deadline_s - time.monotonic())):
            try:
                message = passing.receive(self.channel)
            except BlockingIOError:
                continue
            assert message is not None, f"the watcher ended with {self._popen.wait(5)}"
            return message
        return None


def told(change: Change) -> Told:
    return (change.kind, change.path, change.before) if change.before else (change.kind, change.path)


@contextmanager
def watching(
    folder: Path,
    watch: Watch = Watch(),  # noqa: B008 - immutable
    *,
    ignore: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
    wants_chmod: bool = False,
) -> Iterator[WatcherChild]:
    """A child that watches ``folder`` and is ready; the rest as in ``words.Begin``."""
    start = words.Begin(folder=os.fspath(folder), watch=watch, ignore=ignore, files=files, wants_chmod=wants_chmod)
    child = WatcherChild(start)
    try:
        child.ready()
        yield child
    finally:
        assert child.end() == 0
