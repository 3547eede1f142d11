"""What is watched: folders, the files known in them, and what became of these since they were last told of.

News of the kernel are hints: they say where to look, and the disk says what is there. So it does not matter how an editor saves
(write in place, write beside and rename, keep a backup), in what order news arrive, or whether some are stale: a file is compared
with what was known of it, and what differs is told, once.

A folder is watched first and read then, so that what is made between the two is seen twice and not never. Each folder is entered
once, real ones before those that only a link leads to. Folders that are ignored are never opened.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from midair.errors import MidairError
from midair.watch import known
from midair.watch.ignore import ENVIRONMENT, GITIGNORE, Rules
from midair.watch.known import Known
from midair.watch.outcome import Looked, changes_of
from midair.watch.source import ANCHOR, Event, Source, What
from midair.watch.trouble import FolderGone, FolderUnreadable, NameUnreadable, TooManyFiles, WatchLimit
from midair.watch.ways import join, names_on_the_way, tidy
from midair.watch.words import Change

FILES_MAX = 100_000
"""Files known at a time: about 40 MB of memory."""
LINKS_MAX = 1000
"""Links that are looked at again whenever one of them changes. More are not followed."""
DIGESTS_MAX_BYTES = 512 * 1024 * 1024
"""Read ahead in all, so that a file that is only touched is known to be the same. What is beyond is told when it is touched."""

_NO_UTF8 = re.compile("[\udc80-\udcff]")
_SAID_MAX = 100

Identity = tuple[int, int]


@dataclass(slots=True)
class Folder:
    path: str
    """As told; empty: the service's folder."""
    absolute: str
    identity: Identity
    files: dict[str, Known] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    """Names of those that have been entered, links too."""
    is_behind_link: bool = False
    """A link is on the way to it."""


