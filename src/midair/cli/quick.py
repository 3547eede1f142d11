"""``midair status`` as it is typed when something is wrong: without the parser of the command line.

To import that one takes about as long as all that a status needs.
"""

from __future__ import annotations

import os

from midair.cli import statusscreen
from midair.cli.show import Show
from midair.config.client import load_client
from midair.errors import MidairError


def status(*, as_json: bool, ready: bool) -> int | None:
    """Show how the service of this folder is; the exit code. None: something unforeseen, for the whole command line to tell."""
    code = 0
    show = Show(as_json=as_json)
    try:
        address = load_client(config=os.environ.get("MIDAIR_CONFIG", ""), environ=os.environ)
        if ready:
            code = statusscreen.tell_ready(show, address)
        else:
            statusscreen.tell(show, address)
        show.out.flush()
    except MidairError as error:
        return show.failure(error.fault(), error.exit_code)
    except Exception:  # noqa: BLE001  # a bug or a reader that has gone: there it is told, with all that belongs to it
        return None
    return code
