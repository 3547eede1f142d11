"""What other tools' files are called that ``midair dev`` reads. Imports nothing, since each command asks for these."""

from __future__ import annotations

import os

AIR_OWN = ".air.toml"
AIR_INSIDE = os.path.join(".config", "air.toml")
AIR = (AIR_OWN, AIR_INSIDE)
"""Where Air looks for it, first one first."""

NODEMON_OWN = "nodemon.json"
NODEMON_SHARED = "package.json"
INSIDE_NODEMON_SHARED = ("nodemonConfig",)
