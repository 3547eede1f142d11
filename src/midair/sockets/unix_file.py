"""The file of a Unix socket: made with its mode and owner, replaced when stale, never taken from a living service.

A socket file stays behind when its owner was killed. It is stale if a connect is refused. Two services that start at
once could both find it stale and the second would remove the first one's new file, so looking, removing, binding and
listening happen under a lock on the folder (on the folder itself: no lock file is left about).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from midair.errors import ConfigError, WorldError

LOCK_WAIT_S = 1.0
"""Another start holds the folder's lock for about a millisecond; whoever holds it longer is not one, and is ignored."""


class PathInUse(WorldError):
    """Something listens on that Unix socket, or the path is not a socket."""

    code = "path-in-use"

    def __init__(self, path: str, reason: str, hint: str) -> None:
        super().__init__(f"unix:{path} {reason}", hint=hint)
        self.path = path


class FolderMissing(WorldError):
    """The folder of a Unix socket is not there, or we may not write in it."""

    code = "socket-folder"

    def __init__(self, path: str, reason: str) -> None:
        folder = os.path.dirname(path) or "."
        super().__init__(
            f"unix:{path} cannot be made: {reason}",
            hint=f"make the folder and give it to this user (mkdir -p {folder}; systemd: RuntimeDirectory=)",
        )
        self.path = path


class OwnerRefused(WorldError):
    """The socket file cannot be given to that owner."""

    code = "socket-owner"
    hint = "only root gives files away; a user may give a file to a group that it is in"


class UnknownOwner(ConfigError):
    """``socket_owner`` names nobody."""

    code = "unknown-owner"
    hint = "write user, user:group or :group, by name or number"


def find_owner(owner: str) -> tuple[int, int]:
    """User and group number of ``user``, ``user:group`` or ``:group``; -1 leaves one as it is. Raises UnknownOwner."""
    import grp  # with pwd, not on every system where midair can be imported
    import pwd

    user, _, group = owner.partition(":")
    try:
        uid = -1 if not user else int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        gid = -1 if not group else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError as exc:
        raise UnknownOwner(f"socket_owner {owner!r}: no such user or group") from exc
    return uid, gid


def listen_on_path(path: str, mode: int, owner: str, backlog: int) -> tuple[socket.socket, tuple[int, int]]:
    """A listening socket at ``path``, and the device and inode of its file.

    mode: permission bits; whoever connects needs to write. Raises PathInUse, FolderMissing, OwnerRefused, UnknownOwner.
    """
    uid, gid = find_owner(owner)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _folder_lock(os.path.dirname(path) or "."):
            _remove_stale(path)
            _bind(listening, path)
            try:
                _hand_over(path, mode, uid, gid, owner)
                # Still under the lock: a bound socket that does not listen yet looks stale.
                listening.listen(backlog)
                made = os.lstat(path)
            except BaseException:
                os.unlink(path)
                raise
    except BaseException:
        listening.close()
        raise
    return listening, (made.st_dev, made.st_ino)


def give_file(path: str, mode: int, owner: str) -> None:
    """Set mode and owner of the file of a socket that listens already. Raises OwnerRefused, UnknownOwner."""
    uid, gid = find_owner(owner)
    _hand_over(path, mode, uid, gid, owner)


def _remove_stale(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise FolderMissing(path, exc.strerror or str(exc)) from exc
    if not stat.S_ISSOCK(found.st_mode):
        raise PathInUse(path, "is a file, not a socket; it was left alone", "remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        refused = probe.connect_ex(path)
    if refused not in (errno.ECONNREFUSED, errno.ENOENT):
        # 0: accepted. EAGAIN: its queue is full. EPROTOTYPE: a datagram socket lives there. EACCES: not ours to judge.
        why = "is in use: something listens there" if refused in (0, errno.EAGAIN) else _cannot_tell(refused)
        raise PathInUse(path, why, f"see who: ss -lxp | grep {path}; if it is this service: midair reload")
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as exc:
        raise FolderMissing(path, f"the stale socket there cannot be removed: {exc.strerror}") from exc


def _cannot_tell(code: int) -> str:
    return f"is there and it cannot be told whether something listens: {os.strerror(code)}; it was left alone"


def _bind(listening: socket.socket, path: str) -> None:
    # Nobody may connect before mode and owner are right: the file begins with no permission for others.
    before = os.umask(0o177)
    try:
        listening.bind(path)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise PathInUse(path, "was taken a moment ago", "start again") from exc
        raise FolderMissing(path, exc.strerror or str(exc)) from exc
    finally:
        os.umask(before)


def _hand_over(path: str, mode: int, uid: int, gid: int, owner: str) -> None:
    try:
        if (uid, gid) != (-1, -1):
            os.chown(path, uid, gid, follow_symlinks=False)
        os.chmod(path, mode)
    except OSError as exc:
        raise OwnerRefused(f"unix:{path} cannot be given to {owner or oct(mode)}: {exc.strerror}") from exc


@contextmanager
def _folder_lock(folder: str) -> Iterator[None]:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        # Missing: the bind says so better. Not readable: no lock, only the race of two starts in one moment is left.
        yield
        return
    try:
        _lock_within(fd, LOCK_WAIT_S)
        yield
    finally:
        os.close(fd)  # and with it the lock


def _lock_within(fd: int, wait_s: float) -> None:
    import fcntl  # as above

    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                return
            time.sleep(0.005)  # start-up only: the loop does not run yet
        else:
            return
