"""The lender: a command child that starts another program and lends it the service's listening sockets.

    supervisor ── LISTEN_FDS ──> lender ── stops it at bind(2), puts the socket in its place ──> program
         ^                         |
         └── READY=1 when the program listens; FDSTORE=1 with a socket that nobody had yet ──┘

The program binds its port as it always does. If a socket at that port was passed to the lender, the program gets that one; else
the lender opens one, as the program would have, and gives it to the supervisor, which passes it to all that follow. So two
versions accept side by side on one socket, and none waits for the other to let go of the port.

Where a program cannot be stopped at its calls (another system, a sandbox), versions take turns: the new one is started when the
old one has ended. That is a restart, and said once.

Alone in its process: one thread, one loop. It ends as the program ended.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from midair.lending import kernel
from midair.lending.kernel import CannotStop, Stopped
from midair.lending.order import Order, read_order
from midair.lending.quiet import Quiet
from midair.lending.sockaddr import SOCKADDR_MAX_BYTES, Asked, read_sockaddr
from midair.systemd.notify import address_bytes

FIRST_FD = 3
BACKLOG = 2048
STORED_MAX = 16
"""Sockets that one program may have kept; the supervisor has the same bound."""
LOOK_AT_REST_S = 0.2
LOOK_EVERY_S = 0.01
"""While a version before has the turn: how often it is asked for."""
PRIVATE_NAME = "health"
PR_SET_PDEATHSIG = 1
READY_TRIES = 50
"""READY=1 is a datagram; if its queue is full, it is said again 20 ms later: nothing tells when there is room."""
READY_AGAIN_S = 0.02
NOT_STARTED = 127
TAKES_TURNS = (
    "midair: programs cannot be lent a socket here ({why}), so each version starts when the one before it has ended; "
    "a program that takes LISTEN_FDS is updated without a gap"
)


def main(arguments: Sequence[str]) -> int:
    """Run the program until it ends; return its exit code."""
    return Lender(read_order(arguments)).live()


class Lender:
    """The process."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._signal = signal.Signals[f"SIG{order.signal}"]
        self._notify = address_bytes(os.environ.get("NOTIFY_SOCKET", ""))
        self._lent = _inherited()
        """Sockets that the supervisor has, too."""
        self._was_known = bool(self._lent)
        self._heard = -1
        self._program = 0
        self._status: int | None = None
        self._is_ready = False
        self._is_leaving = False
        self._wake, wakes = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, self._on_signal)

    def live(self) -> int:
        why = self._start()
        if why:
            print(TAKES_TURNS.format(why=why), file=sys.stderr, flush=True)
            self._take_turn()
        quiet = Quiet(os.getpgrp(), os.getpid(), time.monotonic())
        while self._status is None:
            if self._may_be_quiet and quiet.lasts_s(time.monotonic()) >= self._order.quiet_s:
                self._say_ready()
            self._wait(LOOK_AT_REST_S if self._may_be_quiet else None)
        return self._after(self._status)

    @property
    def _may_be_quiet(self) -> bool:
        """Nobody has listened before, and it has not bound anything: it may never do."""
        return self._order.quiet_s > 0 and not self._lent and not self._is_ready

    # --- the program ----------------------------------------------------------------------------------------------

    def _start(self) -> str:
        """Fork and execute, stopped at its calls. Return why it cannot be (nothing runs then), or empty."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            pid = os.fork()
            if pid == 0:
                ours.close()
                self._execute(theirs)
            theirs.close()
            self._program = pid
            why, fds = _receive(ours)
            if fds:
                self._heard = fds[0]
                why = self._why_blind()
                ours.send(b"n" if why else b"y")
        if why:
            os.waitpid(pid, 0)
            self._program = 0
        return why

    def _execute(self, link: socket.socket | None) -> NoReturn:
        """In the child: become the program. link: where it hands over what stops it, and hears whether to go on."""
        try:
            _be_like_new()
            if link:
                heard = kernel.stop_at_calls()
                socket.send_fds(link, [b"y"], [heard])
                os.close(heard)
                if link.recv(1) != b"y":
                    os._exit(0)
            if self._lent:
                os.environ["LISTEN_PID"] = str(os.getpid())
            os.execvp(self._order.command[0], self._order.command)
        except CannotStop as exc:
            if link:
                link.send(f"n{exc.strerror}".encode())
        except OSError as exc:
            os.write(2, f"midair: {self._order.command[0]} could not be started: {exc.strerror}\n".encode())
        finally:
            os._exit(NOT_STARTED)

    def _why_blind(self) -> str:
        """Why the program's calls could not be answered although it stops at them; empty: they can."""
        try:
            with open(f"/proc/{self._program}/mem", "rb", 0):
                pass
            kernel.socket_of(self._program, 0).close()
            return ""
        except OSError as exc:
            # That it is no socket, or that there is none, is an answer. A container's filter does not let us ask.
            return "" if exc.errno in (errno.ENOTSOCK, errno.EBADF) else exc.strerror or str(exc)

    def _take_turn(self) -> None:
        """Start the program when the version before it has ended. Ready is said first: that is what ends it."""
        self._say_ready()
        slot = os.environ.get("MIDAIR_SLOT", "0")
        folder = os.path.dirname(os.fsdecode(self._notify)) or "."
        turn = os.open(os.path.join(folder, f"turn.{slot}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while not self._is_leaving:
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Ours until this process ends.
                break
            except OSError:
                self._wait(LOOK_EVERY_S)
        if self._is_leaving:
            sys.exit(0)
        self._program = os.fork()
        if self._program == 0:
            self._execute(None)

    def _after(self, status: int) -> int:
        """What the lender's own end is, once the program has ended."""
        if self._order.stays and status == 0 and not self._is_leaving:
            self._say("STATUS=it has ended without an error; the next save starts it again")
            self._say_ready()
            while not self._is_leaving:
                self._wait(None)
            return 0
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if _is_settable(number):
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        return os.waitstatus_to_exitcode(status)

    # --- hearing --------------------------------------------------------------------------------------------------

    def _wait(self, within_s: float | None) -> None:
        """Hear what comes first: a signal, or a call of the program."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._heard >= 0:
            poll.register(self._heard, select.POLLIN)
        for fd, event in poll.poll(None if within_s is None else max(within_s * 1000, 1)):
            if fd == self._wake:
                os.read(self._wake, 4096)
                self._reap()
            elif event & select.POLLIN:
                self._stopped()
            else:  # Nobody is left who could call.
                os.close(self._heard)
                self._heard = -1

    def _on_signal(self, number: int, frame: object) -> None:
        # To the whole group, which we are in: what a shell line or a runner has started is to leave as well.
        if number == signal.SIGCHLD or self._is_leaving:
            return
        self._is_leaving = True
        if self._program:
            for ours in {self._signal, signal.SIGTERM}:
                signal.signal(ours, signal.SIG_IGN)
            os.killpg(0, self._signal)

    def _reap(self) -> None:
        if self._program and self._status is None:
            pid, status = os.waitpid(self._program, os.WNOHANG)
            if pid:
                self._status = status

    def _stopped(self) -> None:
        stopped = kernel.receive(self._heard)
        if stopped is None:
            return
        if stopped.call == "bind":
            self._bind(stopped)
        elif self._is_lent(stopped):
            # It listens already, with a queue as long as the service wants it: a second listen would cut that.
            self._say_ready()
            kernel.succeed(self._heard, stopped)
        else:
            if not self._was_known:
                self._say_ready()
            kernel.go_on(self._heard, stopped)

    # --- lending --------------------------------------------------------------------------------------------------

    def _bind(self, stopped: Stopped) -> None:
        """Answer a bind: with a socket of ours if it is about a TCP port, else let the kernel do it."""
        try:
            length = min(stopped.length, SOCKADDR_MAX_BYTES)
            asked = read_sockaddr(kernel.memory_of(stopped.process, stopped.address, length))
            if asked is None or asked.port == 0:
                return kernel.go_on(self._heard, stopped)
            with kernel.socket_of(stopped.process, stopped.fd) as its:
                if its.type != socket.SOCK_STREAM:
                    return kernel.go_on(self._heard, stopped)
                listener = self._at(asked, its)
                # The mode that its event loop has set: one that relies on it could not be woken from an accept that blocks.
                os.set_blocking(listener.fileno(), os.get_blocking(its.fileno()))
            kernel.put(self._heard, stopped, listener.fileno())
            return kernel.succeed(self._heard, stopped)
        except OSError as exc:
            return kernel.fail(self._heard, stopped, exc.errno or errno.EIO)

    def _at(self, asked: Asked, its: socket.socket) -> socket.socket:
        """Our socket at that port; a new one, that the supervisor keeps from now on, if there is none. Raises OSError.

        The port decides: which of its addresses a service has, its configuration says.
        """
        for listener in self._lent:
            if listener.family != socket.AF_UNIX and listener.getsockname()[1] == asked.port:
                return listener
        if len(self._lent) >= STORED_MAX:
            raise OSError(errno.EMFILE, "too many ports")
        listener = _open(asked, its)
        self._lent.append(listener)
        self._say("FDSTORE=1", listener=listener)
        return listener

    def _is_lent(self, stopped: Stopped) -> bool:
        try:
            inode = os.stat(f"/proc/{stopped.process}/fd/{stopped.fd}").st_ino
        except OSError:
            return False
        return any(os.fstat(listener.fileno()).st_ino == inode for listener in self._lent)

    # --- saying ---------------------------------------------------------------------------------------------------

    def _say_ready(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            self._say("READY=1")

    def _say(self, line: str, listener: socket.socket | None = None) -> None:
        """A datagram to the supervisor; while its queue is full it is said again."""
        if not self._notify:
            return
        fds = array.array("i", [listener.fileno()] if listener else [])
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if listener else []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            for _ in range(READY_TRIES):
                try:
                    notify.sendmsg([line.encode()], beside, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, self._notify)
                    return
                except BlockingIOError:
                    time.sleep(READY_AGAIN_S)
                except OSError:
                    return  # Nobody hears us any more: the supervisor is gone, and we are about to be told.


def _inherited() -> list[socket.socket]:
    """What was passed to us, but the private socket: that one is the program's as it is."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    return [socket.socket(fileno=FIRST_FD + place) for place, name in enumerate(names) if name != PRIVATE_NAME]


def _open(asked: Asked, its: socket.socket) -> socket.socket:
    """A listening socket as the program would have made it. Raises OSError."""
    listener = socket.socket(asked.family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if asked.family == socket.AF_INET6:
            only = its.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        listener.bind(asked.place)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _receive(link: socket.socket) -> tuple[str, list[int]]:
    """The child's first word: a descriptor, or why there is none."""
    data, fds, _, _ = socket.recv_fds(link, 512, 1)
    return ("", fds) if fds else (data[1:].decode(errors="replace") or "it ended", [])


def _be_like_new() -> None:
    """In the forked child: no handler of ours, and an end with the lender's."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if _is_settable(number) and callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _is_settable(number: int) -> bool:
    return number not in {signal.SIGKILL, signal.SIGSTOP}
