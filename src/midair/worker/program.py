"""A program's own main file, run as Python would run it, up to the line where it calls ``midair.serve()``.

It is a Python file (``python FILE``) or a module (``python -m MODULE``), and is ``__main__``: what stands under ``if __name__ ==
"__main__":`` runs. The folder and the environment are the caller's business, as with ``loader``.
"""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from types import CodeType, ModuleType
from typing import NoReturn

import msgspec

from midair.errors import ApplicationError
from midair.library import serve
from midair.worker import loader, recorder


class MainMissing(ApplicationError):
    """There is no such main file."""

    code = "main-missing"
    hint = "main is a file, or a module as after python -m, in the service's folder (chdir)"


class ServeNotReached(ApplicationError):
    """The main file has ended, and has not called ``midair.serve()``."""

    code = "serve-not-reached"
    hint = "end it with midair.serve(app), outside of any condition that does not hold here (the arguments, the environment)"


class ServeFailed(ApplicationError):
    """The main file called ``midair.serve()`` wrongly, and went on."""


def run_main(main: str, arguments: Sequence[str], served: Callable[[serve.Call], NoReturn]) -> NoReturn:
    """Run ``main`` until it calls ``midair.serve()``, then ``served``, which ends the process or becomes something else.

    Everything that the program has opened and entered by then stays so. Raises ApplicationError if that call never comes.
    """
    serve.expect(served)
    with loader.explained(main):
        stage(main, arguments)
        code, module = _module(main)
        # The host's own main module stays importable under its name; its functions live on in any case.
        sys.modules.setdefault("midair.worker.host", sys.modules["__main__"])
        sys.modules["__main__"] = module
        sys.argv[:] = [str(module.__file__), *arguments]
        exec(code, module.__dict__)
    if fault := serve.misuse():
        error = ServeFailed(fault.message, hint=fault.hint, detail=fault.detail)
        error.code = fault.code
        raise error
    raise ServeNotReached(f"{main} ended without calling midair.serve()")


def stage(main: str, arguments: Sequence[str]) -> None:
    """What a main file finds when it is executed: its folder first on the import path, and its arguments."""
    path = os.path.abspath(main) if _is_file(main) else main
    if _is_file(main) and os.path.dirname(path) not in sys.path[:1]:
        sys.path.insert(0, os.path.dirname(path))
    sys.argv[:] = [path, *arguments]


def load(call: serve.Call, interface: loader.Interface) -> loader.Loaded:
    """The application of a call. interface: what the configuration says. Raises ApplicationError."""
    wanted = msgspec.convert(call.served.values.get("serve.interface", interface), loader.Interface)
    return loader.of(call.app, call.served.where, factory=call.factory, interface=wanted)


def _module(main: str) -> tuple[CodeType, ModuleType]:
    if _is_file(main):
        return _file(os.path.abspath(main), main)
    return _named(main)


def _is_file(main: str) -> bool:
    return main.endswith(".py") or "/" in main


def _file(path: str, typed: str) -> tuple[CodeType, ModuleType]:
    watched = recorder.current()
    try:
        if watched is not None:
            return watched.code(path), _new_main(__file__=path)
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)  # Our own __future__ is not the program's.
    except OSError as exc:
        raise MainMissing(f"there is no main file {typed}: {exc.strerror}") from exc
    return code, _new_main(__file__=path)


def _named(name: str) -> tuple[CodeType, ModuleType]:
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{name}.__main__")
    code = spec.loader.get_code(spec.name) if spec and spec.loader and hasattr(spec.loader, "get_code") else None
    if spec is None or code is None:
        raise MainMissing(f"there is no main module {name}")
    return code, _new_main(
        __file__=spec.origin, __spec__=spec, __loader__=spec.loader, __package__=spec.parent, __cached__=spec.cached
    )


def _new_main(**known: object) -> ModuleType:
    module = ModuleType("__main__")
    module.__dict__.update({"__builtins__": builtins, **known})
    return module
