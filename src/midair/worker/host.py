"""A Python process of a service: a base, a zygote, or a worker. All three are this program.

    base      python -m midair.worker.host FD     has imported midair's runtime, and no line of the application
     |- zygote                                    has imported one generation's application; serves nothing
     |   `- worker                                serves (forked: shares the zygote's memory until it writes)
     `- worker                                    serves; imported the application itself (unsafe to fork, or told so)

A process is made by a fork of the one above it or, as the first, by execution. It talks to the supervisor over its own
link from its first word (Hello) on. Its parent is the supervisor: the fork goes through a middle process that ends at
once, and orphans come to the supervisor, a subreaper.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import os
import platform
import random
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

import midair
from midair import exclusion, hooks
from midair.errors import MidairError
from midair.library import serve
from midair.sockets import passing, words
from midair.worker import forksafety, loader, program
from midair.worker.loader import Loaded
from midair.worker.settings import Served

if TYPE_CHECKING:
    from midair.worker.certificates import Certificate

IMPORT_ALWAYS = ("asyncio", "midair.worker.runtime", "midair.worker.loader")
"""What the base imports, so that no worker pays for it: about 100 ms."""

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PARENT_DIED = signal.SIGRTMIN + 10
"""A real-time signal, since profilers, log rotation and applications use the named ones."""


@dataclass(slots=True)
class Host:
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

    def say(self, word: words.FromHost) -> None:
        """Blocking: a host that is no worker has nothing else to do."""
        try:
            passing.send(self.link, words.encode(word))
        except OSError:
            os._exit(1)  # The supervisor is gone.

    def hello(self, role: str, number: int) -> None:
        self.say(
            words.Hello(
                pid=os.getpid(),
                role="base" if role == "base" else "zygote" if role == "zygote" else "worker",
                id=number,
                python=platform.python_version(),
                midair=midair.__version__,
            )
        )


def main() -> NoReturn:
    """``python -m midair.worker.host FD [MODULE…]``: be the base, until the first word says otherwise."""
    link = socket.socket(fileno=int(sys.argv[1]))
    link.setblocking(True)
    os.set_inheritable(link.fileno(), False)
    # Ctrl-C and a lost terminal are the supervisor's business; it tells us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for name in (*IMPORT_ALWAYS, *sys.argv[2:]):
        __import__(name)
    host = Host(link, os.getppid())
    _name_process("midair base")
    host.hello("base", 0)
    gc.collect()
    gc.freeze()
    serve_forks(host)


def serve_forks(host: Host) -> NoReturn:
    """Wait for words and fork, for ever."""
    while True:
        try:
            message = passing.receive(host.link)
        except OSError:
            message = None
        if message is None:
            os._exit(0)  # The supervisor closed the link, or died.
        word = words.decode_to_host(message.data)
        if isinstance(word, words.Fork):
            fork(host, word, message.fds)
        elif isinstance(word, words.Become):
            _become(host, word, message.fds)
        elif isinstance(word, words.WorkerGone):
            with contextlib.suppress(Exception):
                hooks.run_worker_exited(word.pid)
        message.close()


# --- forking ------------------------------------------------------------------------------------------------------


def fork(host: Host, word: words.Fork, fds: Sequence[int]) -> None:
    """Fork a child whose parent will be the supervisor. The middle process says the child's PID, in our name."""
    try:
        if word.role == "worker":
            hooks.run_before_fork()
        # Our own check was made (forksafety); from Python 3.12 on a warning counts native threads, too.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            middle = _raw_fork()
    except Exception as exc:  # noqa: BLE001 - the application's hook, or no memory: told to the supervisor
        host.say(words.ForkFailed(id=word.id, message=f"{type(exc).__name__}: {exc}"))
        return
    if middle == 0:
        _in_the_middle(host, word, fds)
    _, status = os.waitpid(middle, 0)
    if status:
        host.say(words.ForkFailed(id=word.id, message=f"the fork failed ({os.waitstatus_to_exitcode(status)})"))


def _in_the_middle(host: Host, word: words.Fork, fds: Sequence[int]) -> NoReturn:
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
        _in_the_child(host, word, fds)
    finally:
        os._exit(70)


