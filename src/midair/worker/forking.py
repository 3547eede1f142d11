"""Forking: a process of a service that waits for words and makes others, whose parent will be the supervisor.

A *spare* is forked ahead of the next import and waits where its parent does, so that the import need not wait for the fork.

The fork goes through a middle process that ends at once, so that the child is an orphan and comes to the supervisor, a subreaper.
``serve_forks`` returns in each child, with what it is to be: a child goes on where its parent stood, be that the end of an
import or the middle of one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

import midair
from midair import hooks
from midair.sockets import passing, words
from midair.worker import forksafety

if TYPE_CHECKING:
    from midair.worker.certificates import Certificate
    from midair.worker.checkpoint import Stops

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15


class Host(Struct):
    """This process."""

    link: socket.socket
    supervisor: int
    """PID of the supervisor: whoever else our parent is, it died."""
    launch: words.Launch | None = None
    launch_fd: int = -1
    application: Callable[..., Any] | None = None
    interface: str = ""
    certificate: Certificate | None = None
    """What it has read of the files of ``[tls]``: forked workers begin with it, should the files be unusable just then."""
    known_fds: frozenset[forksafety.Descriptor] = field(default_factory=frozenset)
    began_s: float = 0.0
    """When this process's part of the import began."""
    stops: Stops | None = None
    """Its import is watched."""
    stale: Callable[[words.Launch], str] = lambda launch: ""
    """Says what has changed since, so that nothing may be forked as if it had been imported now."""
    told: Callable[[words.ToHost, Sequence[int]], None] = lambda word, fds: None
    """Takes words that are not about forking."""

    def say(self, word: words.FromHost) -> None:
        """Blocking: a host that is no worker has nothing else to do."""
        try:
            passing.send(self.link, words.encode(word))
        except OSError:
            os._exit(1)  # The supervisor is gone.

    def hello(self, role: words.Role | None, number: int) -> None:
        self.say(
            words.Hello(
                pid=os.getpid(),
                role=role or "base",
                id=number,
                python=platform.python_version(),
                midair=midair.__version__,
            )
        )


class Birth(Struct, frozen=True):
    """What a process has just become."""

    role: words.Role
    slot: int = 0
    fds: Sequence[int] = ()
    word: words.Fork | None = None
    """None: it was not forked, but told what it is."""


def serve_forks(host: Host) -> Birth:
    """Wait for words and fork. Returns in a child, or in a process that was told what to be; else never."""
    while True:
        try:
            message = passing.receive(host.link)
        except OSError:
            message = None
        if message is None:
            os._exit(0)  # The supervisor closed the link, or died.
        word = words.decode_to_host(message.data)
        if isinstance(word, words.Fork):
            birth = fork(host, word, message.fds)
            if birth and birth.role != "spare":
                return birth
            if birth:
                name_process("midair spare")
                continue  # In the child, which waits where its parent does. The descriptors have been taken.
        elif isinstance(word, words.GoOn):
            return _go_on(host, word, message.fds)
        elif isinstance(word, words.Become):
            return _become(host, word, message.fds)
        elif isinstance(word, words.WorkerGone):
            with contextlib.suppress(Exception):
                hooks.run_worker_exited(word.pid)
        else:
            host.told(word, message.fds)
        message.close()


def fork(host: Host, word: words.Fork, fds: Sequence[int]) -> Birth | None:
    """Fork a child whose parent will be the supervisor: in the child what it is, here None. The middle process says the
    child's PID, in our name."""
    try:
        if word.role == "worker":
            hooks.run_before_fork()
        elif word.role != "spare" and (changed := host.stale(read_launch(fds[3]))):
            host.say(words.Stale(id=word.id, changed=words.shorten(changed, words.MESSAGE_CHARS)))
            return None
        # Our own check was made (forksafety); from Python 3.12 on a warning counts native threads, too.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            middle = _raw_fork()
    except Exception as exc:  # noqa: BLE001 - the application's hook, or no memory: told to the supervisor
        host.say(words.ForkFailed(id=word.id, message=f"{type(exc).__name__}: {exc}"))
        return None
    if middle == 0:
        return _in_the_middle(host, word, fds)
    _, status = os.waitpid(middle, 0)
    if status:
        host.say(words.ForkFailed(id=word.id, message=f"the fork failed ({os.waitstatus_to_exitcode(status)})"))
    return None


