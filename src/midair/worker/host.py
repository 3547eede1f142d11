"""A Python process of a service: a base, a zygote, or a worker. All of them are this program.

    base      python -m midair.worker.host FD     has imported midair's runtime, and no line of the application
     |- zygote                                    has imported one generation's application; serves nothing
     |   `- worker                                serves (forked: shares the zygote's memory until it writes)
     |- worker                                    serves; imported the application itself (unsafe to fork, or told so)
     `- third-party zygote                        ``midair dev``: has imported what the application imports of others
         `- checkpoint                            stands within the application's import (``checkpoint.py``)
             `- zygote                            has gone on from there

A process is made by a fork of the one above it or, as the first, by execution. It talks to the supervisor over its own
link from its first word (Hello) on. Its parent is the supervisor: the fork goes through a middle process that ends at
once, and orphans come to the supervisor, a subreaper.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from midair import exclusion, hooks
from midair.errors import MidairError
from midair.library import serve
from midair.sockets import words
from midair.traces import naming
from midair.traces.errors import TracesMissing
from midair.worker import checkpoint, forking, forksafety, loader, program, thirdparty
from midair.worker.forking import Birth, Host
from midair.worker.loader import Loaded
from midair.worker.project import Project
from midair.worker.settings import Served

IMPORT_ALWAYS = ("asyncio", "midair.worker.runtime", "midair.worker.loader")
"""What the base imports, so that no worker pays for it: about 100 ms."""

PARENT_DIED = signal.SIGRTMIN + 10
"""A real-time signal, since profilers, log rotation and applications use the named ones."""


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
    forking.name_process("midair base")
    host.hello(None, 0)
    gc.collect()
    gc.freeze()
    be(host, forking.serve_forks(host))


def be(host: Host, birth: Birth) -> NoReturn:
    """Be what this process has become, to its end."""
    try:
        assert host.launch is not None
        generation = host.launch.generation
        if birth.role == "worker":
            forking.name_process(f"midair w{generation}.{birth.slot}")
            be_worker(host, birth.slot, birth.fds)
        elif birth.role == "zygote":
            forking.name_process(f"midair z{generation}")
            be_zygote(host, birth)
        else:
            forking.name_process("midair packages")
            be_third_party(host, birth)
    except BaseException:  # noqa: BLE001 - nothing may get back to where the parent stood
        traceback.print_exc()
    finally:
        _flush_and_exit(70)


def _outlive_by_seconds() -> None:
    """A worker gets over the supervisor's death for as long as its requests need. It sees the end of its link; one that
    hangs does not, so the kernel tells it by a signal, and an alarm ends it."""

    def last_seconds(number: int, frame: object) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(7)

    signal.signal(PARENT_DIED, last_seconds)
    forking.signal_at_parents_death(PARENT_DIED)


# --- zygote -------------------------------------------------------------------------------------------------------


def be_zygote(host: Host, birth: Birth) -> NoReturn:
    """Import the application, say how that went, and fork workers."""

    def fork_for_ever() -> NoReturn:
        # What is garbage now would stay in each worker, for good. That of one save is not worth 70 ms, after pandas, before each.
        if host.launch is None or host.launch.dev is None:
            gc.collect()
        gc.freeze()
        be(host, forking.serve_forks(host))

    gc.disable()
    assert host.launch is not None
    if host.launch.snapshot and host.stops is None:
        watch(host)
    if host.stops is not None:
        host.stops.take(birth)
    with_application(host, fork_for_ever)


def be_third_party(host: Host, birth: Birth) -> NoReturn:
    """Import what others have written; be a zygote in what is forked from here."""
    gc.disable()
    stops = watch(host)
    host.known_fds = forksafety.open_descriptors()
    be(host, thirdparty.import_first(host, stops, birth))


def watch(host: Host) -> checkpoint.Stops:
    """Enter the generation's folder and environment, and watch what is imported from here on."""
    assert host.launch is not None
    enter(host.launch)
    host.stops = checkpoint.Stops(host, Project(host.launch.chdir))
    host.stops.recorder.install()
    return host.stops


