"""The watcher child: started, listened to, and started again if it dies. A save must never be missed without a word."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator

import msgspec

from midair.config.schema import Settings
from midair.core import backoff
from midair.dev.children import Children
from midair.dev.plan import CONFIGURATIONS
from midair.errors import Fault, MidairError
from midair.sockets import passing
from midair.watch import words
from midair.watch.actions import wants_chmod
from midair.watch.words import Change

LINK_FD = 3
NAME = "watch"


def what_to_watch(settings: Settings, configuration: str) -> words.Begin:
    """What the child is told to watch. configuration: its file as typed, if it was; relative to the folder."""
    files = (*sorted(CONFIGURATIONS), *([configuration] if configuration else []), *map(_plain, settings.env_files))
    return words.Begin(
        folder=settings.folder,
        watch=settings.watch,
        ignore=tuple(_ours(settings)),
        files=files,
        wants_chmod=wants_chmod(settings.watch),
    )


def _ours(settings: Settings) -> Iterator[str]:
    """Folders that midair writes into itself, where they are inside the project."""
    for path in (settings.runtime_dir, settings.state_dir):
        relative = os.path.relpath(path, settings.folder)
        if not relative.startswith("..") and relative != ".":
            yield f"/{relative}/"


def _plain(env_file: str) -> str:
    """A file that may be missing is written ``-FILE``."""
    return os.path.normpath(env_file.removeprefix("-"))


class Watching:
    """The child and its link."""

    def __init__(
        self,
        children: Children,
        on_ready: Callable[[words.Ready, bool], None],
        on_changes: Callable[[list[Change], float], None],
        on_trouble: Callable[[Fault], None],
    ) -> None:
        """on_ready: also takes whether something may have been missed: nobody watched for a while. on_changes: takes a settled
        batch, and how many seconds it took to settle."""
        self._children = children
        self._on_ready, self._on_changes, self._on_trouble = on_ready, on_changes, on_trouble
        self._begin: words.Begin | None = None
        """What is watched; None: nothing any more."""
        self._link: socket.socket | None = None
        self._parts: list[Change] = []
        self._deaths_s: list[float] = []
        self._has_missed = False

    def start(self, begin: words.Begin) -> None:
        """Watch this, and nothing else."""
        self._begin = begin
        if self._link:
            self._say(begin)
        else:
            self._run()

    def close(self) -> None:
        """It ends at the end of its link."""
        self._begin = None
        self._hang_up()

    def _run(self) -> None:
        assert self._begin is not None
        ours, theirs = passing.pair()
        self._link, self._parts = ours, []
        argv = [sys.executable, "-P", "-m", "midair.watch.host", str(LINK_FD)]
        with theirs:
            child = self._children.make(NAME, lambda child, how: self._exited(ours, how))
            child.start(argv, fds={LINK_FD: theirs.fileno()})
        self._children.estate.loop.on_readable(ours.fileno(), lambda: self._read(ours))
        self._say(self._begin)

    def _say(self, word: words.ToWatcher) -> None:
        assert self._link is not None
        try:
            passing.send(self._link, words.encode(word))
        except OSError:
            self._hang_up()  # It is gone; its exit follows.

    def _read(self, link: socket.socket) -> None:
        while self._link is link:
            try:
                message = passing.receive(link)
                if message is None:
                    break
                message.close()  # Nothing that we ask for is passed this way.
                word = words.decode_from_watcher(message.data)
            except BlockingIOError:
                return
            except (OSError, MidairError, msgspec.MsgspecError):
                break  # A child that says what is no word is treated as gone; its exit tells more.
            self._take(word)
        if self._link is link:
            self._hang_up()

    def _take(self, word: words.FromWatcher) -> None:
        match word:
            case words.Ready():
                has_missed, self._has_missed = self._has_missed, False
                self._on_ready(word, has_missed)
            case words.Changes():
                self._parts += word.changes
                if word.is_last:
                    changes, self._parts = self._parts, []
                    self._on_changes(changes, word.seconds)
            case words.Trouble():
                self._on_trouble(word.fault())
            case words.Digests():
                pass  # Nobody here has asked for them.

    def _hang_up(self) -> None:
        if self._link:
            self._children.estate.loop.forget(self._link.fileno())
            self._link.close()
            self._link = None

    def _exited(self, link: socket.socket, how: str) -> None:
        self._read(link)  # Its last words come before its end.
        if self._begin is None or self._link is not None:
            return
        self._has_missed = True
        now_s = self._children.estate.loop.clock.now_s()
        self._deaths_s, wait_s = backoff.after_death(self._deaths_s, now_s)
        message = f"the watcher has ended ({how}) and is started again" + (f" in {wait_s:g} s" if wait_s else "")
        self._on_trouble(Fault("watcher-ended", message, "what is saved meanwhile is taken up then"))
        self._children.estate.loop.call_later(wait_s, self._run_again)

    def _run_again(self) -> None:
        if self._begin and self._link is None:
            self._run()
