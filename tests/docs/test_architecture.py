"""The map is right: imports point down its table, and the files that it names are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "midair"

LEVELS = (
    {"__main__"},
    {"cli"},
    {"dev", "alerting", "deploy", "doctor", "containers"},
    {"supervisor", "scaffold"},
    {"admin"},
    {"control", "worker"},
    {"browser"},
    {"library", "lending"},
    {"watch"},
    {"traces"},
    {"release", "systemd"},
    {"sockets", "observe"},
    {"config"},
    {"core"},
    {"carried", "exclusion"},
    {"errors", "explained", "hooks", "live"},
)
"""From the top down. A folder imports from those below it; the two of one level do not know each other."""

VALUES = {"worker.settings", "worker.asgi", "observe.holding"}
"""Plain values that cross to the worker and from it, and the names of what ASGI passes around: whoever configures the one or speaks
the other may know them."""


def room_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0].removesuffix(".py")


def imports() -> Iterator[tuple[Path, str]]:
    """Every import of midair inside midair, wherever it stands in a file, without the package's own name."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module == "midair":
                names = [f"midair.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            yield from ((path, name.removeprefix("midair.")) for name in names if name.startswith("midair."))


def test_imports_point_down_the_table() -> None:
    level = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
    found = list(imports())
    assert len(found) > 200, "the search finds nothing any more"
    upward = [
        f"{path.relative_to(SOURCE)} imports {name}"
        for path, name in found
        if (own := room_of(path)) in level
        and (other := name.partition(".")[0]) in level
        and other != own
        and level[other] <= level[own]
        and name not in VALUES
    ]
    assert upward == []


def test_the_product_never_imports_what_is_for_tests() -> None:
    assert [str(path) for path, name in imports() if name.startswith("testing") and room_of(path) != "testing"] == []


def test_every_folder_has_its_place() -> None:
    rooms = {room_of(path) for path in SOURCE.rglob("*.py")} - {"__init__", "testing"}
    assert rooms == set().union(*LEVELS)
    page = (ROOT / "ARCHITECTURE.md").read_text()
    assert [room for room in rooms - {"__main__"} if f"`{room}/`" not in page and f"`{room}.py`" not in page] == []


def test_the_files_that_the_map_names_are_there() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", page)
    assert len(named) > 60, "the search finds nothing any more"
    there = {path.name for path in SOURCE.rglob("*.py")}
    gone = [name for name in named if not ((SOURCE / name).exists() or (ROOT / name).exists() or name in there)]
    assert gone == []


def test_every_room_of_the_core_and_the_supervisor_is_on_the_map() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    files = [path for room in ("core", "supervisor") for path in (SOURCE / room).glob("*.py")]
    assert [str(p.relative_to(SOURCE)) for p in files if p.name not in page and p.name not in NOT_ROOMS] == []


NOT_ROOMS = {"__init__.py", "ids.py"}
