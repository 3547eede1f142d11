"""The units on the page about systemd, made of the configuration that stands there: ``python -m docs.reference`` writes them."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import msgspec

from midair.config.load import load, sources_for_run
from midair.config.schema import Settings
from midair.systemd.units import Wanted, units

FOLDER = "/srv/shop"
COMMAND = (f"{FOLDER}/.venv/bin/midair",)
MADE = re.compile(r"(<!-- made: (\S+) -->\n```ini\n)(.*?)(^```$)", re.MULTILINE | re.DOTALL)
"""A block of the page that is a unit, and its name."""


def with_units(text: str) -> str:
    """The page with its units as midair makes them now."""
    shop = _shop(text)
    made = {unit.name: unit for unit in units(shop, Wanted(command=COMMAND, user="shop", has_socket=True))}
    made |= {unit.name: unit for unit in units(shop, Wanted(command=COMMAND, user="shop"))}
    return MADE.sub(lambda found: f"{found[1]}{made[found[2]].text()}{found[4]}", text)


def _shop(text: str) -> Settings:
    """What the first configuration of the page says, for a service in FOLDER."""
    (configuration,) = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[:1]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "midair.toml").write_text(configuration)
        settings = load(sources_for_run(folder=folder, environ={})).settings
    return msgspec.structs.replace(settings, name="shop", folder=FOLDER, runtime_dir="", state_dir="")
