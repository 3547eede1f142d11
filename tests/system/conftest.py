"""Fixtures that several modules of system tests use."""

from tests.support.systemd import machine

__all__ = ["machine"]
