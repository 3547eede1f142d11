"""CONTRIBUTING.md is what happens: the reference is made from the code."""

from __future__ import annotations

import pytest

from tests.docs.terminal import ROOT, Terminal
from tests.docs.walking import Walk

WALK = Walk("CONTRIBUTING.md")


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal(str(ROOT), user="root") as terminal:
        WALK.whole(terminal)
