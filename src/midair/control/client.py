"""The command line's side of the control socket: find the service, ask, read answers. Blocking, one request a connection."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from midair.config.client import ServiceAddress
from midair.control.framing import ANSWER_MAX_BYTES, FrameDecoder, FramingError, decode_answer, encode_request
from midair.control.place import control_socket, services_in, short_path
from midair.control.words import GOING_ON, Accepted, AnyAnswer, Outcome, Progress, Refused, Request, Stop, Wait, Watch
from midair.errors import DONE, Fault, MidairError, NotRunning, OutcomeUnknown, WorldError

ANSWER_WITHIN_S = 10.0
"""For questions that the supervisor answers from memory."""
RESUME_WITHIN_S = 10.0
"""How long a watcher that was hung up on tries to come back: the supervisor may be re-executing itself."""
RETRY_S = 0.05
RECEIVE_BYTES = 64 * 1024
UNIT_DIRS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
WANTED_DIR = "/etc/systemd/system/multi-user.target.wants"
"""Where instances of a template are, once they are enabled."""

A = TypeVar("A")


class RefusedByService(MidairError):
    """The service said no. Code, hint and exit code are its own."""

    def __init__(self, fault: Fault, exit_code: int) -> None:
        super().__init__(fault.message, hint=fault.hint, detail=fault.detail)
        self.code, self.exit_code = fault.code, exit_code


class NotAllowed(WorldError):
    """The control socket is another user's, and we are in none of its groups."""

    code = "not-allowed"
    hint = "ask as the service's own user or as root, or have your group named in control.operators or control.readers"


class HungUp(MidairError):
    """The service closed the connection in the middle of its answers."""

    code = "hung-up"
    hint = "see the service's own log; midair status tells whether it runs"


def connect(address: ServiceAddress, *, timeout_s: float = ANSWER_WITHIN_S) -> socket.socket:
    """A connection to the service's control socket. Raises NotRunning, NotAllowed."""
    stale = ""
    if not hasattr(socket, "AF_UNIX"):  # a system where no service can run, and whoever asks goes on without one
        raise NotRunning(f"nothing runs under the name {address.name!r}")
    for folder in address.runtime_dirs:
        path = control_socket(folder)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        try:
            _connect(connection, path, timeout_s)
        except OSError as exc:
            connection.close()
            if exc.errno in (errno.EACCES, errno.EPERM):
                raise NotAllowed(f"{path} may not be used by this user") from exc
            if exc.errno in (errno.EAGAIN, errno.ETIMEDOUT) or isinstance(exc, TimeoutError):
                raise OutcomeUnknown(
                    f"{address.name} does not take our call", hint="is it stopped or very busy?"
                ) from exc
            if exc.errno == errno.ECONNREFUSED:
                stale = path
        else:
            return connection
    raise _not_running(address, stale)


