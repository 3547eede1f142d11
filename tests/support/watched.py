"""A service under ``midair dev``: what is saved is served, and pages in a browser are told."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

from tests.support.service import STOP_WITHIN_S, Service


class Watched(Service):
    """As ``Service``, run by ``midair dev``. What is saved into its folder leads to an update by itself."""

    def __init__(self, tmp: Path, app: str = "shop_page", *, flags: tuple[str, ...] = (), **more: Any) -> None:
        # Without its lines the log of a service that is asked all the while shows what midair says.
        super().__init__(tmp, app, flags=("--no-access-log", *flags), **{"workers": 1, **more})
        # midair dev keeps apart from the service that the file describes; tests keep apart from those of this machine.
        self._env |= {"MIDAIR_RUNTIME_DIR": str(self.runtime), "MIDAIR_STATE_DIR": str(tmp / "state")}

    def line(self, fd: int) -> list[str]:
        return [*self._prefix, sys.executable, "-m", "midair", "dev", "--bind", f"fd://{fd}", *self._flags]

    def stop(self) -> None:
        """As Ctrl-C does."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(STOP_WITHIN_S)

    def start_again(self, port: int) -> None:
        """``midair dev`` once more, on the same address."""
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sock.bind(("127.0.0.1", port))
        self._sock.listen(100)
        self.start()

    def save(self, name: str, text: str) -> None:
        """A file of the project, written in place as most editors do."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self, name: str, old: str, new: str) -> None:
        """One edit of a file that is there."""
        text = (self.folder / name).read_text()
        assert old in text, (old, text)
        self.save(name, text.replace(old, new))
