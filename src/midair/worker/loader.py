"""From ``module:attribute`` to an application and the interface it has, or to an error that says whose move it is.

The folder and ``sys.path`` are the caller's business. Loading may run any code of the application's.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import os
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType, TracebackType
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from midair.errors import ApplicationError, MidairError


class InvalidTarget(ApplicationError):
    """The target is not written as ``module:attribute``."""

    code = "app-target"
    hint = "write it as package.module:attribute, such as shop.web:app"


class ModuleNotFound(ApplicationError):
    """There is no such module where the application is looked for."""

    code = "app-module-not-found"
    hint = "check the name, the folder (chdir) and the environment (python)"


class ImportMissing(ApplicationError):
    """The module is there, but something that it imports is not."""

    code = "app-import-missing"
    hint = "install it in the application's environment, or mend the import"


class AttributeMissing(ApplicationError):
    """The module has no such attribute."""

    code = "app-attribute-missing"


class InvalidSyntax(ApplicationError):
    """A file of the application is no valid Python."""

    code = "app-syntax"


class ImportRaised(ApplicationError):
    """The application raised while it was imported."""

    code = "app-import-raised"


class ImportExited(ApplicationError):
    """The application called ``sys.exit()`` while it was imported."""

    code = "app-import-exited"
    hint = "keep what belongs to the command line under: if __name__ == '__main__'"


class FactoryRaised(ApplicationError):
    """The factory raised instead of returning an application."""

    code = "app-factory-raised"


class NotCallable(ApplicationError):
    """The target is no application: it cannot be called."""

    code = "app-not-callable"


class InterfaceUnknown(ApplicationError):
    """It can be called, but neither as ASGI 3 nor as WSGI."""

    code = "app-interface"
    hint = 'say interface = "asgi" or "wsgi", or wrap it (asgiref.compatibility.guarantee_single_callable for ASGI 2)'


Interface: TypeAlias = Literal["auto", "asgi", "wsgi"]


class Loaded(Struct, frozen=True):
    """An application as it was found, and how it wants to be called."""

    app: Callable[..., Any]
    interface: Literal["asgi", "wsgi"]


def load(
    target: str,
    *,
    factory: bool = False,
    interface: Interface = "auto",
) -> Loaded:
    """Import ``module:attr`` (dotted attributes allowed); call it first if it is a factory. Raises ApplicationError."""
    return of(target, target, factory=factory, interface=interface)


def of(found: object, target: str, *, factory: bool = False, interface: Interface = "auto") -> Loaded:
    """The application ``found``, which people know as ``target``; a string names another. Raises ApplicationError."""
    if isinstance(found, str):
        module_name, _, attribute = found.partition(":")
        if not module_name or not attribute:
            raise InvalidTarget(f"{found!r} is not module:attribute")
        target, found = found, _attribute(_module(module_name), module_name, attribute)
    if factory:
        found = _made(found, target)
    if not callable(found):
        raise NotCallable(
            f"{target} is a {type(found).__name__}, which cannot be called", hint=_not_callable_hint(found)
        )
    return Loaded(found, _interface(found, target) if interface == "auto" else interface)


def _module(name: str) -> ModuleType:
    with explained(name):
        return importlib.import_module(name)


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Whatever the code of ``name`` raises while it is run becomes an ApplicationError that says whose move it is."""
    try:
        yield
    except MidairError:
        raise
    except ModuleNotFoundError as exc:
        missing = exc.name or ""
        if missing == name or name.startswith(missing + "."):
            raise ModuleNotFound(
                f"no module named {missing!r}" + (f" (for {name!r})" if missing != name else "")
            ) from exc
        raise ImportMissing(f"{name} imports {missing!r}, which is not installed", detail=_trace(exc)) from exc
    except SyntaxError as exc:
        where = f"{exc.filename}, line {exc.lineno}"
        raise InvalidSyntax(f"syntax error in {where}: {exc.msg}", detail=_trace(exc)) from exc
    except SystemExit as exc:
        raise ImportExited(f"importing {name} called sys.exit({exc.code!r})", detail=_trace(exc)) from exc
    except Exception as exc:
        raise ImportRaised(f"importing {name} raised {_in_a_line(exc)}", detail=_trace(exc)) from exc


def _attribute(module: ModuleType, module_name: str, path: str) -> object:
    found: object = module
    so_far = module_name
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as exc:
            raise AttributeMissing(f"{so_far} has no attribute {part!r}", hint=_near(found, part)) from exc
        so_far += f".{part}"
    return found


def _made(factory: object, target: str) -> object:
    if not callable(factory):
        raise NotCallable(f"{target} is a {type(factory).__name__}, not a factory", hint="leave --factory out")
    try:
        return factory()
    except SystemExit as exc:
        raise ImportExited(f"the factory {target} called sys.exit({exc.code!r})", detail=_trace(exc)) from exc
    except Exception as exc:
        raise FactoryRaised(f"the factory {target} raised {_in_a_line(exc)}", detail=_trace(exc)) from exc


def _interface(app: Callable[..., Any], target: str) -> Literal["asgi", "wsgi"]:
    """Which protocol it speaks, by its shape. Raises InterfaceUnknown where the shape does not tell."""
    call: Any = app
    while isinstance(call, functools.partial):
        call = call.func
    if inspect.isclass(call):
        # ASGI 2 applications were classes: called with a scope, they gave an instance to be called again.
        raise InterfaceUnknown(
            f"{target} is a class; an application is an instance or a function", hint="--factory makes one"
        )
    if not (inspect.isfunction(call) or inspect.ismethod(call)):
        call = type(call).__call__.__get__(call)
    if inspect.iscoroutinefunction(call):
        return "asgi"
    try:
        parameters = list(inspect.signature(app).parameters.values())
    except (TypeError, ValueError):
        raise InterfaceUnknown(f"{target} does not tell how it is called") from None
    required = [
        p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise InterfaceUnknown(f"{target} takes any arguments and does not tell how it is called")
    if len(required) == 3:
        return "asgi"  # a plain function that returns the awaitable of another
    if len(required) == 2:
        return "wsgi"
    if len(required) == 1:
        raise InterfaceUnknown(f"{target} looks like an ASGI 2 application, which is not served")
    if not required:
        raise InterfaceUnknown(
            f"{target} takes no arguments", hint="a function that returns the application wants --factory"
        )
    raise InterfaceUnknown(f"{target} takes {len(required)} arguments, an application 2 (WSGI) or 3 (ASGI)")


def _trace(exc: BaseException) -> str:
    """The traceback from the application's first frame on: how it came to be imported is not its reader's concern."""
    tb: TracebackType | None = exc.__traceback__
    while tb is not None and _is_machinery(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return "".join(traceback.format_exception(type(exc), exc, tb))


_MACHINERY = (__file__, importlib.__file__, contextlib.__file__, os.path.join(os.path.dirname(__file__), "program.py"))


def _is_machinery(filename: str) -> bool:
    return filename in _MACHINERY or filename.startswith("<frozen importlib")


def _in_a_line(exc: BaseException) -> str:
    return traceback.format_exception_only(type(exc), exc)[-1].strip()


def _near(found: object, part: str) -> str:
    import difflib

    near = difflib.get_close_matches(part, [name for name in dir(found) if not name.startswith("_")], n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return "check the part after the colon"


def _not_callable_hint(found: object) -> str:
    if isinstance(found, ModuleType):
        return "that is a module: name the application within it"
    return "name the application object itself"