def _in_the_middle(host: Host, word: words.Fork, fds: Sequence[int]) -> Birth:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
    except OSError:
        os._exit(1)
    if child:
        host.say(words.Forked(id=word.id, pid=child))
        os._exit(0)
    try:
        return _in_the_child(host, word, fds)
    except BaseException:  # noqa: BLE001 - nothing may get back into the parent's code as if it were the parent
        traceback.print_exc()
        os._exit(70)


def _in_the_child(host: Host, word: words.Fork, fds: Sequence[int]) -> Birth:
    """Leave behind what was the parent's, and take what came with the word."""
    link_fd, stdout, stderr, launch_fd, *rest = fds
    _print_to(stdout, stderr)
    host.link.close()
    if host.launch_fd >= 0:
        os.close(host.launch_fd)
    os.setpgid(0, 0)
    host.link, host.launch_fd = socket.socket(fileno=link_fd), launch_fd
    host.link.setblocking(True)
    die_with(host.supervisor)
    if word.role != "worker" or host.launch is None or host.launch.main:
        # A main file's: settings that it gave itself have come in since.
        host.launch = read_launch(launch_fd)
    elif word.child_generation:
        host.launch = msgspec.structs.replace(host.launch, generation=word.child_generation)
    host.hello(word.role, word.id)
    return Birth(word.role, word.slot, rest, word)


def _print_to(stdout: int, stderr: int) -> None:
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)


def _go_on(host: Host, word: words.GoOn, fds: Sequence[int]) -> Birth:
    """A spare takes up the import, if nothing has changed since its parent stopped."""
    stdout, stderr, launch_fd = fds
    launch = read_launch(launch_fd)
    if changed := host.stale(launch):
        host.say(words.Stale(id=word.id, changed=words.shorten(changed, words.MESSAGE_CHARS)))
        os._exit(0)
    _print_to(stdout, stderr)
    os.close(host.launch_fd)
    host.launch, host.launch_fd = launch, launch_fd
    host.hello("zygote", word.id)
    return Birth("zygote", word=words.Fork(role="zygote", id=word.id, stops=word.stops, late=word.late))


def _raw_fork() -> int:
    """fork(2) without at-fork handlers, where the C library has it: the middle process is nobody, and the handlers of
    the application must run once, in the worker."""
    # A library with threads of its own (OpenBLAS under numpy) ends them in a hook before each fork. Where that was left out once,
    # its hook waits at the second fork for threads that the middle process does not have, for ever.
    has_native_threads = len(os.listdir("/proc/self/task")) > 1
    raw = None if has_native_threads else getattr(ctypes.PyDLL(None), "_Fork", None)
    if raw is None:
        return os.fork()
    pid = int(raw())
    if pid < 0:
        raise OSError("fork failed")
    return pid


def _become(host: Host, word: words.Become, fds: Sequence[int]) -> Birth:
    """A fresh process is told what it is."""
    launch_fd, *rest = fds
    host.launch_fd, host.launch = launch_fd, read_launch(launch_fd)
    die_with(host.supervisor)
    host.hello(word.role, word.id)
    return Birth(word.role, word.slot, rest)


def read_launch(fd: int) -> words.Launch:
    return msgspec.msgpack.decode(read_memfd(fd), type=words.Launch)


def read_memfd(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def die_with(supervisor: int) -> None:
    """Without the supervisor there is nothing to import for: the kernel ends us with it, whatever we hang in."""
    # Orphaned between the fork and this line, the signal will not come: whoever is our parent now is not the supervisor.
    deadline_s = time.monotonic() + 1.0
    while os.getppid() != supervisor:
        if time.monotonic() > deadline_s:
            os._exit(1)
        os.sched_yield()  # The middle process is about to end.
    signal_at_parents_death(signal.SIGKILL)


def signal_at_parents_death(number: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def lend_terminal(host: Host) -> None:
    """While a service is developed, ``breakpoint()`` in it gets the terminal. To be said again when the link is another one."""
    if host.launch and host.launch.dev:
        from midair.worker import debugging

        debugging.use(host.link)


def name_process(name: str) -> None:
    """What ``ps -o comm`` and ``top`` show: at most 15 bytes."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def flush() -> None:
    """What was printed is printed by this process, not by each that is forked from it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
