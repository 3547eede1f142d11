"""``python -m tests.simulation SEED [SCENE]``: tell one history, turn by turn, up to its end or to what broke."""

from __future__ import annotations

import sys

from tests.simulation.scenes import SCENES

seed, scene = int(sys.argv[1]), (sys.argv[2:] or ["heals"])[0]
history = SCENES[scene](seed)
print(*history.world.history, sep="\n")
