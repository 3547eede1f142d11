"""A load of WebSocket messages that costs next to nothing: frames made once, answers counted and not read.

    python -m bench.load PORT CONNECTIONS IN_FLIGHT BYTES SECONDS [--deflate]

Each connection keeps so many messages in flight: it sends them in one piece and, whenever answers are back, as many new
ones. The frames are the same each time, masked and compressed beforehand; of an answer only the frame's length is looked
at. What is printed is JSON: messages answered, seconds, the client's own processor seconds.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import time

from midair.testing.frames import FIN, RSV1, TEXT, Deflater, frame

HEAD_END = b"\r\n\r\n"
WITHIN_S = 10.0
ALPHABET = "the quick brown fox jumps over the lazy dog"


class Connection:
    """One WebSocket with so many messages in flight."""

    def __init__(self, port: int, message: bytes, in_flight: int, *, is_compressed: bool) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._shake_hands(is_compressed)
        self._message = message
        self._buffer = b""
        self.sock.sendall(message * in_flight)
        self.sock.setblocking(False)

    def _shake_hands(self, is_compressed: bool) -> None:
        offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" if is_compressed else ""
        self.sock.sendall(
            b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + offer.encode() + b"\r\n"
        )
        head = b""
        while not head.endswith(HEAD_END):
            head += self.sock.recv(1)
        if not head.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"no WebSocket: {head!r}")
        if is_compressed and b"permessage-deflate" not in head:
            raise SystemExit("no compression")

    def turn(self) -> int:
        """Read what is there and send as many new messages as answers are back: how many."""
        data = self._buffer + self.sock.recv(1 << 18)
        at, answers, end = 0, 0, len(data)
        while at + 2 <= end:
            length = data[at + 1]
            if length < 126:
                after = at + 2 + length
            elif at + 4 > end:
                break
            else:
                after = at + 4 + (data[at + 2] << 8 | data[at + 3])
            if after > end:
                break
            if data[at] & 0x0F != TEXT:
                raise SystemExit(f"no answer: {data[at : at + 20]!r}")
            at, answers = after, answers + 1
        self._buffer = data[at:]
        if answers:
            # Never more than was in flight: the socket's buffer has room for it.
            self.sock.sendall(self._message * answers)
        return answers


def text_of(size: int) -> bytes:
    """A text of so many bytes that can be compressed, though not to nothing."""
    words = [f"{number * 7919 % 10_007} {ALPHABET[number % 20 :]}" for number in range(size // 20 + 1)]
    return " ".join(words).encode()[:size]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "connections", "in_flight", "bytes"):
        parser.add_argument(name, type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--deflate", action="store_true")
    options = parser.parse_args()
    payload = text_of(options.bytes)
    # Compressed with an empty window it can be read with any: the same bytes may be sent again and again.
    message = frame(TEXT, Deflater(12).compress(payload), flags=FIN | RSV1) if options.deflate else frame(TEXT, payload)
    with selectors.DefaultSelector() as selector:
        for _ in range(options.connections):
            connection = Connection(options.port, message, options.in_flight, is_compressed=options.deflate)
            selector.register(connection.sock, selectors.EVENT_READ, connection)
        answered, began_s, began_cpu_s = 0, time.monotonic(), time.process_time()
        end_s = began_s + options.seconds
        while (now_s := time.monotonic()) < end_s:
            ready = selector.select(WITHIN_S)
            if not ready:
                raise SystemExit(f"no answer for {WITHIN_S} s")
            for key, _ in ready:
                answered += key.data.turn()
    cpu_s = time.process_time() - began_cpu_s
    print(json.dumps({"answered": answered, "seconds": now_s - began_s, "client_cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
