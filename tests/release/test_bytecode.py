"""Bytecode that hides a changed source is removed; all other stays."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
from pathlib import Path

from midair.release.bytecode import forget_stale

ONE_TIME = (1_700_000_000, 1_700_000_000)


def _save(source: Path, version: str) -> None:
    """Written beside and renamed, with a time that says nothing: as a release's files may be."""
    new = source.with_suffix(".new")
    new.write_text(f"VERSION = {version}\n")
    os.utime(new, ONE_TIME)
    new.replace(source)


def _imported(folder: Path) -> str:
    """The version that a fresh Python sees."""
    done = subprocess.run(
        [sys.executable, "-c", "import shop; print(shop.VERSION)"],
        cwd=folder,
        env={"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout.strip()


def test_a_source_of_equal_length_and_time_is_seen_again(tmp_path: Path) -> None:
    _save(tmp_path / "shop.py", "1")
    assert _imported(tmp_path) == "1"
    _save(tmp_path / "shop.py", "2")
    assert _imported(tmp_path) == "1", "this Python has no such trap; the module is not needed any more"
    assert forget_stale(str(tmp_path), ["shop.py"]) == 1
    assert _imported(tmp_path) == "2"


def test_bytecode_that_is_newer_than_its_source_stays(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    source = tmp_path / "inner" / "shop.py"
    _save(source, "1")
    cached = Path(py_compile.compile(str(source), doraise=True) or "")
    changed_ns = source.stat().st_ctime_ns
    os.utime(cached, ns=(changed_ns + 1, changed_ns + 1))
    assert forget_stale(str(tmp_path), ["inner/shop.py"]) == 0
    os.utime(cached, ns=(changed_ns, changed_ns))
    assert forget_stale(str(tmp_path), ["inner/shop.py"]) == 1, "within one tick nobody can say which was first"


def test_bytecode_that_python_would_not_believe_stays(tmp_path: Path) -> None:
    source = tmp_path / "shop.py"
    _save(source, "1")
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    cached = Path(py_compile.compile(str(source), doraise=True, invalidation_mode=mode) or "")
    _save(source, "2")
    (tmp_path / "__pycache__" / "cut.cpython-311.pyc").write_bytes(b"abc")
    (tmp_path / "cut.py").write_text("")
    assert forget_stale(str(tmp_path), ["shop.py", "cut.py", "other.html"]) == 0
    assert cached.exists()
