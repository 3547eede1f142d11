"""Leaves the process while it is imported, with the exit code of success."""

import sys

VERSION = "0"

sys.exit(0)