def _in_the_child(host: Host, word: words.Fork, fds: Sequence[int]) -> NoReturn:
    """Leave behind what was the parent's, take what came with the word, and be what it says."""
    link_fd, stdout, stderr, launch_fd, *rest = fds
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    host.link.close()
    os.setpgid(0, 0)
    child = Host(
        socket.socket(fileno=link_fd), host.supervisor, host.launch, launch_fd, host.application, host.interface
    )
    child.certificate = host.certificate
    child.link.setblocking(True)
    _die_with(child.supervisor)
    if host.launch is None or host.launch.main:
        child.launch = _read_launch(launch_fd)  # A main file's: settings that it gave itself have come in since.
    elif word.child_generation:
        child.launch = msgspec.structs.replace(host.launch, generation=word.child_generation)
    child.hello(word.role, word.id)
    _be(child, word.role, word.slot, rest)


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


def _become(host: Host, word: words.Become, fds: Sequence[int]) -> NoReturn:
    """A fresh process is told what it is."""
    launch_fd, *rest = fds
    host.launch_fd, host.launch = launch_fd, _read_launch(launch_fd)
    _die_with(host.supervisor)
    host.hello(word.role, word.id)
    _be(host, word.role, word.slot, rest)


def _be(host: Host, role: str, slot: int, fds: Sequence[int]) -> NoReturn:
    assert host.launch is not None
    generation = host.launch.generation
    _name_process(f"midair z{generation}" if role == "zygote" else f"midair w{generation}.{slot}")
    if role == "zygote":
        be_zygote(host)
    else:
        be_worker(host, slot, fds)


def _name_process(name: str) -> None:
    """What ``ps -o comm`` and ``top`` show: at most 15 bytes."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def _read_launch(fd: int) -> words.Launch:
    size = os.fstat(fd).st_size
    return msgspec.msgpack.decode(os.pread(fd, size, 0), type=words.Launch)


def _die_with(supervisor: int) -> None:
    """Without the supervisor there is nothing to import for: the kernel ends us with it, whatever we hang in."""
    # Orphaned between the fork and this line, the signal will not come: whoever is our parent now is not the supervisor.
    deadline_s = time.monotonic() + 1.0
    while os.getppid() != supervisor:
        if time.monotonic() > deadline_s:
            os._exit(1)
        os.sched_yield()  # The middle process is about to end.
    _signal_at_parents_death(signal.SIGKILL)


def _outlive_by_seconds() -> None:
    """A worker gets over the supervisor's death for as long as its requests need. It sees the end of its link; one that
    hangs does not, so the kernel tells it by a signal, and an alarm ends it."""

    def last_seconds(number: int, frame: object) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(7)

    signal.signal(PARENT_DIED, last_seconds)
    _signal_at_parents_death(PARENT_DIED)


def _signal_at_parents_death(number: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


# --- zygote -------------------------------------------------------------------------------------------------------


def be_zygote(host: Host) -> NoReturn:
    """Import the application, say how that went, and fork workers."""

    def fork_for_ever() -> NoReturn:
        # What is garbage now would stay in each worker, for good. That of one save is not worth 70 ms, after pandas, before each.
        if host.launch is None or host.launch.dev is None:
            gc.collect()
        gc.freeze()
        serve_forks(host)

    gc.disable()
    with_application(host, fork_for_ever)


def with_application(host: Host, then: Callable[[], NoReturn]) -> NoReturn:
    """Take the generation's environment and folder, import the application; say Imported and do ``then``, or say Failed and end.

    A main file does not return from its ``midair.serve()``: there, ``then`` happens within that call.
    """
    launch = host.launch
    assert launch is not None
    enter(launch)
    _lend_terminal(host, launch)
    host.known_fds = forksafety.open_descriptors()
    began_s = time.perf_counter()

    def served(call: serve.Call) -> NoReturn:
        serve.expect(serve.refuse_twice)
        try:
            loaded = program.load(call, launch.serve.interface)
            _load_certificate(host, launch)
        except MidairError as error:
            _failed(host, error)
        try:
            _has(host, loaded, began_s, call.served)
            then()
        except BaseException:  # noqa: BLE001 - ours; the program's own handlers must not see it
            traceback.print_exc()
        finally:
            _flush_and_exit(70)

    try:
        if launch.main:
            program.run_main(launch.main, launch.arguments, served)
        serve.expect(serve.refuse_in_target(launch.target))
        loaded = loader.load(launch.target, interface=launch.serve.interface, factory=launch.factory)
        _load_certificate(host, launch)
        serve.expect(serve.refuse_twice)
    except MidairError as error:
        _failed(host, error)
    _has(host, loaded, began_s, Served())
    then()


def _lend_terminal(host: Host, launch: words.Launch) -> None:
    """While a service is developed, ``breakpoint()`` in it gets the terminal."""
    if launch.dev:
        from midair.worker import debugging

        debugging.use(host.link)


def _load_certificate(host: Host, launch: words.Launch) -> None:
    """Raises ConfigError: workers could not speak TLS."""
    if launch.tls.certfile:
        from midair.worker import certificates

        host.certificate = certificates.load(launch.tls)


def _has(host: Host, loaded: Loaded, began_s: float, served: Served) -> None:
    host.application, host.interface = loaded.app, loaded.interface
    seconds, unsafe = time.perf_counter() - began_s, forksafety.findings(host.known_fds)
    host.say(words.Imported(interface=loaded.interface, seconds=seconds, unsafe=unsafe, served=served))


def _failed(host: Host, error: MidairError) -> NoReturn:
    fault = error.fault()
    host.say(words.Failed(code=fault.code, message=fault.message, hint=fault.hint, detail=words.shorten(fault.detail)))
    _flush_and_exit(1)


def enter(launch: words.Launch) -> None:
    """The generation's folder and environment. A swapped ``current`` link is seen: the folder is entered as typed."""
    os.chdir(launch.chdir)
    os.environ.clear()
    os.environ.update(launch.environment)
    time.tzset()
    if launch.chdir not in sys.path:
        sys.path.insert(0, launch.chdir)
    for entry in reversed(launch.environment.get("PYTHONPATH", "").split(os.pathsep)):
        if entry and entry not in sys.path:
            sys.path.insert(1, entry)
    ignore_stale_bytecode(launch.chdir)


