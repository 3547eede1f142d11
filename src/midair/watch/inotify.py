"""The kernel's inotify: a watch a folder, through the C library. Linux only."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Final

from midair.watch import limits
from midair.watch.source import Event, What
from midair.watch.trouble import InstanceLimit, WatchLimit
from midair.watch.words import How

IN_ACCESS: Final = 0x001
IN_MODIFY: Final = 0x002
IN_ATTRIB: Final = 0x004
IN_CLOSE_WRITE: Final = 0x008
IN_OPEN: Final = 0x020
IN_MOVED_FROM: Final = 0x040
IN_MOVED_TO: Final = 0x080
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_DELETE_SELF: Final = 0x400
IN_MOVE_SELF: Final = 0x800
IN_UNMOUNT: Final = 0x2000
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_ONLYDIR: Final = 0x01000000
IN_EXCL_UNLINK: Final = 0x04000000
IN_ISDIR: Final = 0x40000000

MASK: Final = (
    IN_MODIFY
    | IN_ATTRIB
    | IN_CLOSE_WRITE
    | IN_MOVED_FROM
    | IN_MOVED_TO
    | IN_CREATE
    | IN_DELETE
    | IN_DELETE_SELF
    | IN_MOVE_SELF
    | IN_ONLYDIR
    | IN_EXCL_UNLINK
)
"""A file that is open and has no name any more is nobody's news (IN_EXCL_UNLINK)."""

READ_BYTES = 256 * 1024
_HEAD = struct.Struct("iIII")
_KINDS = (
    (IN_CREATE, What.CREATED),
    (IN_MODIFY, What.WRITTEN),
    (IN_CLOSE_WRITE, What.CLOSED),
    (IN_ATTRIB, What.ATTRIBUTES),
    (IN_DELETE, What.REMOVED),
    (IN_MOVED_FROM, What.MOVED_AWAY),
    (IN_MOVED_TO, What.MOVED_HERE),
)


class Kernel:
    """One inotify instance, bare."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._c = ctypes.CDLL(None, use_errno=True)
        self.fd = int(self._c.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if self.fd < 0:
            raise _error("")

    def add(self, path: str, mask: int) -> int:
        """The watch descriptor of the folder at ``path``. Raises OSError."""
        found = int(self._c.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(mask)))
        if found < 0:
            raise _error(path)
        return found

    def remove(self, descriptor: int) -> None:
        """A descriptor that the kernel has given up by itself is no error."""
        self._c.inotify_rm_watch(self.fd, descriptor)

    def read(self) -> list[tuple[int, int, int, str]]:
        """Watch descriptor, mask, cookie and name of each event that waits."""
        found: list[tuple[int, int, int, str]] = []
        while True:
            try:
                data = os.read(self.fd, READ_BYTES)
            except BlockingIOError:
                return found
            place = 0
            while place < len(data):
                descriptor, mask, cookie, length = _HEAD.unpack_from(data, place)
                place += _HEAD.size
                found.append((descriptor, mask, cookie, os.fsdecode(data[place : place + length].rstrip(b"\0"))))
                place += length

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _error(path: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)


class Inotify:
    """A ``Source``."""

    how: How = "inotify"
    every_s = 0.0

    def __init__(self) -> None:
        """Raises InstanceLimit, and OSError where there is no inotify."""
        try:
            self._kernel = Kernel()
        except OSError as exc:
            if exc.errno != errno.EMFILE:
                raise
            raise InstanceLimit(limits.instances_message(), detail=limits.instance_holders()) from exc
        self._descriptors: dict[str, int] = {}
        self._keys: dict[int, list[str]] = {}

    def fileno(self) -> int:
        return self._kernel.fd

    @property
    def count(self) -> int:
        """Watches that are held."""
        return len(self._keys)

    def watch(self, key: str, absolute: str) -> None:
        try:
            descriptor = self._kernel.add(absolute, MASK)
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                raise
            raise WatchLimit(limits.watches_message(len(self._keys)), detail=limits.watch_holders()) from exc
        if self._descriptors.get(key) == descriptor:
            return
        self.forget(key)
        self._descriptors[key] = descriptor
        self._keys.setdefault(descriptor, []).append(key)

    def forget(self, key: str) -> None:
        descriptor = self._descriptors.pop(key, None)
        if descriptor is None:
            return
        keys = self._keys[descriptor]
        keys.remove(key)
        if not keys:
            del self._keys[descriptor]
            self._kernel.remove(descriptor)

    def tells_of(self, folder: str) -> bool:
        """Whether the kernel tells of what happens in ``folder``. Nothing is written there: that it is opened is an event, too.

        The event stands in the queue before ``open`` returns, so nobody waits. Only before the first ``watch``.
        """
        try:
            descriptor = self._kernel.add(folder, IN_OPEN | IN_ONLYDIR)
        except OSError:
            return False
        try:
            os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            return any(each[0] == descriptor for each in self._kernel.read())
        except OSError:
            return False
        finally:
            self._kernel.remove(descriptor)

    def read(self) -> list[Event]:
        return [event for raw in self._kernel.read() for event in self._events(*raw)]

    def _events(self, descriptor: int, mask: int, cookie: int, name: str) -> list[Event]:
        if mask & IN_Q_OVERFLOW:
            return [Event(What.LOST)]
        # Of a folder that was forgotten: events that were in the queue already.
        keys = self._keys.get(descriptor, [])
        if mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF):
            gone = [Event(What.FOLDER_GONE, key) for key in keys]
            if mask & IN_IGNORED:
                # The kernel has taken the watch away; its number may come again.
                for key in self._keys.pop(descriptor, []):
                    del self._descriptors[key]
            return gone
        is_folder = bool(mask & IN_ISDIR)
        return [Event(what, key, name, is_folder, cookie) for bit, what in _KINDS if mask & bit for key in keys]

    def close(self) -> None:
        self._kernel.close()
