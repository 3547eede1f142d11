"""A service that only has a control socket: it says what the test tells it to, in the real words, over a real socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, TypeAlias

from midair.control.framing import REQUEST_MAX_BYTES, FrameDecoder, decode_request, encode_answer
from midair.control.place import control_socket, short_path
from midair.control.words import AnyAnswer, Request

Script: TypeAlias = Callable[[Request], Sequence[AnyAnswer | bytes]]
"""What to answer; bytes are sent as they are. Afterwards the connection is closed."""


class FakeService:
    """Entered: takes calls. Left: gone, and every error of the script is raised."""

    def __init__(self, folder: Path, script: Script, *, name: str = "shop", keep_open: bool = False) -> None:
        self.folder = folder / name
        self.runtime = folder / "run" / "midair" / name
        self.folder.mkdir(exist_ok=True)
        self.runtime.mkdir(parents=True)
        (self.folder / "midair.toml").write_text(f'name = "{name}"\nruntime_dir = "{self.runtime}"\napp = "main:app"\n')
        self.requests: list[Request] = []
        self.hung_up = threading.Event()
        """Set when a client that was kept waiting has gone."""
        self._script, self._keep_open = script, keep_open
        self._errors: list[BaseException] = []
        self._listener = socket.socket(socket.AF_UNIX)
        with short_path(control_socket(str(self.runtime))) as path:
            self._listener.bind(path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        assert not self._thread.is_alive()
        assert not self._errors, self._errors

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection)
                except OSError:
                    pass  # the client has heard enough
                except (AssertionError, LookupError, TypeError, ValueError) as error:
                    self._errors.append(error)

    def _answer(self, connection: socket.socket) -> None:
        decoder = FrameDecoder(REQUEST_MAX_BYTES)
        while data := connection.recv(65536):
            for frame in decoder.feed(data):
                request = decode_request(frame)
                self.requests.append(request)
                for answer in self._script(request):
                    connection.sendall(answer if isinstance(answer, bytes) else encode_answer(answer))
                if not self._keep_open:
                    return
                with contextlib.suppress(OSError):
                    connection.settimeout(10)
                    connection.recv(1)
                self.hung_up.set()
                return
