"""Raises while it is imported."""

VERSION = "0"

raise RuntimeError("the import of this version fails on purpose")
