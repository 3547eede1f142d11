"""The kernel's side of lending: a seccomp filter that stops a program at bind(2) and listen(2), and the answers to it.

    program           bind(3, [::]:8080)  ── stops ──┐
    lender    receive() -> Stopped(...)              │   put(stopped, listener): descriptor 3 is our listener from now on
              answer(stopped)  ────── goes on, 0 ────┘

Linux 5.9, on x86-64 and arm64. The filter costs the two calls that it stops, and nothing else. It is inherited by whatever the
program starts, and stays for ever: with it, programs that change the user (sudo) do not, unless we are root.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from typing import Literal

_SECCOMP_SET_MODE_FILTER = 1
_FILTER_FLAG_NEW_LISTENER = 1 << 3
_RET_USER_NOTIF = 0x7FC00000
_RET_ALLOW = 0x7FFF0000
_RESP_CONTINUE = 1
_ADDFD_SETFD = 1
_RECV, _SEND, _ADDFD = 0xC0502100, 0xC0182101, 0x40182103
_PR_SET_NO_NEW_PRIVS = 38
_PIDFD_GETFD = 438
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_PUT = struct.Struct("=QIIII")
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_DATA_NR, _DATA_ARCH = 0, 4


@dataclass(frozen=True, slots=True)
class Machine:
    """Numbers of the calls, and what the kernel calls the processor."""

    arch: int
    seccomp: int
    bind: int
    listen: int


MACHINES = {
    "x86_64": Machine(0xC000003E, 317, 49, 50),
    "aarch64": Machine(0xC00000B7, 277, 200, 201),
}


@dataclass(frozen=True, slots=True)
class Stopped:
    """A call of the program that waits for its answer."""

    id: int
    process: int
    call: Literal["bind", "listen"]
    fd: int
    address: int
    """bind: where the address stands in the program's memory."""
    length: int


class CannotStop(OSError):
    """The kernel, or what surrounds us (a sandbox), does not let us stop a program at its calls."""


def machine() -> Machine | None:
    """Ours; None: not on this system."""
    is_linux = os.uname().sysname == "Linux"
    return MACHINES.get(os.uname().machine) if is_linux else None


def filter_of(known: Machine) -> bytes:
    """The filter's program: bind and listen of this processor's own calls are told, everything else is allowed."""
    return b"".join(
        _INSTRUCTION.pack(*instruction)
        for instruction in (
            (_LOAD_WORD, 0, 0, _DATA_ARCH),
            (_JUMP_IF_EQUAL, 0, 3, known.arch),
            (_LOAD_WORD, 0, 0, _DATA_NR),
            (_JUMP_IF_EQUAL, 2, 0, known.bind),
            (_JUMP_IF_EQUAL, 1, 0, known.listen),
            (_RETURN, 0, 0, _RET_ALLOW),
            (_RETURN, 0, 0, _RET_USER_NOTIF),
        )
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def stop_at_calls() -> int:
    """From now on this process, and what it executes and starts, stops at bind and listen; return the descriptor where that is
    heard. Raises CannotStop. To be called in a forked child."""
    known = machine()
    if known is None:
        raise CannotStop(errno.ENOSYS, "not on this system")
    libc = ctypes.CDLL(None, use_errno=True)
    code = filter_of(known)
    kept = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // _INSTRUCTION.size, ctypes.addressof(kept))
    if os.geteuid() != 0:
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    fd = libc.syscall(known.seccomp, _SECCOMP_SET_MODE_FILTER, _FILTER_FLAG_NEW_LISTENER, ctypes.byref(program))
    if fd < 0:
        raise CannotStop(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(fd)


def receive(heard: int) -> Stopped | None:
    """The next call that waits, from a readable ``heard``; None: who called has gone meanwhile."""
    buffer = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(heard, _RECV, buffer)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    id_, thread, _, number, _, _, fd, address, length, *_ = _NOTIFICATION.unpack(buffer)
    known = machine()
    assert known is not None
    call: Literal["bind", "listen"] = "bind" if number == known.bind else "listen"
    return Stopped(id_, process_of(thread), call, fd, address, length)


def go_on(heard: int, stopped: Stopped) -> None:
    """The kernel does what the program asked for."""
    _answer(heard, stopped, 0, _RESP_CONTINUE)


def succeed(heard: int, stopped: Stopped) -> None:
    """The call returns 0, and nothing was done."""
    _answer(heard, stopped, 0, 0)


def fail(heard: int, stopped: Stopped, number: int) -> None:
    """The call fails with the error ``number``."""
    _answer(heard, stopped, -number, 0)


def _answer(heard: int, stopped: Stopped, error: int, flags: int) -> None:
    try:
        fcntl.ioctl(heard, _SEND, _ANSWER.pack(stopped.id, 0, error, flags))
    except OSError as exc:
        if exc.errno != errno.ENOENT:  # It was killed while it waited.
            raise


def put(heard: int, stopped: Stopped, fd: int) -> None:
    """Put a copy of our ``fd`` in the place of the descriptor that the call is about. Raises OSError."""
    # It was made close-on-exec, or it was not: programs that pass sockets on clear the flag when they do.
    fcntl.ioctl(heard, _ADDFD, _PUT.pack(stopped.id, _ADDFD_SETFD, fd, stopped.fd, os.O_CLOEXEC))


def memory_of(process: int, address: int, length: int) -> bytes:
    """Bytes of a process that has stopped. Raises OSError."""
    with open(f"/proc/{process}/mem", "rb", 0) as memory:
        memory.seek(address)
        return memory.read(length)


def socket_of(process: int, fd: int) -> socket.socket:
    """A copy of the descriptor of another process. Raises OSError if that is no socket, or if we may not."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(process)
    try:
        copy = libc.syscall(_PIDFD_GETFD, pidfd, fd, 0)
        if copy < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(pidfd)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


def may_copy_descriptors() -> bool:
    """Whether a copy of a descriptor may be asked for at all: Docker's filter refuses even one of our own."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        ours = os.pidfd_open(os.getpid())
    except OSError:
        return False
    try:
        copy = libc.syscall(_PIDFD_GETFD, ours, ours, 0)
        if copy >= 0:
            os.close(copy)
        return bool(copy >= 0)
    finally:
        os.close(ours)


def process_of(thread: int) -> int:
    """The process of a thread; 0: it is gone."""
    try:
        with open(f"/proc/{thread}/status", "rb") as file:
            return int(next((line for line in file if line.startswith(b"Tgid:")), b"Tgid: 0").split()[1])
    except OSError:
        return 0
