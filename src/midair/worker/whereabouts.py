"""Where tasks stand: the chain of what each awaits. asyncio itself shows the outermost function only, which is ours each time."""

from __future__ import annotations

import asyncio
from types import FrameType

DEPTH_MAX = 50
"""Calls shown of one task; deeper is a recursion."""


def stack(task: asyncio.Task[object]) -> list[str]:
    """The functions that a task that waits is in, innermost first: ``app.py:33 in pay``. Of one that runs, none below it."""
    calls: list[str] = []
    waiting: object = task.get_coro()
    while waiting is not None and len(calls) < DEPTH_MAX:
        frame = _either(waiting, "cr_frame", "gi_frame", "ag_frame")
        if isinstance(frame, FrameType):
            calls.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        waiting = _either(waiting, "cr_await", "gi_yieldfrom", "ag_await")
    return calls[::-1]


def lines() -> list[str]:
    """One line for each task of this loop but the one that asks."""
    current = asyncio.current_task()
    return [f"{task.get_name()}: {' < '.join(stack(task))}" for task in asyncio.all_tasks() if task is not current]


def report() -> str:
    """All tasks of this loop, a call a line, for people."""
    return "".join(
        f"task {task.get_name()}\n" + "".join(f"  {call}\n" for call in stack(task)) for task in asyncio.all_tasks()
    )


def _either(thing: object, *names: str) -> object:
    return next((value for name in names if (value := getattr(thing, name, None)) is not None), None)
