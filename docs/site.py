"""Lays out what the site is made of: ``python -m docs.site FOLDER`` writes it, ``make docs`` builds pages of it.

Pages stay where the repository is read. The site knows one folder, so what they link to comes along: other pages
(ARCHITECTURE.md, the examples), and files as they are. The navigation is the index, docs/README.md: a list item that begins
with a link is an entry, under the headings above it. So there is one list of pages, and what is missing there is an error.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
SETTINGS = DOCS / "site.toml"
INDEX_OF = {DOCS / "exit-codes.md": DOCS / "errors"}
"""A page that is the index of a folder, if that is not the folder's own README.md."""
BESIDE = (DOCS / "favicon.svg", DOCS / "site.css")

FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
ITEM = re.compile(r"- \[(?P<title>.+?)\]\((?P<page>[^)#\s]+)\)")
HEADING = re.compile(r"(?P<depth>#{2,3}) (?P<title>.+)")


Sections = list[Any]
"""Of the navigation: a page's place, or a table of one title and what stands under it, a place or more sections."""


class WrongPage(Exception):
    """A page that the site cannot be made of: it links to nothing, or nothing leads to it."""


class Entry(NamedTuple):
    """A page in the navigation."""

    headings: tuple[str, ...]
    title: str
    page: Path


def main() -> None:
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    try:
        lay_out(folder)
    except WrongPage as wrong:
        sys.exit(f"error: {wrong}")


def lay_out(folder: Path) -> None:
    """Write settings, pages and files. Raises WrongPage."""
    files = gathered()
    for source in sorted(files):
        target = folder / "pages" / place(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            target.write_text(with_links(source))
        else:
            shutil.copyfile(source, target)
    for file in BESIDE:
        shutil.copy(file, folder / "pages")
    settings = SETTINGS.read_text().replace("[project]\n", f"[project]\nnav = {in_toml(navigation(files))}\n", 1)
    (folder / "zensical.toml").write_text(settings)


def gathered() -> set[Path]:
    """All pages of docs/, and whatever pages link to, over any number of links."""
    found: set[Path] = set()
    waiting = sorted(DOCS.rglob("*.md"))
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            waiting += linked_files(source) if source.suffix == ".md" else ()
    return found


def linked_files(page: Path) -> Iterator[Path]:
    for text in FENCED.split(page.read_text())[::2]:
        for link in LINK.findall(text):
            file = link.partition("#")[0]
            if file and "://" not in file:
                yield target_of(file, page)


def target_of(link: str, page: Path) -> Path:
    """The file that a link of the page leads to; of a folder, its README.md."""
    target = Path(os.path.normpath(page.parent / link))
    if target.is_dir():
        target /= "README.md"
    if not target.is_file():
        raise WrongPage(f"{named(page)} links to {link}: there is no {named(target)}")
    return target


def with_links(page: Path) -> str:
    """The page's text, its links as they are on the site."""

    def on_the_site(link: re.Match[str]) -> str:
        file, mark, anchor = link[0].partition("#")
        if not file or "://" in file:
            return link[0]
        return os.path.relpath(place(target_of(file, page)), place(page).parent) + mark + anchor

    parts = FENCED.split(page.read_text())
    return "".join(part if number % 2 else LINK.sub(on_the_site, part) for number, part in enumerate(parts))


def place(source: Path) -> Path:
    """Where on the site a file of the repository is."""
    if source == ROOT / "README.md":
        return Path("overview.md")  # the home page is docs/README.md
    return source.relative_to(DOCS if source.is_relative_to(DOCS) else ROOT)


def navigation(files: set[Path]) -> Sections:
    """What the builder is told. Raises WrongPage if a page is missing there, or would be there twice."""
    pages = {file for file in files if file.suffix == ".md"}
    sections: Sections = [{"Home": str(place(INDEX))}]
    told = [INDEX]
    for entry in entries(INDEX.read_text()):
        below = pages_below(entry.page, pages)
        told += [entry.page, *below]
        section = section_at(sections, entry.headings)
        if below:
            section.append(
                {entry.title: [str(place(entry.page)), *({title_of(page): str(place(page))} for page in below)]}
            )
        else:
            section.append({entry.title: str(place(entry.page))})
    complain("is not in the index", pages - set(told))
    complain("is in the index twice", {page for page in told if told.count(page) > 1})
    return sections


def section_at(sections: Sections, headings: Iterable[str]) -> Sections:
    """The list under these headings; made, at the end, if the last entry was under others."""
    for heading in headings:
        last = sections[-1] if sections else {}
        if not (isinstance(last, dict) and heading in last):
            sections.append({heading: []})
        sections = sections[-1][heading]
    return sections


def in_toml(value: Any) -> str:
    """Lists, tables and text in one line, as TOML has them."""
    if isinstance(value, list):
        return "[" + ", ".join(in_toml(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {in_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def entries(index: str) -> Iterator[Entry]:
    headings: tuple[str, ...] = ()
    for line in index.splitlines():
        if heading := HEADING.fullmatch(line):
            headings = (*headings[: len(heading["depth"]) - 2], heading["title"])
        elif item := ITEM.match(line):
            yield Entry(headings, item["title"].replace("`", ""), target_of(item["page"], INDEX))


def pages_below(page: Path, pages: set[Path]) -> list[Path]:
    """The others of a folder that the index names by this page: an error a page, an example a page."""
    folder = INDEX_OF.get(page, page.parent)
    if page not in INDEX_OF and (page.name != "README.md" or folder == ROOT):
        return []
    return sorted(other for other in pages - {page} if other.is_relative_to(folder))


def title_of(page: Path) -> str:
    """Its first heading."""
    heading = re.search(r"^# (.+)$", page.read_text(), re.MULTILINE)
    if heading is None:
        raise WrongPage(f"{named(page)} has no title")
    return heading[1].replace("`", "")


def complain(of: str, pages: set[Path]) -> None:
    if pages:
        raise WrongPage(", ".join(named(page) for page in sorted(pages)) + f" {of}, {named(INDEX)}")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


if __name__ == "__main__":
    main()