def ignore_stale_bytecode(folder: str) -> None:
    """Read the project's own modules from their source, always. A time-stamped ``.pyc`` is trusted if size and second are
    the same, and two saves of equal length within a second are not rare; what is installed keeps its bytecode."""
    from importlib.machinery import SourceFileLoader

    roots = (os.path.join(folder, ""), os.path.join(os.path.realpath(folder), ""))
    original = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> object:
        path = self.get_filename(fullname)
        if path.startswith(roots) and f"{os.sep}site-packages{os.sep}" not in path:
            return self.source_to_code(self.get_data(path), path)
        return original(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]


# --- worker -------------------------------------------------------------------------------------------------------


def be_worker(host: Host, slot: int, fds: Sequence[int]) -> NoReturn:
    """Serve, until told to leave."""
    if host.application is None:
        with_application(host, lambda: _serve(host, slot, fds))
    _serve(host, slot, fds)


def _serve(host: Host, slot: int, fds: Sequence[int]) -> NoReturn:
    from midair.worker import runtime

    launch = host.launch
    assert launch is not None
    assert host.application is not None
    _outlive_by_seconds()
    _lend_terminal(host, launch)
    page_fd, stacks_fd, *listeners = fds
    os.environ["MIDAIR_GENERATION"] = str(launch.generation)
    os.environ["MIDAIR_SLOT"] = str(slot)
    exclusion.install(launch.exclusive_dir)
    gc.enable()
    _reseed()
    _raise_oom_score()
    signal.set_wakeup_fd(-1)
    try:
        hooks.run_after_fork()
    except Exception as exc:  # noqa: BLE001 - the application's
        host.say(
            words.Failed(
                code="hook-after-fork",
                message=f"an after_fork hook raised {type(exc).__name__}: {exc}",
                detail=words.shorten(traceback.format_exc()),
            )
        )
        _flush_and_exit(1)
    sockets = [socket.socket(fileno=fd) for fd in listeners]
    place = runtime.Place(
        host.application, host.interface, launch, host.link, page_fd, stacks_fd, sockets, slot, host.certificate
    )
    code = runtime.run(place)
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    _flush_and_exit(code)


def _reseed() -> None:
    """Forked twins must not draw the same numbers. ``random`` reseeds itself; numpy's global generator does not."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _raise_oom_score() -> None:
    """Out of memory, a worker goes before its supervisor."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "r+", encoding="utf-8") as file:
        score = int(file.read())
        file.seek(0)
        file.write(str(min(1000, score + 100)))


def _flush_and_exit(code: int) -> NoReturn:
    """End without the interpreter's shutdown, which waits for threads: one that does not end must not keep a worker."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
