"""Where a task stands is told down to the line that waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from midair.worker import whereabouts


async def outer() -> None:
    await inner()


async def inner() -> None:
    async for _ in numbers():
        pass


async def numbers() -> AsyncIterator[int]:
    await asyncio.Event().wait()
    yield 1


async def test_a_waiting_task_is_told_innermost_first() -> None:
    task = asyncio.create_task(outer(), name="the waiting one")
    await asyncio.sleep(0)
    calls = whereabouts.stack(task)
    names = [call.rpartition(" in ")[2] for call in calls]
    assert names[-2:] == ["inner", "outer"], calls
    assert "test_whereabouts.py" in calls[-1]
    assert any(line.startswith("the waiting one: ") for line in whereabouts.lines())
    assert "the waiting one" in whereabouts.report()
    task.cancel()


async def test_a_task_that_has_not_begun_is_no_error() -> None:
    task = asyncio.create_task(outer())
    assert len(whereabouts.stack(task)) == 1
    task.cancel()
