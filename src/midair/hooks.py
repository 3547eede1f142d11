"""What an application may do around the fork of its workers.

    import midair

    @midair.before_fork
    def close_pool(): ...          # in the process that imported the application, before each worker is forked

    @midair.after_fork
    def reseed(): ...              # in the new worker, before its start-up

    @midair.worker_exited
    def forget(pid: int): ...      # in the process that imported the application, after a worker forked from it has ended

Without midair (under plain uvicorn, in a test) they are registered and never called. A generation whose workers are spawned
calls ``after_fork`` only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Hook = Callable[[], object]
ExitHook = Callable[[int], object]
_H = TypeVar("_H", bound=Hook)
_E = TypeVar("_E", bound=ExitHook)

_before: list[Hook] = []
_after: list[Hook] = []
_exited: list[ExitHook] = []


def before_fork(function: _H) -> _H:
    """Call ``function()`` in the zygote before each worker is forked. What it raises makes the fork fail, by name."""
    _before.append(function)
    return function


def after_fork(function: _H) -> _H:
    """Call ``function()`` in each new worker before the application's start-up. What it raises ends the worker."""
    _after.append(function)
    return function


def worker_exited(function: _E) -> _E:
    """Call ``function(pid)`` in the zygote after a worker has ended (Prometheus' multi-process mode wants that)."""
    _exited.append(function)
    return function


def run_before_fork() -> None:
    for function in _before:
        function()


def run_after_fork() -> None:
    for function in _after:
        function()


def run_worker_exited(pid: int) -> None:
    for function in _exited:
        function(pid)
