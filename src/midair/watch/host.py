"""``python -m midair.watch.host FD``: the watcher child."""

from __future__ import annotations

import os
import select
import socket
import sys

from midair.sockets import passing
from midair.watch import words

SKIPPED = {".git", ".venv", "node_modules", "__pycache__"}
LOOK_EVERY_S = 0.05


def main() -> None:
    """Tell what has changed since the last look, until the supervisor closes its end."""
    link = socket.socket(fileno=int(sys.argv[1]))
    link.setblocking(True)
    message = passing.receive(link)
    if message is None:
        return
    begin = words.decode_to_watcher(message.data)
    before = _look(begin.folder)
    passing.send(link, words.encode(words.Ready()))
    while not select.select([link], [], [], LOOK_EVERY_S)[0]:
        after = _look(begin.folder)
        if changes := tuple(_changes(before, after)):
            passing.send(link, words.encode(words.Changes(changes=changes, raw=len(changes))))
        before = after


def _look(folder: str) -> dict[str, bytes]:
    found = {}
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED]
        for name in files:
            path = os.path.join(here, name)
            try:
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = file.read()
            except OSError:
                continue
    return found


def _changes(before: dict[str, bytes], after: dict[str, bytes]) -> list[words.Change]:
    changed = [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    kinds: dict[bool, words.Kind] = {True: "write", False: "remove"}
    return [words.Change(kind=kinds[path in after] if path in before else "create", path=path) for path in changed]


if __name__ == "__main__":
    main()
