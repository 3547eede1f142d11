"""``python -m midair.worker.check ORDER``: import an application, say how that went, be thrown away.

Runs in the application's interpreter, folder and environment; whoever starts it has set them. ORDER is an ``Order`` in JSON. One
JSON object on standard output: ``interface``, ``seconds``, ``unsafe`` (why its workers could not be forked), ``served`` (what
a main file gives to ``midair.serve()``) and ``fault``. What the application prints goes to standard error.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import NoReturn

import msgspec

from midair.errors import Fault, MidairError
from midair.library import serve
from midair.worker import forksafety, loader, program
from midair.worker.host import check_traced, ignore_stale_bytecode
from midair.worker.settings import Served


class Order(msgspec.Struct, kw_only=True):
    target: str = ""
    factory: bool = False
    interface: loader.Interface = "auto"
    main: str = ""
    arguments: tuple[str, ...] = ()
    is_traced: bool = False
    """Its requests are to be spans."""


class Checked(msgspec.Struct):
    interface: str = ""
    seconds: float = 0.0
    unsafe: tuple[str, ...] = ()
    served: Served = Served()
    fault: Fault | None = None


def main(args: list[str]) -> NoReturn:
    """Import and answer. The exit code is 0 also when the import failed: the answer says so."""
    order = msgspec.json.decode(args[0], type=Order)
    answer_fd = os.dup(1)
    # The application may print at import; standard output is for the answer alone.
    os.dup2(2, 1)
    folder = os.getcwd()
    sys.path.insert(0, folder)
    ignore_stale_bytecode(folder)

    def answer(checked: Checked) -> NoReturn:
        with os.fdopen(answer_fd, "wb") as out:
            out.write(msgspec.json.encode(checked))
        sys.stdout.flush()
        # Threads and exit handlers of the application are none of our business: the answer is given.
        os._exit(0)

    check(order, answer)


def check(order: Order, answer: Callable[[Checked], NoReturn]) -> NoReturn:
    """Import what is ordered. Never raises for what the application does."""
    before = forksafety.open_descriptors()
    began_s = time.perf_counter()

    def fails(error: MidairError) -> NoReturn:
        answer(Checked(fault=error.fault(), seconds=time.perf_counter() - began_s))

    def imported(loaded: loader.Loaded, served: Served) -> NoReturn:
        seconds = time.perf_counter() - began_s
        answer(Checked(loaded.interface, seconds, forksafety.findings(before), served))

    def called(call: serve.Call) -> NoReturn:
        try:
            loaded = program.load(call, order.interface)
        except MidairError as error:
            fails(error)
        imported(loaded, call.served)

    try:
        check_traced(is_wanted=order.is_traced)
        if order.main:
            program.run_main(order.main, order.arguments, called)
        serve.expect(serve.refuse_in_target(order.target))
        loaded = loader.load(order.target, interface=order.interface, factory=order.factory)
    except MidairError as error:
        fails(error)
    imported(loaded, Served())


if __name__ == "__main__":
    main(sys.argv[1:])
