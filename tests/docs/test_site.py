"""The pages as a site, before it is built: all are in the navigation, and their links lead to pages of the site."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs import site


@pytest.fixture(scope="module")
def files() -> set[Path]:
    return site.gathered()


def pages(files: set[Path]) -> list[Path]:
    return sorted(file for file in files if file.suffix == ".md")


def places(sections: list[Any]) -> Iterator[str]:
    """Of the pages in a navigation."""
    for entry in sections:
        if isinstance(entry, str):
            yield entry
        for under in entry.values() if isinstance(entry, dict) else ():
            yield from [under] if isinstance(under, str) else places(under)


def test_every_page_is_in_the_navigation_once(files: set[Path]) -> None:
    told = sorted(places(site.navigation(files)))
    assert told == sorted(str(site.place(page)) for page in pages(files))
    assert {"tutorial.md", "ARCHITECTURE.md", "examples/go/README.md"} < set(told)


def test_a_page_that_the_index_does_not_name_is_an_error(files: set[Path]) -> None:
    forgotten = site.DOCS / "forgotten.md"
    with pytest.raises(site.WrongPage, match=r"docs/forgotten\.md is not in the index"):
        site.navigation(files | {forgotten})


def test_a_link_to_nothing_is_an_error() -> None:
    with pytest.raises(site.WrongPage, match=r"docs/tls\.md links to \.\./src: there is no src/README\.md"):
        site.target_of("../src", site.DOCS / "tls.md")


def test_the_navigation_is_toml_that_says_the_same(files: set[Path]) -> None:
    sections = site.navigation(files)
    assert tomllib.loads(f"nav = {site.in_toml(sections)}") == {"nav": sections}


def test_the_navigation_is_by_kind(files: set[Path]) -> None:
    titles = [title for entry in site.navigation(files) for title in entry]
    assert titles == ["Home", "Learn", "Do", "Look up", "Understand", "Work on it"]


def test_links_lead_to_where_the_pages_are_on_the_site(tmp_path: Path, files: set[Path]) -> None:
    site.lay_out(tmp_path)
    laid = tmp_path / "pages"
    broken = []
    for page in sorted(laid.rglob("*.md")):
        for text in site.FENCED.split(page.read_text())[::2]:
            links = [link.partition("#")[0] for link in site.LINK.findall(text) if "://" not in link]
            broken += [(page.name, link) for link in links if link and not (page.parent / link).is_file()]
    assert broken == []
    assert "](ARCHITECTURE.md)" in (laid / "README.md").read_text()
    assert "](../../live-connections.md)" in (laid / "examples" / "chat" / "README.md").read_text()
    assert (laid / "examples" / "monitoring" / "compose.yml").is_file()
    settings = tomllib.loads((tmp_path / "zensical.toml").read_text())["project"]
    assert settings["nav"] == site.navigation(files)


def test_a_list_begins_after_an_empty_line(files: set[Path]) -> None:
    """Who reads the repository sees a list in any case; for the site's Markdown the paragraph goes on."""
    swallowed = re.compile(r"^(?![-*|>#\s]|\d+\. ).+\n(?=[-*] |\d+\. )", re.MULTILINE)
    prose = {page: "".join(site.FENCED.split(page.read_text())[::2]) for page in pages(files)}
    found = [f"{site.named(page)}: {line}" for page, text in prose.items() for line in swallowed.findall(text)]
    assert found == []
