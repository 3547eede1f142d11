"""Is the new version worse than the old one? Looked at each second after the cut-over until the commit."""

from __future__ import annotations

ENOUGH_RESPONSES = 20
"""Fewer answers than this say nothing."""
HEALTHY_BEFORE = 0.05
"""A predecessor that failed more often than this is no measure: a database that is down is not the new version's fault."""


def error_verdict(responses: int, errors: int, before_rate: float, limit: float) -> str:
    """Why this generation should go, or nothing.

    responses, errors: since it accepts; errors are 5xx answers and application exceptions. before_rate: the predecessor's
    share of errors in its last minute, 0..1. limit: the share that rolls back, 0 is off. Pure.
    """
    if not limit or responses < ENOUGH_RESPONSES or before_rate >= HEALTHY_BEFORE or errors < limit * responses:
        return ""
    return f"{errors} of its first {responses} answers were errors (before: {before_rate:.0%})"
