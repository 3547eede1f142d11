"""What docs/from-uvicorn-gunicorn.md says of other servers is said of all that they have."""

from __future__ import annotations

from docs.habits import GUNICORN_SIGNALS, UVICORN_SIGNALS
from gunicorn.arbiter import Arbiter
from uvicorn.supervisors.multiprocess import Multiprocess


def test_every_signal_that_they_handle_is_in_its_table() -> None:
    handled = {name.removeprefix("handle_").upper() for name in dir(Multiprocess) if name.startswith("handle_")}
    assert handled - {"SIGNALS", "BREAK"} == UVICORN_SIGNALS.keys()  # BREAK is one of Windows
    assert {each.name.removeprefix("SIG") for each in Arbiter.SIGNALS} == GUNICORN_SIGNALS.keys()
