"""What can be wrong with watching. Each crosses to the supervisor as data; none of them ends the watcher."""

from __future__ import annotations

from midair.errors import WorldError


class WatchLimit(WorldError):
    """The kernel gives this user no more inotify watches. Files are compared from time to time instead."""

    code = "watch-limit"
    hint = "sysctl fs.inotify.max_user_watches=524288 (for good: a line in /etc/sysctl.d/60-inotify.conf)"


class InstanceLimit(WorldError):
    """The kernel gives this user no more inotify instances. Files are compared from time to time instead."""

    code = "watch-instances"
    hint = "sysctl fs.inotify.max_user_instances=1024 (for good: a line in /etc/sysctl.d/60-inotify.conf)"


class FolderUnreadable(WorldError):
    """A folder may not be read. It is not watched; everything else is."""

    code = "watch-unreadable"
    hint = "give the user who runs midair the right to read it, or name it under watch.ignore"


class FolderGone(WorldError):
    """A watched path is not there. It is watched as soon as it is."""

    code = "watch-gone"


class EventsLost(WorldError):
    """Changes came faster than the kernel's queue holds. All files have been compared instead: nothing was missed."""

    code = "watch-lost"
    hint = (
        "if it happens often: sysctl fs.inotify.max_queued_events=65536, or name what writes so much under watch.ignore"
    )


class TooManyFiles(WorldError):
    """There is more to watch than is watched."""

    code = "watch-crowded"
    hint = "name folders of data under watch.ignore, or only those of the code under watch.paths"


class NameUnreadable(WorldError):
    """A name is not UTF-8. It is not watched."""

    code = "watch-name"
    hint = "rename it, or name its folder under watch.ignore"
