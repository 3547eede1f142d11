"""Clients that mean harm: at a service's control socket, and at its admin address. Nothing of theirs is polite, all is bounded."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from midair.control import words
from midair.control.framing import encode_request
from midair.control.place import control_socket, short_path
from tests.support.service import Service

ANSWER_WITHIN_S = 20.0


def control(service: Service) -> str:
    return control_socket(str(service.runtime))


def connected(path: str) -> socket.socket:
    """A connection to a Unix socket. Raises OSError."""
    client = socket.socket(socket.AF_UNIX)
    try:
        with short_path(path) as short:
            client.connect(short)  # without a time-out it waits while the queue is full
    except OSError:
        client.close()
        raise
    client.settimeout(ANSWER_WITHIN_S)
    return client


@contextlib.contextmanager
def held(
    connect: Callable[[], socket.socket], count: int, first: Callable[[socket.socket], object]
) -> Iterator[list[socket.socket]]:
    """``count`` connections at once, each of which has done ``first``: those that were hung up on meanwhile included."""
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            clients.append(stack.enter_context(connect()))
            with contextlib.suppress(OSError):
                first(clients[-1])
        yield clients


def said(client: socket.socket) -> bytes:
    """All that comes until it is hung up on; nothing if it is reset."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(65536):
            found += data
    return found


def junk(seed: int, count: int) -> Iterator[bytes]:
    """Frames of nonsense: no frames, lengths that lie, JSON that is none, words that nobody knows, numbers without end."""
    draw = random.Random(seed)
    for _ in range(count):
        payload = draw.choice(
            [
                draw.randbytes(draw.randint(1, 2000)),
                b'{"word":"' + draw.randbytes(5).hex().encode() + b'"}',
                b'{"word":"history","limit":' + b"9" * draw.randint(1, 5000) + b"}",
                b'{"word":"receipt","number":-1,"protocol":"x"}',
                b'{"word":"logs","limit":-7,"generation":' + str(draw.randint(-9, 9)).encode() + b"}",
                b"[" * draw.randint(1, 30000),
                b'{"word":"status","folder":"\\ud800"}',
                b'{"word":"reload","wait":"for ever"}',
                b"\xff\xfe" * 9,
            ]
        )
        length = draw.choice([len(payload), len(payload), len(payload) + draw.randint(1, 99), 0, 2**31, 2**32 - 1])
        yield length.to_bytes(4, "big") + payload


def flood(request: words.Request) -> bytes:
    """One request, and much behind it."""
    return encode_request(request) + b"x" * 200_000


@contextlib.contextmanager
def as_nobody(folder: Path) -> Iterator[Callable[[Callable[[], object]], str]]:
    """Runs a function in a child that is nobody's, and returns what it returned, as text. Needs root."""
    account = pwd.getpwnam("nobody")
    os.chmod(folder, 0o755)

    def run(function: Callable[[], object]) -> str:
        reads, writes = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
                os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
                os.write(writes, str(function()).encode())
            except (OSError, ValueError, msgspec.MsgspecError):  # told as text: the test looks at it
                os.write(writes, traceback.format_exc().encode()[-4000:])
            finally:
                os._exit(0)
        os.close(writes)
        with os.fdopen(reads, "rb") as answer:
            told = answer.read().decode()
        os.waitpid(pid, 0)
        return told

    yield run


def asked(path: str, request: words.Request) -> str:
    """The kind of the first answer and, if it is a refusal, its code: ``refused not-allowed``."""
    with connected(path) as client:
        client.sendall(encode_request(request))
        answer = said(client)
    told = msgspec.json.decode(answer[4 : 4 + int.from_bytes(answer[:4], "big")])
    return " ".join(filter(None, (told["word"], told.get("fault", {}).get("code", ""))))
