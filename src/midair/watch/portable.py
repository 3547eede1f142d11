"""News from the library watchfiles, where there is no inotify: FSEvents on macOS, ReadDirectoryChangesW on Windows.

Both watch a whole tree with one call and at no cost a folder, so what is ignored is left out here, afterwards. The library waits
in a thread of its own. Folders that only hold a watched path (``ANCHOR``) are not watched: all below them would be.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque

import watchfiles

from midair.watch.source import ANCHOR, Event, What
from midair.watch.words import How

STEP_MS = 10
"""How long the library gathers, and how often it wakes up. The quiet that ends a batch is ours to judge."""
BEGUN_MS = 100
"""After so long without news it says so, from which we know that it has begun."""
_KINDS = {
    watchfiles.Change.added: What.MOVED_HERE,  # not CREATED: nobody tells when its writer has closed it
    watchfiles.Change.modified: What.CLOSED,
    watchfiles.Change.deleted: What.REMOVED,
}


class Portable:
    """A ``Source``."""

    how: How = "watchfiles"
    every_s = 0.0

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._folders: dict[str, str] = {}
        """Keys by absolute folder, as the library tells of it: links resolved."""
        self._places: dict[str, str] = {}
        self._waiting: dict[str, tuple[threading.Thread, threading.Event]] = {}
        self._news: deque[tuple[watchfiles.Change, str]] = deque()
        self._is_closed = False

    def fileno(self) -> int:
        return self._read_end

    def watch(self, key: str, absolute: str) -> None:
        if key.startswith(ANCHOR):
            return
        real = os.path.realpath(absolute)
        os.listdir(real)  # Raises what inotify would.
        self._folders[real] = key
        self._places[key] = real
        if not any(_is_below(real, top) for top in self._waiting):
            self._begin(real)

    def _begin(self, top: str) -> None:
        stop, begun = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._wait, args=(top, stop, begun), daemon=True)
        thread.start()
        begun.wait(10)
        self._waiting[top] = (thread, stop)

    def _wait(self, top: str, stop: threading.Event, begun: threading.Event) -> None:
        """In a thread."""
        news = watchfiles.watch(
            top,
            watch_filter=None,
            debounce=STEP_MS,
            step=STEP_MS,
            stop_event=stop,
            rust_timeout=BEGUN_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        with contextlib.suppress(OSError):
            for changes in news:
                begun.set()
                self._news += changes
                if changes:
                    with contextlib.suppress(BlockingIOError):
                        os.write(self._write_end, b".")
        begun.set()

    def forget(self, key: str) -> None:
        real = self._places.pop(key, None)
        if real is not None and self._folders.get(real) == key:
            del self._folders[real]

    def read(self) -> list[Event]:
        with contextlib.suppress(BlockingIOError):
            os.read(self._read_end, 65536)
        found = []
        while self._news:
            found += self._event(*self._news.popleft())
        return found

    def _event(self, change: watchfiles.Change, path: str) -> list[Event]:
        key = self._folders.get(os.path.dirname(path))
        if key is None:
            return [Event(What.FOLDER_GONE, self._folders[path])] if path in self._folders else []
        is_folder = path in self._folders if change is watchfiles.Change.deleted else os.path.isdir(path)
        is_link = os.path.islink(path)
        return [Event(_KINDS[change], key, os.path.basename(path), is_folder and not is_link)]

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for _, stop in self._waiting.values():
            stop.set()
        for thread, _ in self._waiting.values():
            thread.join()
        os.close(self._read_end)
        os.close(self._write_end)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