def _connect(connection: socket.socket, path: str, timeout_s: float) -> None:
    """As ``connect``; a queue that is full is waited for, which a socket with a time-out does not do by itself."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            with short_path(path) as short:
                return connection.connect(short)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(RETRY_S)  # Nothing tells when the queue of a Unix socket has room.


def _not_running(address: ServiceAddress, stale: str) -> NotRunning:
    others = [name for name in living_services(address) if name != address.name]
    unit = unit_of(address.name)
    if unit:
        # Started by hand it would be another user's, and systemd would know nothing of it.
        hint = f"systemctl status {unit} says why; systemctl start {unit} starts it"
    elif others:
        hint = f"running here: {', '.join(others)}; choose one with --name, or start this one with midair run"
    else:
        hint = "start it with midair run, or say where it was started: -C FOLDER, --name NAME"
    detail = f"{stale} was left behind by one that was killed" if stale else ""
    return NotRunning(f"nothing runs under the name {address.name!r}", hint=hint, detail=detail)


def unit_of(name: str, root: str = "/") -> str:
    """The systemd unit that is to run the service of this name (``shop``, ``midair@shop``); empty: none, or no systemd."""
    if not os.path.isdir(f"{root}/run/systemd/system"):
        return ""
    if any(os.path.exists(f"{root}{folder}/{name}.service") for folder in UNIT_DIRS):
        return name
    return f"midair@{name}" if os.path.lexists(f"{root}{WANTED_DIR}/midair@{name}.service") else ""


def living_services(address: ServiceAddress) -> dict[str, str]:
    """The services on this machine that take calls: runtime folder by name."""
    return {name: folder for name, folder in services_in(address.bases).items() if _takes_calls(folder)}


def _takes_calls(folder: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            with short_path(control_socket(folder)) as short:
                probe.connect(short)
        except OSError as exc:
            return exc.errno in (errno.EACCES, errno.EPERM, errno.EAGAIN)  # somebody's, and alive
    return True


def ask(address: ServiceAddress, request: Request, *, timeout_s: float = ANSWER_WITHIN_S) -> Iterator[AnyAnswer]:
    """The answers to ``request`` as they come. timeout_s: from now to the last one; 0: for ever.

    Raises NotRunning, NotAllowed, RefusedByService, OutcomeUnknown when time is up, HungUp when the stream breaks off,
    FramingError when it is not one.
    """
    deadline_s = time.monotonic() + timeout_s if timeout_s else None
    if address.is_by_folder:
        request = msgspec.structs.replace(request, folder=address.folder)
    with connect(address) as connection:
        try:
            connection.sendall(encode_request(request))
        except (BrokenPipeError, ConnectionResetError):
            pass  # It may have said why, before it hung up.
        decoder = FrameDecoder(ANSWER_MAX_BYTES)
        while data := _receive(connection, deadline_s, timeout_s):
            for frame in decoder.feed(data):
                answer = decode_answer(frame)
                if isinstance(answer, Refused):
                    raise RefusedByService(answer.fault, answer.exit_code)
                yield answer
                if not isinstance(answer, GOING_ON):
                    return
    raise HungUp(f"{address.name} hung up before it had answered")


def _receive(connection: socket.socket, deadline_s: float | None, timeout_s: float) -> bytes:
    """What came; nothing at end of file. Raises OutcomeUnknown."""
    left_s = None if deadline_s is None else max(deadline_s - time.monotonic(), 0.001)
    connection.settimeout(left_s)
    try:
        return connection.recv(RECEIVE_BYTES)
    except TimeoutError as exc:
        raise OutcomeUnknown(
            f"no final answer within {timeout_s:g} s",
            hint="nothing was stopped by that; midair status tells how it goes",
        ) from exc
    except ConnectionResetError:
        return b""


def ask_one(address: ServiceAddress, request: Request, kind: type[A], *, timeout_s: float = ANSWER_WITHIN_S) -> A:
    """The one answer to ``request``. Raises as ``ask``, and FramingError for an answer of another kind."""
    for answer in ask(address, request, timeout_s=timeout_s):
        if isinstance(answer, kind):
            return answer
        raise FramingError(f"the service answered with {type(answer).__name__} instead of {kind.__name__}")
    raise AssertionError("ask yields or raises")


def follow(
    address: ServiceAddress,
    request: Request,
    *,
    told: Callable[[Accepted | Progress], None],
    timeout_s: float = 0.0,
    wait: Wait = "commit",
) -> Outcome:
    """Ask for an update, tell what happens, and return how it ended. timeout_s: 0: for ever.

    A stream that breaks off (the supervisor re-executed itself) is taken up again where it broke off. Raises as
    ``ask``; OutcomeUnknown when it could not be taken up.
    """
    watching = _Watching(told)
    deadline_s = time.monotonic() + timeout_s if timeout_s else None
    current = request
    lost_at_s: float | None = None
    while True:
        seen = watching.number
        try:
            for answer in ask(address, current, timeout_s=_left_s(deadline_s)):
                if outcome := watching.take(answer):
                    return outcome
        except (HungUp, NotRunning) as exc:
            if not watching.update:
                raise
            if isinstance(request, Stop):
                return Outcome(update=watching.update, result="stopped", exit_code=DONE)
            now_s = time.monotonic()
            lost_at_s = now_s if lost_at_s is None or watching.number > seen else lost_at_s
            if now_s - lost_at_s > RESUME_WITHIN_S:
                raise OutcomeUnknown(
                    f"the connection broke off during update {watching.update}",
                    hint=f"midair receipt {watching.update} tells how it ended, once the service answers",
                ) from exc
            time.sleep(RETRY_S)
            current = Watch(update=watching.update, after=watching.number, wait=wait)


def _left_s(deadline_s: float | None) -> float:
    return 0.0 if deadline_s is None else max(deadline_s - time.monotonic(), 0.001)


class _Watching:
    """What a watcher knows so far, and must not be told twice."""

    def __init__(self, told: Callable[[Accepted | Progress], None]) -> None:
        self._told = told
        self.update = 0
        self.number = 0

    def take(self, answer: AnyAnswer) -> Outcome | None:
        match answer:
            case Outcome():
                return answer
            case Accepted(update=update):
                if not self.update:
                    self._told(answer)
                self.update = update
            case Progress(number=number):
                if number > self.number:
                    self.number = number
                    self._told(answer)
            case _:
                raise FramingError(f"the service answered with {type(answer).__name__} during an update")
        return None
