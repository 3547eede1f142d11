"""``midair.serve(app, ...)``: the last line of a program, in the place of ``uvicorn.run(app, ...)``.

Outside midair it makes this very process, by ``execve``, a supervisor that runs the program's own main file; in a process of a
service it is where serving starts. It never returns. What the process is, is said by whoever runs a main file (``expect``).

    python main.py  ->  serve()  ->  midair run --main main.py      same PID
                                      `- zygote: main.py -> serve() -> forks workers
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NoReturn

from msgspec import Struct

from midair.errors import Fault, MidairError, NeedsLinux, UsageError, WorldError
from midair.worker.settings import Served

FLAGS = {
    "optimize": "PYTHONOPTIMIZE",
    "dont_write_bytecode": "PYTHONDONTWRITEBYTECODE",
    "dev_mode": "PYTHONDEVMODE",
    "utf8_mode": "PYTHONUTF8",
}
"""Flags of the interpreter that the service's processes get as variables; -W, too."""


class ServeMisplaced(UsageError):
    """``midair.serve()`` was called where nothing can be served from."""

    code = "serve-misplaced"


class ServeTwice(UsageError):
    """``midair.serve()`` was called in a process that serves already."""

    code = "serve-twice"
    hint = "serve one application; mount the other one in it, or run it as a service of its own"


class NoMainFile(UsageError):
    """There is no file that ``midair run`` could run: a prompt, a notebook, ``python -c``."""

    code = "serve-no-file"
    hint = "put the application into a file and run that: python main.py; or name it: midair run module:app"


class Call(Struct, frozen=True):
    """What ``serve`` was given."""

    app: Any
    """An application, or ``module:attribute`` of one."""
    factory: bool
    served: Served


Expected = Callable[[Call], NoReturn]


class _Here(Struct):
    """What this process is, as far as ``serve`` has to know."""

    expected: Expected | None = None
    misuse: Fault | None = None


_here = _Here()


def serve(app: Any, *, factory: bool = False, **options: Any) -> NoReturn:
    """Serve ``app``: an ASGI or WSGI application, or ``"module:attribute"`` of one. Never returns.

    factory: ``app`` is called without arguments to make the application. options: keys of the configuration, by uvicorn's
    names where it has them (``host``, ``port``, ``workers``, ``root_path``, …) and else with dots as underscores
    (``drain_rate="5%"``); they count over midair.toml, and the environment and the command line over them.

    To be called in the main thread, outside an event loop. Raises UnknownArgument (a TypeError), BadConfig, ServeMisplaced,
    ServeTwice, NoMainFile.
    """
    from midair.library.arguments import read_arguments

    try:
        _check_place()
        call = Call(app, factory, read_arguments(options, _where(sys._getframe(1))))
    except MidairError as error:
        _remember(error)
        raise
    if _here.expected is not None:
        _here.expected(call)
    _become_service(call)


def expect(capture: Expected) -> None:
    """Called by whoever runs a main file: from now on ``serve`` hands its call to ``capture``, which does not return."""
    _here.expected = capture


def refuse_twice(call: Call) -> NoReturn:
    """What is expected of a process that serves already."""
    raise ServeTwice(f"midair.serve() was called again ({call.served.where})")


def refuse_in_target(target: str) -> Expected:
    """What is expected while ``target`` is imported, which is served without it."""

    def refuse(call: Call) -> NoReturn:
        file = call.served.where.partition(":")[0]
        raise ServeMisplaced(
            f"midair.serve() was called while {target} was imported ({call.served.where})",
            hint=f'put it under if __name__ == "__main__":, or run the file itself: midair run --main {file}',
        )

    return refuse


def misuse() -> Fault | None:
    """Why an earlier call of ``serve`` failed, if one did: its program may have caught the error, or a thread swallowed it."""
    return _here.misuse


def _remember(error: MidairError) -> None:
    _here.misuse = error.fault()


def _where(frame: Any) -> str:
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}, midair.serve()"


def _check_place() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise ServeMisplaced(
            "midair.serve() was called in a thread", hint="call it in the main thread, as the program's last line"
        )
    # Only if somebody has imported asyncio can there be a loop.
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        raise ServeMisplaced(
            "midair.serve() was called inside an event loop",
            hint="call it outside of asyncio.run(): each worker has a loop of its own",
        )


# --- outside midair -------------------------------------------------------------------------------------------------


def _become_service(call: Call) -> NoReturn:
    """Execute ``midair run`` in the place of this process. Raises WorldError if that cannot be."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and "MIDAIR_GENERATION" in os.environ:
        raise ServeMisplaced(
            "midair.serve() was called by a command of midair run", hint="run the program as midair run --main FILE"
        )
    if sys.platform != "linux":
        raise NeedsLinux("midair.serve()", sys.platform)
    command = command_line(sys.modules.get("__main__"), sys.argv, call.served)
    os.environ.update(flags_as_variables(sys.flags, sys.warnoptions, os.environ))
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(command[0], command)
    except OSError as exc:
        raise WorldError(f"{command[0]} cannot be executed: {exc.strerror}") from exc


def command_line(main: ModuleType | None, argv: list[str], served: Served) -> list[str]:
    """``midair run`` for the program that runs now. main: its module ``__main__``. Raises NoMainFile."""
    import msgspec

    folder, name = _main(main, argv)
    place = ["-C", folder] if folder else []
    values = msgspec.json.encode(served).decode()
    return [
        *(sys.executable, "-P", "-m", "midair", "run", *place, "--python", sys.executable, "--main", name),
        *("--served", values, *(("--", *argv[1:]) if argv[1:] else ())),
    ]


def _main(main: ModuleType | None, argv: list[str]) -> tuple[str, str]:
    """The service's folder (empty: where we are) and what to run there: a file, or a module as after ``python -m``."""
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None and spec.name != "__main__":
        name: str = spec.name
        return "", name.removesuffix(".__main__")
    if not file or not os.path.isfile(file):
        raise NoMainFile("midair.serve() was called without a main file: at a prompt, in a notebook, or by python -c")
    relative = os.path.relpath(file)
    if os.path.isabs(argv[0]) or relative.startswith(".."):
        # From wherever it was typed (a unit, cron): the service is where its program is.
        folder, relative = os.path.split(os.path.abspath(file))
    else:
        folder = ""
    return folder, relative if relative.endswith(".py") or "/" in relative else f"./{relative}"


def flags_as_variables(flags: Any, warn_options: list[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The interpreter's flags as variables, because workers are started by the supervisor. Pure."""
    found = {variable: str(int(value)) for flag, variable in FLAGS.items() if (value := getattr(flags, flag))}
    if warn_options:
        found["PYTHONWARNINGS"] = ",".join(warn_options)
    return {name: value for name, value in found.items() if name not in environ}
