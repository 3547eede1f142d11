"""Takes IMPORT_S (3) seconds to import, and is right otherwise."""

import os
import time

from good import app  # noqa: F401

VERSION = "0"

time.sleep(float(os.environ.get("IMPORT_S", "3")))
