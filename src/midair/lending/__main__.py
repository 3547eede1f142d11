"""``python -m midair.lending``: the lender, a command child of the supervisor."""

from __future__ import annotations

import sys

from midair.lending.lender import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
