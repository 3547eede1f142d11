"""The addresses in a configuration: whether each is one."""

from __future__ import annotations

from midair.config.load import Loaded
from midair.config.origins import DEFAULT
from midair.config.problems import BadConfig, Problem
from midair.sockets.address import BadAddress, parse


def check_addresses(loaded: Loaded) -> None:
    """Read all addresses. Raises BadConfig naming each one that is none, and where it came from."""
    wanted = [("bind", address) for address in loaded.settings.bind]
    for key, address in (
        ("metrics.address", loaded.settings.metrics.address),
        ("admin.address", loaded.settings.admin.address),
    ):
        if address:
            wanted.append((key, address))
    problems = []
    for key, address in wanted:
        try:
            parse(address, loaded.settings.folder)
        except BadAddress as exc:
            origin = loaded.origins.get(key, DEFAULT)
            problems.append(Problem("" if origin.kind == "default" else str(origin), f"{key}: {exc}", exc.hint))
    if problems:
        raise BadConfig(problems)