def with_application(host: Host, then: Callable[[], NoReturn]) -> NoReturn:
    """Take the generation's environment and folder, import the application; say Imported and do ``then``, or say Failed and end.

    A main file does not return from its ``midair.serve()``: there, ``then`` happens within that call.
    """
    launch = host.launch
    assert launch is not None
    if host.stops is None:
        enter(launch)
        ignore_stale_bytecode(launch.chdir)  # Else the recorder sees to it.
    forking.lend_terminal(host)
    host.known_fds = forksafety.open_descriptors()
    host.began_s = time.perf_counter()

    def served(call: serve.Call) -> NoReturn:
        serve.expect(serve.refuse_twice)
        try:
            loaded = program.load(call, launch.serve.interface)
            _load_certificate(host, launch)
        except MidairError as error:
            _failed(host, error)
        try:
            _has(host, loaded, call.served)
            then()
        except BaseException:  # noqa: BLE001 - ours; the program's own handlers must not see it
            traceback.print_exc()
        finally:
            _flush_and_exit(70)

    try:
        check_traced(is_wanted=launch.traced is not None and bool(launch.traced.url))
        if launch.main:
            program.run_main(launch.main, launch.arguments, served)
        serve.expect(serve.refuse_in_target(launch.target))
        loaded = loader.load(launch.target, interface=launch.serve.interface, factory=launch.factory)
        _load_certificate(host, launch)
        serve.expect(serve.refuse_twice)
    except MidairError as error:
        _failed(host, error)
    _has(host, loaded, Served())
    then()


def check_traced(*, is_wanted: bool) -> None:
    """Import what makes spans of requests, if they are to be spans: once for all workers that are forked. Raises TracesMissing."""
    if not is_wanted:
        return
    try:
        from midair.traces.requests import preload
    except ImportError as exc:
        raise TracesMissing(sys.executable, "traces.requests is set") from exc
    preload()


def _load_certificate(host: Host, launch: words.Launch) -> None:
    """Raises ConfigError: workers could not speak TLS."""
    if launch.tls.certfile:
        from midair.worker import certificates

        host.certificate = certificates.load(launch.tls)


def _has(host: Host, loaded: Loaded, served: Served) -> None:
    host.application, host.interface = loaded.app, loaded.interface
    stops = host.stops
    if stops is not None:
        stops.before_end()
        stops.recorder.close()
    seconds = time.perf_counter() - host.began_s
    if stops is None:
        unsafe = forksafety.findings(host.known_fds)
        host.say(words.Imported(interface=loaded.interface, seconds=seconds, unsafe=unsafe, served=served))
        return
    host.say(
        words.Imported(
            interface=loaded.interface,
            seconds=seconds,
            unsafe=forksafety.findings(host.known_fds, forksafety.RESTARTED),
            served=served,
            third_party_s=stops.recorder.order.seconds,
            passed=words.shorten(stops.passed, words.MESSAGE_CHARS),
        )
    )


def _failed(host: Host, error: MidairError) -> NoReturn:
    fault = error.fault()
    host.say(words.Failed(code=fault.code, message=fault.message, hint=fault.hint, detail=words.shorten(fault.detail)))
    _flush_and_exit(1)


def enter(launch: words.Launch) -> None:
    """The generation's folder and environment. A swapped ``current`` link is seen: the folder is entered as typed."""
    os.chdir(launch.chdir)
    os.environ.clear()
    os.environ.update(launch.environment)
    if launch.traced:
        os.environ.update(naming.variables(launch.environment, launch.traced, launch.version, launch.generation))
    time.tzset()
    if launch.chdir not in sys.path:
        sys.path.insert(0, launch.chdir)
    for entry in reversed(launch.environment.get("PYTHONPATH", "").split(os.pathsep)):
        if entry and entry not in sys.path:
            sys.path.insert(1, entry)


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
    forking.lend_terminal(host)
    page_fd, stacks_fd, *listeners = fds
    os.environ["MIDAIR_GENERATION"] = str(launch.generation)
    os.environ["MIDAIR_SLOT"] = str(slot)
    if launch.traced:
        named = naming.variables(launch.environment, launch.traced, launch.version, launch.generation, slot)
        os.environ.update(named)
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
    forking.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
