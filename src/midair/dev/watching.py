"""The watcher child: started, listened to, and started again if it dies. A save must never be missed without a word."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

import msgspec

from midair.core import backoff
from midair.dev.children import start_child
from midair.errors import MidairError
from midair.sockets import passing
from midair.supervisor.estate import Estate
from midair.watch import words

LINK_FD = 3
NAME = "watch"


class Watching:
    """The child and its link."""

    def __init__(
        self,
        estate: Estate,
        on_ready: Callable[[words.Ready], None],
        on_changes: Callable[[words.Changes], None],
        on_trouble: Callable[[str, str], None],
    ) -> None:
        """on_trouble: takes what is wrong, and what to do about it."""
        self._estate = estate
        self._on_ready, self._on_changes, self._on_trouble = on_ready, on_changes, on_trouble
        self._link: socket.socket | None = None
        self._parts: list[words.Changes] = []
        """Of a batch whose last part has not come yet."""
        self._pid = 0
        self._deaths_s: list[float] = []
        self._is_closed = False

    def start(self) -> None:
        estate = self._estate
        ours, theirs = passing.pair()
        argv = [sys.executable, "-P", "-m", "midair.watch.host", str(LINK_FD)]
        try:
            self._pid = start_child(estate, argv, NAME, self._exited, fds={LINK_FD: theirs.fileno()})
        except OSError as exc:
            ours.close()
            how = f"it could not be started: {exc.strerror or exc}"
            estate.loop.call_soon(lambda: self._exited(how))
            return
        finally:
            theirs.close()
        self._link = ours
        passing.send(ours, words.encode(words.Begin(folder=estate.settings.folder, watch=estate.settings.watch)))
        estate.loop.on_readable(ours.fileno(), self._read)

    def _read(self) -> None:
        while self._link:
            try:
                message = passing.receive(self._link)
                if message is None:
                    break
                message.close()  # Nothing is ever passed this way.
                word = words.decode_from_watcher(message.data)
            except BlockingIOError:
                return
            except (OSError, MidairError, msgspec.MsgspecError):
                break  # A child that says what is no word is treated as gone; its exit tells more.
            self._take(word)
        self._hang_up()

    def _take(self, word: words.FromWatcher) -> None:
        match word:
            case words.Ready():
                self._on_ready(word)
            case words.Changes():
                self._parts.append(word)
                if word.is_last:
                    changes = tuple(change for part in self._parts for change in part.changes)
                    self._parts.clear()
                    self._on_changes(msgspec.structs.replace(word, changes=changes))
            case words.Trouble():
                self._on_trouble(word.message, word.hint)
            case words.Digests():
                pass  # Nobody has asked.

    def _hang_up(self) -> None:
        if self._link:
            self._estate.loop.forget(self._link.fileno())
            self._link.close()
            self._link = None

    def _exited(self, how: str) -> None:
        self._pid = 0
        self._hang_up()
        if self._is_closed or self._estate.service.stopping:
            return
        now_s = self._estate.loop.clock.now_s()
        self._deaths_s = [*backoff.recent(self._deaths_s, now_s), now_s]
        wait_s = backoff.delay_s(len(self._deaths_s), 1)
        self._on_trouble(f"the watcher has ended ({how}); it is started again in {wait_s:g} s", "press r after a save")
        self._estate.loop.call_later(wait_s, self._start_again)

    def _start_again(self) -> None:
        if not self._is_closed:
            self.start()

    def close(self) -> None:
        """It ends at the end of its link."""
        self._is_closed = True
        self._hang_up()