class Tree:
    """See above. ``say`` is told of trouble, each only once."""

    def __init__(
        self,
        base: str,
        paths: Iterable[str],
        rules: Rules,
        source: Source,
        say: Callable[[MidairError], None],
        *,
        files: Iterable[str] = (),
    ) -> None:
        """base: the service's folder, absolute. paths: what is watched, relative to it; folders and files. files: more of these,
        which need not be there.
        """
        self._base = base
        self._expected = tuple(dict.fromkeys(tidy(path) for path in paths))
        self._paths = tuple(dict.fromkeys((*self._expected, *(tidy(path) for path in files))))
        self._rules = rules
        self._source = source
        self._say = say
        self._said: set[tuple[str, str]] = set()
        self._folders: dict[str, Folder] = {}
        self._entered: dict[Identity, str] = {}
        self._singles: dict[str, Known | None] = {}
        """Watched files whose folder is not."""
        self._links: dict[str, Identity | None] = {}
        """Links, and the folder that they lead to, if it is one."""
        self._anchors: dict[str, dict[str, set[str]]] = {}
        """By key and name: the paths that must be looked at when something happens to the name."""
        self._anchored: dict[str, tuple[tuple[str, str], ...]] = {}
        """The same by path: key and name of each anchor."""
        self._missing: set[str] = set()
        """Watched folders that have gone. The folder around them may have gone as well, and then nothing tells of their return."""
        self._touched: dict[str, bool] = {}
        """Paths to look at; whether somebody wrote there."""
        self._gone: dict[str, Known] = {}
        """What was known in folders that have been left."""
        self._came_from: dict[str, str] = {}
        self._away: dict[int, str] = {}
        self._unread: deque[str] = deque()
        self._bytes_left = DIGESTS_MAX_BYTES
        self._are_rules_old = False
        self.files_count = 0
        self.limit: WatchLimit | None = None
        """The source has no room for more folders: not all news come."""

    @property
    def folders_count(self) -> int:
        return len(self._folders)

    @property
    def is_touched(self) -> bool:
        return bool(self._touched) or self._are_rules_old

    def absolute(self, path: str) -> str:
        return os.path.join(self._base, path) if path else self._base

    def states(self) -> Iterator[tuple[str, Known]]:
        """Every file by its absolute path, and what is known of it."""
        for folder in self._folders.values():
            for name, file in folder.files.items():
                yield os.path.join(folder.absolute, name), file
        yield from ((self.absolute(path), file) for path, file in self._singles.items() if file)

    # --- the beginning --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take in what is there, without a word of it."""
        for path in self._paths:
            if os.path.isdir(self.absolute(path)):
                self._enter(path, is_new=False)
        for path in self._paths:
            self._anchor(path)
            if path not in self._folders and not self._is_in_folder(path):
                self._singles[path] = known.look(self.absolute(path), now_ns=time.time_ns())
                if self._singles[path] is None and path in self._expected:
                    self._trouble(FolderGone(f"{self.absolute(path)} is not there"))

    def use(self, source: Source) -> None:
        """Go on with another source of news."""
        self._source, self.limit = source, None
        self._anchors.clear()
        self._anchored.clear()
        for folder in self._folders.values():
            self._listen(folder.path, folder.absolute)
        for path in (*self._paths, *self._links):
            self._anchor(path)

    # --- news -----------------------------------------------------------------------------------------------------

    def take(self, event: Event) -> str | None:
        """Take in one piece of news; the path that must be looked at, or None if it is nothing to us."""
        if event.what is What.LOST:
            self.compare()
            return ""
        if event.folder.startswith(ANCHOR):
            return self._take_anchored(event)
        if event.what is What.FOLDER_GONE:
            # Left in any case: the next folder of that name may have got the same inode, and the kernel's watch is gone.
            self._leave(event.folder)
            return self._check_folder(event.folder)
        folder = self._folders.get(event.folder)
        if folder is None:
            return None
        path = join(folder.path, event.name)
        if event.name == GITIGNORE:
            self._are_rules_old = True
        elif self._rules.ignores(
            folder.absolute, event.name, is_folder=event.is_folder or self._leads_to_folder(event, path)
        ):
            return None
        if event.is_folder:
            return self._take_folder(event, path)
        return self._take_file(event, path)

    def _leads_to_folder(self, event: Event, path: str) -> bool:
        """Whether it is a link to a folder: what is said of folders counts for it, too (git says otherwise: a ``node_modules`` that
        is a link is not ignored by ``node_modules/``).
        """
        if path in self._links:
            return self._links[path] is not None
        return event.what in (What.CREATED, What.MOVED_HERE) and os.path.isdir(self.absolute(path))

    def _take_folder(self, event: Event, path: str) -> str | None:
        if event.what in (What.REMOVED, What.MOVED_AWAY):
            self._leave(path)
        elif event.what is not What.ATTRIBUTES or path not in self._folders:
            self._enter(path, is_new=True)
        else:
            return None
        return path

    def _take_file(self, event: Event, path: str) -> str:
        self._touch(path, was_written=event.what is not What.ATTRIBUTES)
        if event.what is What.MOVED_AWAY:
            self._away[event.cookie] = path
        elif event.what is What.MOVED_HERE and event.cookie in self._away:
            self._came_from[path] = self._away.pop(event.cookie)
        if event.what in (What.CREATED, What.MOVED_HERE, What.REMOVED, What.MOVED_AWAY) and (
            path in self._links or os.path.islink(self.absolute(path))
        ):
            self._change_link(path)
        return path

    def _take_anchored(self, event: Event) -> str | None:
        paths = sorted(self._anchors.get(event.folder, {}).get(event.name, ()))
        if not paths:
            return None
        for path in paths:
            if path in self._links:
                self._change_link(path)
                continue
            if path in self._folders or (path in self._paths and os.path.isdir(self.absolute(path))):
                self._check_folder(path)
            else:
                self._touch(path, was_written=True)
                self._anchor(path)
        return paths[0]

    def _touch(self, path: str, *, was_written: bool) -> None:
        self._touched[path] = was_written or self._touched.get(path, False)

    # --- folders --------------------------------------------------------------------------------------------------

    def _enter(self, path: str, *, is_new: bool) -> None:
        """Watch and read the folder and those below it. is_new: what is found there is to be told."""
        waiting, by_link = [path], list[str]()
        while waiting or by_link:
            below, links = self._enter_one(waiting.pop() if waiting else by_link.pop(0), is_new=is_new)
            waiting += below
            by_link += links

    def _enter_one(self, path: str, *, is_new: bool) -> tuple[list[str], list[str]]:
        """The folders to go on with: real ones, and those that a link leads to."""
        absolute = self.absolute(path)
        try:
            identity = _identity(absolute)
            if self._is_entered_elsewhere(identity, path):
                return [], []
            self._listen(path, absolute)
            with os.scandir(absolute) as scan:
                entries = list(scan)
        except PermissionError:
            self._source.forget(path)
            self._trouble(FolderUnreadable(f"{absolute} may not be read"))
            return [], []
        except OSError:
            self._source.forget(path)
            return [], []  # It has gone meanwhile.
        if path not in self._paths and any(entry.name == ENVIRONMENT for entry in entries):
            self._source.forget(path)
            return [], []
        folder = self._folders.get(path)
        if folder is None or folder.identity != identity:
            if folder is not None:
                self._leave(path)  # A folder was renamed over an empty one.
                self._listen(path, absolute)
            self._add_below_parent(path)
            folder = self._folders[path] = Folder(path, absolute, identity, is_behind_link=self._is_behind_link(path))
            self._entered[identity] = path
        return self._read(folder, entries, is_new=is_new)

    def _listen(self, key: str, absolute: str) -> None:
        """Have news of the folder. If there is no room for that, go on without: everything is known, and has to be compared."""
        try:
            self._source.watch(key, absolute)
        except WatchLimit as error:
            self.limit = self.limit or error

    def _add_below_parent(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        if path and parent in self._folders:
            self._folders[parent].folders.add(name)

    def _is_behind_link(self, path: str) -> bool:
        parent = self._folders.get(os.path.dirname(path)) if path not in self._paths else None
        return path in self._links or (parent is not None and parent.is_behind_link)

    def _is_entered_elsewhere(self, identity: Identity, path: str) -> bool:
        """Whether the folder is known under another name that still leads to it, and that is as good as this one."""
        other = self._entered.get(identity)
        if other is None or other == path:
            return False
        try:
            is_better = self._folders[other].is_behind_link and not self._is_behind_link(path)
            if _identity(self.absolute(other)) == identity and not is_better:
                return True
        except OSError:
            pass  # It has been moved, and that news is still to come.
        self._leave(other)
        return False

    def _read(
        self, folder: Folder, entries: Iterable[os.DirEntry[str]], *, is_new: bool
    ) -> tuple[list[str], list[str]]:
        below, links = list[str](), list[str]()
        for entry in entries:
            try:
                is_folder = entry.is_dir()
                if self._is_left_out(folder, entry.name, is_folder):
                    continue
                path = join(folder.path, entry.name)
                if entry.is_symlink() and not self._add_link(path, is_folder):
                    continue
                if is_folder:
                    (links if entry.is_symlink() else below).append(path)
                    if not entry.is_symlink():
                        continue
                if is_new:
                    self._touch(path, was_written=True)
                elif entry.name not in folder.files:
                    self._take_in(folder, entry)
            except OSError:
                continue  # It has gone meanwhile.
        return below, links

    def _is_left_out(self, folder: Folder, name: str, is_folder: bool) -> bool:
        if not name.isascii() and _NO_UTF8.search(name):
            self._trouble(NameUnreadable(f"a name in {folder.absolute} is not UTF-8: {name!a}"))
            return True
        return self._rules.ignores(folder.absolute, name, is_folder=is_folder)

    def _take_in(self, folder: Folder, entry: os.DirEntry[str]) -> None:
        if entry.is_symlink() and entry.is_dir():
            found = known.look(entry.path, now_ns=time.time_ns())
        else:
            status = entry.stat()
            found = known.of_stat(status) if stat.S_ISREG(status.st_mode) else None
            if found:
                self._unread.append(join(folder.path, entry.name))
        if found:
            self._remember(folder, entry.name, found)

    def _remember(self, folder: Folder, name: str, found: Known) -> None:
        if name not in folder.files:
            if self.files_count >= FILES_MAX:
                self._trouble(
                    TooManyFiles(f"there are more than {FILES_MAX} files; the rest is told of when it is written")
                )
                return
            self.files_count += 1
        folder.files[name] = found

    def _leave(self, path: str, *, is_quiet: bool = False) -> None:
        """Watch the folder and those below it no more. What was known there is to be looked at, unless is_quiet."""
        parent, _, name = path.rpartition("/")
        if path and parent in self._folders:
            self._folders[parent].folders.discard(name)
        waiting = [path]
        while waiting:
            folder = self._folders.pop(waiting.pop(), None)
            if folder is None:
                continue
            self._source.forget(folder.path)
            if self._entered.get(folder.identity) == folder.path:
                del self._entered[folder.identity]
            self.files_count -= len(folder.files)
            for file, found in folder.files.items():
                below = join(folder.path, file)
                self._forget_link(below)
                if not is_quiet:
                    self._gone.setdefault(below, found)
                    self._touch(below, was_written=True)
            waiting += [join(folder.path, each) for each in folder.folders]

    def _check_folder(self, path: str) -> str | None:
        """See whether ``path`` leads to the folder that was entered; go on with the one it leads to."""
        folder = self._folders.get(path)
        try:
            identity = _identity(self.absolute(path))
        except OSError:
            identity = None
        if folder is not None and identity == folder.identity:
            return None
        if folder is not None:
            self._leave(path)
        if identity is not None:
            self._singles.pop(path, None)
            self._missing.discard(path)
            self._enter(path, is_new=True)
        elif path in self._paths:
            self._missing.add(path)
            self._trouble(FolderGone(f"{self.absolute(path)} is not there any more"))
        if path in self._paths:
            self._anchor(path)
        return path

    @property
    def is_incomplete(self) -> bool:
        """A watched folder has gone, and should be looked for."""
        return bool(self._missing)

    def look_for_missing(self) -> bool:
        """See whether folders that had gone are there again; whether one is."""
        back = [path for path in sorted(self._missing) if os.path.isdir(self.absolute(path))]
        for path in back:
            self._check_folder(path)
        return bool(back)

    # --- links ----------------------------------------------------------------------------------------------------

    def _add_link(self, path: str, is_folder: bool) -> bool:
        """Whether the link counts: not if it leads into what is ignored."""
        if path in self._links:
            return True
        real = os.path.realpath(self.absolute(path))
        # Of a file it is asked where it lies: under the name of the link it counts whatever its own name is.
        if self._rules.ignores_way(real if is_folder else os.path.dirname(real)):
            return False
        if len(self._links) >= LINKS_MAX:
            self._trouble(TooManyFiles(f"there are more than {LINKS_MAX} links; the rest is not followed"))
            return False
        self._links[path] = _identity(real) if is_folder else None
        self._anchor(path)
        return True

    def _change_link(self, changed: str) -> None:
        """A link has come, gone, or changed; others may lead over it."""
        folder = self._folders.get(os.path.dirname(changed))
        if folder and changed not in self._links and os.path.lexists(self.absolute(changed)):
            is_folder = os.path.isdir(self.absolute(changed))
            if self._add_link(changed, is_folder) and is_folder:
                self._enter(changed, is_new=True)
        for path, identity in list(self._links.items()):
            if identity is None:
                self._touch(path, was_written=False)
            self._check_link(path, identity)

    def _check_link(self, path: str, before: Identity | None) -> None:
        """See whether a link leads to the folder that was entered under its name; go on with the one it leads to."""
        absolute = self.absolute(path)
        try:
            now = _identity(absolute) if os.path.isdir(absolute) else None
        except OSError:
            now = None
        if now != before:
            self._touch(path, was_written=False)
            self._leave(path)
            if now is not None:
                self._enter(path, is_new=True)
        if os.path.islink(absolute):
            self._links[path] = now
            self._anchor(path)
        else:
            self._forget_link(path)

    def _forget_link(self, path: str) -> None:
        if path in self._links:
            del self._links[path]
            if path not in self._paths:
                self._lift_anchors(path)

    def _anchor(self, path: str) -> None:
        """Hear of it when the way to ``path`` changes."""
        before = self._anchored.pop(path, ())
        anchors = tuple((ANCHOR + folder, name) for folder, name in names_on_the_way(self.absolute(path)))
        for key, name in anchors:
            try:
                self._listen(key, key.removeprefix(ANCHOR))
            except OSError:
                continue  # It may not be read, or is gone.
            self._anchors.setdefault(key, {}).setdefault(name, set()).add(path)
        self._anchored[path] = anchors
        self._lift(path, [each for each in before if each not in anchors])

    def _lift_anchors(self, path: str) -> None:
        self._lift(path, self._anchored.pop(path, ()))

    def _lift(self, path: str, anchors: Iterable[tuple[str, str]]) -> None:
        for key, name in anchors:
            names = self._anchors.get(key, {})
            names.get(name, set()).discard(path)
            if not names.get(name):
                names.pop(name, None)
            if not names and key in self._anchors:
                del self._anchors[key]
                self._source.forget(key)

    # --- comparing ------------------------------------------------------------------------------------------------

    def compare(self) -> None:
        """Look at everything: for lost news, and where there is none. What has changed is touched."""
        for path in self._paths:
            if path in self._folders or os.path.isdir(self.absolute(path)):
                self._check_folder(path)
        for path in list(self._folders):
            if folder := self._folders.get(path):
                self._compare_folder(folder)
        for path, found in self._singles.items():
            now = known.look(self.absolute(path), now_ns=0, reads=False)
            if (now is None) != (found is None) or (now and found and not now.is_as(found)):
                self._touch(path, was_written=True)
        for path, identity in list(self._links.items()):
            self._check_link(path, identity)

    def _compare_folder(self, folder: Folder) -> None:
        try:
            if _identity(folder.absolute) != folder.identity:
                self._check_folder(folder.path)
                return
            with os.scandir(folder.absolute) as scan:
                entries = list(scan)
        except OSError:
            self._leave(folder.path)
            return
        missing = set(folder.files)
        missing_folders = set(folder.folders)
        for entry in entries:
            try:
                is_folder = entry.is_dir()
                if is_folder:
                    missing_folders.discard(entry.name)
                if is_folder and not entry.is_symlink():
                    self._compare_below(folder, entry.name)
                elif self._is_same(folder, entry):
                    missing.discard(entry.name)
                elif entry.name in missing or not self._is_left_out(folder, entry.name, is_folder):
                    missing.add(entry.name)
            except OSError:
                continue  # It has gone meanwhile, and is missing.
        for name in missing:
            self._are_rules_old |= name == GITIGNORE
            self._touch(join(folder.path, name), was_written=True)
            if folder.files.get(name) is None and os.path.islink(os.path.join(folder.absolute, name)):
                self._change_link(join(folder.path, name))
        for name in missing_folders:
            self._leave(join(folder.path, name))

    def _compare_below(self, folder: Folder, name: str) -> None:
        """Enter a folder that is not known: it is new, or could not be read, or is known by another name."""
        if join(folder.path, name) not in self._folders and not self._is_left_out(folder, name, True):
            self._enter(join(folder.path, name), is_new=True)

    def _is_same(self, folder: Folder, entry: os.DirEntry[str]) -> bool:
        before = folder.files.get(entry.name)
        if before is None:
            return False
        status = entry.stat(follow_symlinks=not (entry.is_symlink() and entry.is_dir()))
        return before.is_as(known.of_stat(status))

    # --- rules ----------------------------------------------------------------------------------------------------

    def ignore(self, lines: Iterable[str]) -> None:
        """More that does not count, from now on. What was known of it is forgotten without a word."""
        self._rules.add(lines)
        self._reread_rules()

    def _reread_rules(self) -> None:
        """What counts has changed: that is no change of what counts now, and of what counted before nothing is told any more."""
        self._are_rules_old = False
        self._rules.forget()
        for path in list(self._folders):
            folder = self._folders.get(path)
            if folder is None:
                continue
            if path not in self._paths and self._rules.ignores_at(folder.absolute, is_folder=True):
                self._leave(path, is_quiet=True)
                continue
            for name in [name for name in folder.files if not self._counts(join(path, name))]:
                del folder.files[name]
                self.files_count -= 1
                self._forget_link(join(path, name))
        for path in list(self._folders):
            self._read_anew(path)
        self._touched = {path: how for path, how in self._touched.items() if self._counts(path) or path in self._gone}

    def _read_anew(self, path: str) -> None:
        folder = self._folders.get(path)
        if folder is None:
            return
        try:
            with os.scandir(folder.absolute) as scan:
                below, links = self._read(folder, list(scan), is_new=False)
        except OSError:
            return  # It has gone; the news of that is still to come.
        for each in (*below, *links):
            if each not in self._folders:
                self._enter(each, is_new=False)

    def _counts(self, path: str) -> bool:
        if path in self._singles:
            return True
        folder = self._folders.get(os.path.dirname(path))
        is_folder = self._links.get(path) is not None
        return folder is not None and not self._is_left_out(folder, os.path.basename(path), is_folder)

    def _is_in_folder(self, path: str) -> bool:
        return os.path.dirname(path) in self._folders

    # --- what has changed -----------------------------------------------------------------------------------------

    def settle(self, *, wants_chmod: bool = False) -> list[Change]:
        """What has become of everything that was touched. Looks at the disk; a file that is the same is not told of."""
        touched, self._touched = self._touched, {}
        gone, self._gone = self._gone, {}
        came_from, self._came_from = self._came_from, {}
        self._away.clear()
        now_ns = time.time_ns()
        looked = []
        for path, was_written in touched.items():
            before = gone.get(path) or self._known(path)
            now = known.look(self.absolute(path), now_ns=now_ns) if self._counts(path) else None
            self._now_known(path, now)
            if before or now:
                looked.append(Looked(path, before, now, was_written))
        if self._are_rules_old:
            self._reread_rules()
        return changes_of(looked, came_from, wants_chmod=wants_chmod, is_crowded=self.files_count >= FILES_MAX)

    def _known(self, path: str) -> Known | None:
        if path in self._singles:
            return self._singles[path]
        folder = self._folders.get(os.path.dirname(path))
        return folder.files.get(os.path.basename(path)) if folder else None

    def _now_known(self, path: str, now: Known | None) -> None:
        if path in self._singles:
            self._singles[path] = now
            return
        folder, name = self._folders.get(os.path.dirname(path)), os.path.basename(path)
        if folder is None:
            return
        if now is not None:
            self._remember(folder, name, now)
        elif folder.files.pop(name, None):
            self.files_count -= 1

    # --- digests ahead --------------------------------------------------------------------------------------------

    @property
    def has_unread(self) -> bool:
        return bool(self._unread)

    def read_ahead(self, for_s: float) -> None:
        """Take digests of files that were not read yet, for a while: then a touched file is known to be the same."""
        until_s = time.monotonic() + for_s
        while self._unread and time.monotonic() < until_s:
            path = self._unread.popleft()
            before = self._known(path)
            if before is None or before.digest or before.size > self._bytes_left:
                continue
            self._bytes_left -= before.size
            now = known.look(self.absolute(path), now_ns=time.time_ns())
            # If it shows that it was changed, the news of that is still to come, and must find what was here before.
            if now and now.is_as(before):
                self._now_known(path, now)

    # --- trouble --------------------------------------------------------------------------------------------------

    def _trouble(self, error: MidairError) -> None:
        key = (error.code, str(error))
        if key not in self._said and len(self._said) < _SAID_MAX:
            self._said.add(key)
            self._say(error)


def _identity(path: str) -> Identity:
    found = os.stat(path)
    return found.st_dev, found.st_ino
