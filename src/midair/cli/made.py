"""Files that commands make of the configuration: written, with a copy of what was there, and what is different."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence

from midair.cli.show import Show


def there(path: str) -> str:
    """The text of a file; empty: there is none. Raises OSError."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def written(show: Show, path: str, text: str, before: str, changed: Sequence[str], same: str) -> list[str]:
    """Write a file, rename it into place and say so; return the copy of the one before, if it was kept. Raises OSError.

    before: what is there; changed: how the new one differs from it; same: what to say if it does not.
    """
    kept = []
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.new", "w", encoding="utf-8") as new:
        new.write(text)
    if before and changed:
        # A name that nobody reads who reads the file.
        kept.append(shutil.copy2(path, f"{path}.bak"))
    os.replace(f"{path}.new", path)
    if not show.as_json:
        _tell(show, path, before, changed, same)
    return kept


def compared(
    texts: Mapping[str, str], read: Callable[[str], str], difference: Callable[[str, str], list[str]]
) -> tuple[dict[str, list[str]], list[str]]:
    """Those that are there and differ, with how; and those that are not there. read: the text that is there under a name."""
    before = {name: read(name) for name in texts}
    changed = {name: difference(before[name], text) for name, text in texts.items() if before[name]}
    return {name: rows for name, rows in changed.items() if rows}, [name for name in texts if not before[name]]


def _tell(show: Show, path: str, before: str, changed: Sequence[str], same: str) -> None:
    if not before:
        show.line(f"wrote {path}")
    elif not changed:
        show.line(f"wrote {path}: {same}")
    else:
        show.line(f"wrote {path}; the one before is {os.path.basename(path)}.bak; what is different:")
        for row in changed:
            show.line(f"  {row}")
