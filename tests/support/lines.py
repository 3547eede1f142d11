"""A client of a line server that never connects anew: each line must be answered, with its number on that connection."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from types import TracebackType

from tests.support.waiting import wait_for

ANSWER_WITHIN_S = 20.0


class Lines:
    """Entered: connected, each connection answered once. Left: the last answers are in; ``broken`` says what went wrong."""

    def __init__(self, host: str, port: int, connections: int = 20) -> None:
        self._address = (host, port)
        self._count = connections
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask_on)
        self._connections: list[tuple[socket.socket, list[int]]] = []
        self.broken: list[str] = []
        self.versions: Counter[str] = Counter()
        self.answered = 0

    def __enter__(self) -> Lines:
        for _ in range(self._count):
            connection = socket.create_connection(self._address, ANSWER_WITHIN_S)
            self._connections.append((connection, [0]))
        for connection, count in self._connections:
            self._ask(connection, count)
        assert self.broken == []
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(2 * ANSWER_WITHIN_S)
        for connection, _ in self._connections:
            connection.close()

    def wait_for(self, version: str, more: int = 100) -> None:
        """Until ``version`` has answered so many lines more, or something is broken."""
        name = f"v{version}"
        before = self.versions[name]
        wait_for(
            lambda: self.broken or self.versions[name] > before + more, ANSWER_WITHIN_S, what=f"answers of {version}"
        )

    def _ask_on(self) -> None:
        while not self._stop.is_set() and not self.broken:
            for connection, count in self._connections:
                self._ask(connection, count)
            self._stop.wait(0.005)

    def _ask(self, connection: socket.socket, count: list[int]) -> None:
        """One line, every third in two pieces: an update finds connections in the middle of one."""
        count[0] += 1
        line = b"line %d\n" % count[0]
        half = len(line) // 2 if count[0] % 3 == 0 else 0
        try:
            connection.sendall(line[:half])
            self._stop.wait(0.001 if half else 0)
            connection.sendall(line[half:])
            answer = b""
            while not answer.endswith(b"\n"):
                data = connection.recv(4096)
                if not data:
                    self.broken.append(f"{line!r}: end of file after {answer!r}")
                    return
                answer += data
        except OSError as exc:
            self.broken.append(f"{line!r}: {exc!r}")
            return
        number, version, rest = answer.split(b" ", 2)
        if int(number) != count[0] or rest != line:
            self.broken.append(f"{line!r} was answered with {answer!r}")
        self.versions[version.decode()] += 1
        self.answered += 1
