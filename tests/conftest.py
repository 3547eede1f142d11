"""What holds for all tests."""

from __future__ import annotations

import gc
import itertools

from hypothesis import HealthCheck, settings

# On a busy machine a deadline measures the neighbours, and so does how fast examples are drawn.
settings.register_profile("midair", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("midair")

COLLECT_EVERY = 100
_ended = itertools.count(1)


def pytest_runtest_logfinish() -> None:
    """An event loop in a cycle of references keeps its descriptors until garbage is looked for, which is seldom among so much that
    lives: after a thousand tests there were more than select(2) takes."""
    if next(_ended) % COLLECT_EVERY == 0:
        gc.collect()
