"""What a service that does not run has left: its receipts. For whoever asks when it is down."""

from __future__ import annotations

import os

from midair.cli.options import Service
from midair.config.load import load
from midair.errors import ConfigError
from midair.supervisor.ledger import Receipt, read_receipts


def receipts_of(service: Service) -> list[Receipt]:
    """Newest first; nothing if there are none, or if it is not known where they would be. Says where they are."""
    try:
        settings = load(service.sources({})).settings
    except ConfigError:
        return []
    folder = os.path.join(settings.state_dir, "receipts")
    found = read_receipts(folder)
    if found and not service.show.as_json:
        service.show.warning(f"nothing runs under the name {settings.name!r}; this is what is left in {folder}")
    return found[::-1]
