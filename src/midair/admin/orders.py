"""What the child is told when it starts: plain values on its command line, for the supervisor imports this."""

from __future__ import annotations

from typing import Literal

import msgspec

MODULE = "midair.admin.host"


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """Where to serve what, and whom to ask for it."""

    control: str
    """Path of the control socket."""
    metrics_fd: int = -1
    """A listening socket for scrapes alone; -1: none."""
    admin_fd: int = -1
    """One for the page and all that belongs to it; -1: none."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which the page may be asked for, besides those of the machine and the address."""
    remote: Literal["all", "probes"] = "all"
    """What others than this machine may ask for."""

    def argument(self) -> str:
        return msgspec.json.encode(self).decode()


def read(argument: str) -> Orders:
    """What ``argument`` gave."""
    return msgspec.json.decode(argument, type=Orders)
