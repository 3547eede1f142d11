"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# On a busy machine a deadline measures the neighbours, and so does how fast examples are drawn.
settings.register_profile("midair", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("midair")
