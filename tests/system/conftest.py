"""Fixtures that several modules of system tests use."""

from tests.support.groups import group
from tests.support.systemd import machine

__all__ = ["group", "machine"]
