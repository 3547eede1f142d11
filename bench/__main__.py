"""``python -m bench``: every bench, or the named ones. Each prints a table and what the peers' versions are.

Loopback only, one bench at a time: client and servers share this machine's cores, so figures compare within one run.
"""

from __future__ import annotations

import importlib
import sys

BENCHES = (
    "throughput",
    "traces",
    "frameworks",
    "websocket_echo",
    "latency",
    "save",
    "reload_loss",
    "bad_version",
    "keep_alive",
    "websockets",
    "pace",
    "idle",
    "idle_services",
    "commands",
    "memory",
)


def main(names: list[str]) -> int:
    """Run the named benches. 0: all ran; 2: one is not known."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"error: no bench is called {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    for name in names or BENCHES:
        importlib.import_module(f"bench.{name}").main()
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
