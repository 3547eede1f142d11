"""Files that commands make of the configuration: written, with a copy of what was there, and what is different."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

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


def _tell(show: Show, path: str, before: str, changed: Sequence[str], same: str) -> None:
    if not before:
        show.line(f"wrote {path}")
    elif not changed:
        show.line(f"wrote {path}: {same}")
    else:
        show.line(f"wrote {path}; the one before is {os.path.basename(path)}.bak; what is different:")
        for row in changed:
            show.line(f"  {row}")
