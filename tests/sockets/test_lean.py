"""What the supervisor imports of these rooms stays small."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "asyncio",
    "concurrent",
    "hashlib",
    "json",
    "logging",
    "rich",
    "shutil",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
}
ROOMS = (
    "midair.admin.orders",
    "midair.sockets.bind",
    "midair.sockets.passing",
    "midair.observe.capture",
    "midair.observe.exposition",
    "midair.observe.log",
    "midair.observe.metrics",
    "midair.release.difference",
    "midair.release.survey",
    "midair.systemd.notify",
)


def test_nothing_heavy_comes_with_what_the_supervisor_imports() -> None:
    # msgspec is the supervisor's own choice; what comes with it is not counted.
    script = (
        f"import sys, msgspec; before = set(sys.modules); import {', '.join(ROOMS)}; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()} & HEAVY == set()
