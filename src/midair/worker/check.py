"""``python -m midair.worker.check TARGET INTERFACE [--factory]``: import an application, say how that went, be thrown away.

Runs in the application's interpreter, folder and environment; whoever starts it has set them. One JSON object on
standard output: ``interface``, ``seconds``, ``unsafe`` (why its workers could not be forked) and ``fault``. What the
application prints goes to standard error.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Literal, NoReturn, TypeAlias

import msgspec

from midair.errors import ApplicationError, Fault
from midair.worker import forksafety, loader
from midair.worker.host import ignore_stale_bytecode

Interface: TypeAlias = Literal["auto", "asgi", "wsgi"]


class Checked(msgspec.Struct):
    interface: str = ""
    seconds: float = 0.0
    unsafe: tuple[str, ...] = ()
    fault: Fault | None = None


def main(args: list[str]) -> NoReturn:
    """Import and answer. The exit code is 0 also when the import failed: the answer says so."""
    target, typed, *rest = args
    interface = msgspec.convert(typed, Interface)
    answer_fd = os.dup(1)
    # The application may print at import; standard output is for the answer alone.
    os.dup2(2, 1)
    folder = os.getcwd()
    sys.path.insert(0, folder)
    ignore_stale_bytecode(folder)
    answer = check(target, interface, factory="--factory" in rest)
    with os.fdopen(answer_fd, "wb") as out:
        out.write(msgspec.json.encode(answer))
    sys.stdout.flush()
    # Threads and exit handlers of the application are none of our business: the answer is given.
    os._exit(0)


def check(target: str, interface: Interface, *, factory: bool) -> Checked:
    """Import ``target``. Never raises for what the application does."""
    before = forksafety.open_descriptors()
    began_s = time.perf_counter()
    try:
        loaded = loader.load(target, interface=interface, factory=factory)
    except ApplicationError as error:
        return Checked(fault=error.fault(), seconds=time.perf_counter() - began_s)
    seconds = time.perf_counter() - began_s
    return Checked(interface=loaded.interface, seconds=seconds, unsafe=forksafety.findings(before))


if __name__ == "__main__":
    main(sys.argv[1:])
