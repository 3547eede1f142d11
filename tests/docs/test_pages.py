"""What stands on the pages holds: links lead somewhere, configurations load, units are valid, tables are complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from midair.config.keys import all_keys, arrays, table_keys
from midair.config.load import load, sources_for_run
from midair.control.words import Result

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "changes.d/*.md", "examples/**/*.md", "tests/apps/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def blocks(path: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Of the headings, as Markdown readers make them."""
    heads = re.findall(r"^#+ (.+)$", without_code(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def links(path: Path) -> Iterator[str]:
    yield from re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text()))


def test_every_link_leads_somewhere() -> None:
    assert sum(len(list(links(page))) for page in PAGES) > 60, "the search finds nothing any more"
    broken = []
    for page in PAGES:
        for link in links(page):
            file, _, anchor = link.partition("#")
            target = page.parent / file if file else page
            if link.startswith("https://"):
                continue
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{named(page)}: {link}")
    assert broken == []


CONFIGURATIONS = [
    pytest.param(text, id=f"{named(page)}:{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "toml"), 1)
]


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_a_shown_configuration_can_be_loaded(text: str, tmp_path: Path) -> None:
    (tmp_path / "midair.toml").write_text(text)
    outside_tables = re.split(r"^\[", text, maxsplit=1, flags=re.MULTILINE)[0]
    needs_target = bool(re.search(r"^(app|command)\b", outside_tables, re.MULTILINE))
    loaded = load(sources_for_run(folder=str(tmp_path), environ={}), needs_target=needs_target)
    assert loaded.warnings == ()


def test_a_shown_configuration_with_an_unknown_key_would_be_noticed(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="there is no key wokers"):
        test_a_shown_configuration_can_be_loaded('app = "app:app"\nwokers = 2\n', tmp_path)


KEYS = all_keys().keys() | {f"{array}.{key}" for array in arrays() for key in table_keys(array)}
TABLES = {key.rpartition(".")[0] for key in KEYS} - {""}


def keys_named(text: str) -> set[str]:
    """What looks like a key of midair's in text: in backquotes, below one of its tables. Air's own keys look the same."""
    without_airs = re.sub(r"^\| `\w+\.\w+` \|.*$", "", text, flags=re.MULTILINE) if "# From Air" in text else text
    named = re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)(?: = [^`]*)?`", without_airs)
    return {key for key in named if key.rpartition(".")[0] in TABLES and not key.endswith((".py", ".sh", ".sock"))}


def test_every_key_that_a_page_names_is_one() -> None:
    found = {named(page): keys_named(without_code(page.read_text())) for page in PAGES}
    assert sum(map(len, found.values())) > 200, "the search finds nothing any more"
    assert {page: keys - KEYS for page, keys in found.items() if keys - KEYS} == {}
    assert keys_named('with `drain.tiemout = "5m"` or `serve.backlog`') - KEYS == {"drain.tiemout"}


def needs_systemd() -> str:
    """Path of systemd-analyze; without it the test is skipped, except where everything must be there."""
    path = shutil.which("systemd-analyze")
    if path is None and os.environ.get("CI") == "true":
        pytest.fail("systemd-analyze is not installed")
    if path is None:
        pytest.skip("systemd-analyze is not installed")
    return path


def verify(folder: Path, unit: str) -> str:
    """What systemd says against the unit; an unknown key is a warning only, so the text counts and not the exit code."""
    path = folder / "shop.service"
    # The program must be there, and the user known: those of this machine stand in for the page's.
    here = unit.replace("/srv/shop/.venv/bin/midair", sys.executable).replace("User=shop", "User=root")
    path.write_text(here.replace("WorkingDirectory=/srv/shop", "WorkingDirectory=/"))
    done = subprocess.run(
        [needs_systemd(), "verify", str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    return "".join(line for line in done.stderr.splitlines() if "shop.service" in line)


def test_the_unit_is_valid(tmp_path: Path) -> None:
    unit = blocks(ROOT / "docs" / "systemd.md", "ini")[0]
    assert verify(tmp_path, unit) == ""
    assert "Unknown key" in verify(tmp_path, unit.replace("KillMode=", "KilMode=")), "systemd finds nothing at all"


def test_every_signal_is_in_the_table_with_its_action() -> None:
    rows = re.findall(r"^\| SIG(\w+) \| `([^`]+)` \|", (ROOT / "docs" / "signals.md").read_text(), re.MULTILINE)
    defaults = {
        key.path[-1].upper(): key.default for key in all_keys().values() if key.path[0] == "signals" and key.default
    }
    assert dict(rows) == defaults


def test_every_action_of_a_signal_is_named() -> None:
    page = (ROOT / "docs" / "signals.md").read_text()
    actions = next(key.choices for key in all_keys().values() if key.name == "signals.hup")
    assert [action for action in actions if f"`{action}`" not in page] == []


def test_every_end_of_an_update_is_explained() -> None:
    page = (ROOT / "docs" / "updates.md").read_text()
    ends = {"committed", "refused", "rolled-back", "superseded", "stopped"}
    assert ends <= set(get_args(Result))
    assert [end for end in ends if f"| {end.replace('-', ' ')} |" not in page] == []


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=named)
def test_shown_python_is_python(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, named(page), "exec")


def test_no_page_names_a_place_of_one_machine() -> None:
    told = re.compile(r"(?<!\.)/(?:tmp|root|work)/|site-packages/midair")
    assert [named(page) for page in PAGES if told.search(page.read_text())] == []
