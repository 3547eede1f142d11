"""``python -m tests.shipping.built WHEEL SDIST``: what was built is complete, holds nothing else, and says what it is.

Run by ``tests/wheel_installs``, which has built them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from packaging.metadata import Metadata

from midair import __version__

ROOT = Path(__file__).parent.parent.parent
WHEEL_MAX_BYTES = 1_250_000
"""1,081,000 when this was written. What makes it grow by a sixth is to be looked at: a wheel is loaded at each deployment."""


def check_wheel(path: Path) -> None:
    assert path.stat().st_size <= WHEEL_MAX_BYTES, f"the wheel has {path.stat().st_size:,} bytes"
    with zipfile.ZipFile(path) as wheel:
        held = set(wheel.namelist())
        metadata = wheel.read(f"midair-{__version__}.dist-info/METADATA")
        bom = json.loads(wheel.read(f"midair-{__version__}.dist-info/sboms/midair.cdx.json"))
    source = ROOT / "src"
    package = {str(path.relative_to(source)) for path in (source / "midair").rglob("*") if path.is_file()}
    package = {name for name in package if "__pycache__" not in name}
    pages = {f"midair-{__version__}.data/data/share/man/man1/{path.name}" for path in ROOT.glob("shipping/man/*.1")}
    about = {f"midair-{__version__}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    about |= {f"midair-{__version__}.dist-info/{name}" for name in ("licenses/LICENSE", "sboms/midair.cdx.json")}
    assert "midair/py.typed" in package, "without it its types would be ignored"
    differ(held, package | pages | about, "the wheel")
    assert bom["metadata"]["component"]["version"] == __version__
    check_metadata(metadata)


def check_metadata(text: bytes) -> None:
    about = Metadata.from_email(text, validate=True)  # raises what is wrong with it, all at once
    assert about.license_expression == "Apache-2.0"
    assert about.description_content_type == "text/markdown"
    assert about.description
    assert about.description.startswith("# midair")
    assert "](docs/" not in about.description, "links that lead nowhere from where the description is shown"


def check_sdist(path: Path) -> None:
    with tarfile.open(path) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    if listed.returncode != 0:
        print("the sdist is not compared with what is in git: this is no repository", file=sys.stderr)
        return
    differ(held - {"PKG-INFO"}, set(listed.stdout.splitlines()), "the sdist")


def differ(held: set[str], wanted: set[str], where: str) -> None:
    assert not wanted - held, f"not in {where}: {sorted(wanted - held)}"
    assert not held - wanted, f"in {where}, and nobody wants it there: {sorted(held - wanted)}"


if __name__ == "__main__":
    check_wheel(Path(sys.argv[1]))
    check_sdist(Path(sys.argv[2]))
