"""Imports a module that is not installed."""

import a_module_that_nobody_installed  # noqa: F401
from good import app  # noqa: F401

VERSION = "0"
