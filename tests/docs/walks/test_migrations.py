"""docs/migrations.md is what happens: a column gets another name in three releases, and each step is what it says."""

from __future__ import annotations

import pytest

from tests.docs.terminal import QUICK, Terminal
from tests.docs.walking import Walk

WALK = Walk("docs/migrations.md", goes_on={"midair run": "update done"})
COLUMNS = """\
import sqlite3
print([row[1] for row in sqlite3.connect("shop.db").execute("PRAGMA table_info(customer)")])
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_page_is_what_happens() -> None:
    with (
        Terminal("/srv/shop", environment={**QUICK, "MIDAIR_SERVE_ACCESS_LOG": "false"}) as terminal,
        WALK.begun(terminal) as walker,
    ):
        walker.through("midair reload --wait drained")
        # A reader types more slowly than the hook runs.
        walker.going_on["midair run"].wait_said("hook ended  generation=6 hook=contract")
        assert terminal.prepare(f"python -c '{COLUMNS}'") == ["['id', 'full_name']"]
        walker.rest()
