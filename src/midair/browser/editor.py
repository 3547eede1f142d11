"""Opening a file of the project in the developer's editor: which file, which command line. Never through a shell.

An editor that needs the terminal (vi, nano) cannot be opened from a page: ``midair dev`` holds that terminal.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections.abc import Mapping

_TERMINAL = frozenset({"vi", "vim", "nvim", "nano", "emacs", "ed", "micro", "hx", "helix", "kak", "joe", "ne", "pico"})
"""They draw on the terminal. ``emacsclient`` does not."""
_WITH_LINE: Mapping[str, tuple[str, ...]] = {
    "code": ("-g", "{file}:{line}:{column}"),
    "code-insiders": ("-g", "{file}:{line}:{column}"),
    "codium": ("-g", "{file}:{line}:{column}"),
    "cursor": ("-g", "{file}:{line}:{column}"),
    "windsurf": ("-g", "{file}:{line}:{column}"),
    "subl": ("{file}:{line}:{column}",),
    "zed": ("{file}:{line}:{column}",),
    "atom": ("{file}:{line}:{column}",),
    "mate": ("-l", "{line}", "{file}"),
    "gvim": ("+{line}", "{file}"),
    "emacsclient": ("-n", "+{line}:{column}", "{file}"),
    "kate": ("-l", "{line}", "{file}"),
    "gedit": ("+{line}", "{file}"),
    "idea": ("--line", "{line}", "{file}"),
    "pycharm": ("--line", "{line}", "{file}"),
    "webstorm": ("--line", "{line}", "{file}"),
    "goland": ("--line", "{line}", "{file}"),
}


def choose(configured: str, environment: Mapping[str, str]) -> str:
    """The command line of the editor: ``dev.editor``, else VISUAL, else EDITOR; empty: none that a page can open."""
    for line in (configured, environment.get("VISUAL", ""), environment.get("EDITOR", "")):
        words = _words(line)
        if words and (line == configured or os.path.basename(words[0]) not in _TERMINAL):
            return line
    return ""


def command(line: str, file: str, row: int, column: int) -> list[str]:
    """The arguments that open ``file`` there. Each placeholder is filled inside its own argument. Raises ValueError."""
    words = _words(line)
    if not words:
        raise ValueError(f"dev.editor = {line!r} is no command line")
    if not any("{file}" in word for word in words):
        words += _WITH_LINE.get(os.path.basename(words[0]), ("{file}",))
    values = {"{file}": file, "{line}": str(max(1, row)), "{column}": str(max(1, column))}
    return [_filled(word, values) for word in words]


def within(folder: str, typed: str) -> str:
    """The file ``typed``, absolute, if it is one of the project's. Raises ValueError: it is not."""
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, typed.replace("\0", "")))
    if "\0" in typed or os.path.commonpath((root, path)) != root or not os.path.isfile(path):
        raise ValueError(f"{typed!r} is no file of the project")
    return path


def start(arguments: list[str], folder: str) -> None:
    """Start it and let it go: neither its output nor its end is ours. Raises OSError."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(arguments, cwd=folder, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    # In a session of its own it outlives this worker. While that lives, somebody has to take note of its end.
    threading.Thread(target=process.wait, daemon=True).start()


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _filled(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        if name in word:
            head, _, tail = word.partition(name)
            return _filled(head, values) + value + _filled(tail, values)
    return word
