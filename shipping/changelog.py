"""The notes of ``changes.d`` become the changelog's entry of a release: ``python -m shipping.changelog`` prints it.

With ``--write`` it goes into ``CHANGELOG.md`` under the version that ``src/midair/__init__.py`` says, with what stood there as not
released, and the notes go. A note that says no word of changes.d/README.md stops it.
"""

from __future__ import annotations

import datetime
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from midair import __version__

ROOT = Path(__file__).parent.parent
GROUPS = {"added": "Added", "changed": "Changed", "fixed": "Fixed", "removed": "Removed"}
"""By the word with which a note begins; in the order of an entry."""
UNRELEASED = "Unreleased"
COLUMNS = 132


class NotReleasable(Exception):
    """The notes, the version and the changelog do not go together."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that is new."""

    word: str
    text: str
    """In one line; links lead from the project's folder."""


def read_notes(folder: Path) -> list[Note]:
    """All of them, by file name. Raises NotReleasable."""
    files = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    return [note for path in files for note in parse(path.name, path.read_text())]


def parse(name: str, text: str) -> list[Note]:
    """The notes of one file: each begins with its word. name: for who has to mend it. Raises NotReleasable."""
    found: list[Note] = []
    for line in text.strip().splitlines():
        word, colon, rest = line.partition(": ")
        if colon and word in GROUPS:
            found.append(Note(word, rest.strip()))
        elif found and line.strip():
            found[-1] = Note(found[-1].word, f"{found[-1].text} {line.strip()}")
        else:
            raise NotReleasable(f"changes.d/{name} begins with none of {', '.join(f'{each}:' for each in GROUPS)}")
    if not found:
        raise NotReleasable(f"changes.d/{name} says nothing")
    return [Note(note.word, note.text.replace("](../", "](")) for note in found]


def entry(unreleased: str, notes: Iterable[Note]) -> str:
    """What a release says: what was written by hand, and the notes below the words that it has."""
    parts = re.split(rf"^({'|'.join(GROUPS.values())})$", unreleased, flags=re.MULTILINE)
    lists = dict(zip(parts[1::2], parts[2::2], strict=True))
    for note in notes:
        bullet = textwrap.fill(
            f"- {note.text[:1].upper()}{note.text[1:]}",
            COLUMNS,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        lists[GROUPS[note.word]] = f"{lists.get(GROUPS[note.word], '').strip()}\n{bullet}"
    groups = [f"{title}\n\n{lists[title].strip()}" for title in GROUPS.values() if title in lists]
    return "\n\n".join(part for part in (parts[0].strip(), *groups) if part)


def release(changelog: str, notes: Sequence[Note], version: str, day: datetime.date) -> str:
    """The changelog with an entry for this version, and nothing left that is not released. Raises NotReleasable."""
    head, *sections = re.split(r"^## ", changelog, flags=re.MULTILINE)
    by_title = {title: body for title, _, body in (section.partition("\n") for section in sections)}
    released = [title.split()[0] for title in by_title if title != UNRELEASED]
    if released and Version(version) <= max(map(Version, released)):
        raise NotReleasable(f"{version} is not newer than {released[0]}: src/midair/__init__.py says the version")
    said = entry(by_title.pop(UNRELEASED, ""), notes)
    if not said:
        raise NotReleasable("there is nothing to release: no note in changes.d, and nothing in the changelog")
    news = f"{UNRELEASED}\n\n", f"{version} ({day.isoformat()})\n\n{said}\n\n"
    older = (f"{title}\n{body}" for title, body in by_title.items())
    return head + "".join(f"## {section}" for section in (*news, *older)).rstrip() + "\n"


def main(args: Sequence[str], root: Path = ROOT, day: datetime.date | None = None) -> int:
    """Print the entry, or with ``--write`` make the release's changelog. 1: it cannot be."""
    path, folder = root / "CHANGELOG.md", root / "changes.d"
    try:
        notes = read_notes(folder)
        text = release(path.read_text(), notes, __version__, day or datetime.datetime.now(datetime.UTC).date())
    except NotReleasable as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    if "--write" not in args:
        print(text.split("\n## ")[2])
        return 0
    path.write_text(text)
    for note in folder.glob("*.md"):
        if note.name != "README.md":
            note.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
