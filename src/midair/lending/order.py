"""What the supervisor tells the lender on its command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from msgspec import Struct

BEFORE_COMMAND = "--"


class Order(Struct, frozen=True):
    """Which program is started, and how it is treated."""

    command: tuple[str, ...]
    signal: str = "TERM"
    """What tells it to leave, without SIG."""
    quiet_s: float = 0.0
    """A program that has been at rest this long and listens nowhere is ready, if nobody has listened before; 0: never."""
    stays: bool = False
    """The lender outlives a program that ends by itself without an error, until it is told to leave."""

    def argv(self) -> tuple[str, ...]:
        """The lender's whole command line. ``-P``: the program's own folder is no place to import from."""
        options = (self.signal, f"{self.quiet_s:g}", "stays" if self.stays else "ends")
        return (sys.executable, "-P", "-m", "midair.lending", *options, BEFORE_COMMAND, *self.command)


def read_order(arguments: Sequence[str]) -> Order:
    """Of what follows ``-m midair.lending``. Raises ValueError."""
    name, quiet_s, stays, dashes, *command = arguments
    if dashes != BEFORE_COMMAND or not command:
        raise ValueError("there is no program")
    return Order(tuple(command), name, float(quiet_s), stays == "stays")
