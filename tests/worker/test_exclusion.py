"""``midair.exclusive`` in one process: who waits, who enters, who is told to leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import midair
from midair import exclusion


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[None]:
    """This process is a worker that does not serve yet."""
    exclusion.install(str(tmp_path / "exclusive"))
    yield
    exclusion.stop_serving()
    exclusion.install("")


async def test_without_midair_it_is_entered_at_once() -> None:
    async with midair.exclusive("a") as held, midair.exclusive("a"):
        assert not held.leaving.is_set()


def test_a_name_is_a_plain_word() -> None:
    for name in ("", "../up", "a b", "x" * 65):
        with pytest.raises(ValueError, match="is needed"):
            midair.exclusive(name)


async def test_a_coroutine_that_forgets_async_is_told() -> None:
    with pytest.raises(TypeError, match="async with"), midair.exclusive("a"):
        pass


async def test_nobody_enters_before_the_worker_serves(worker: None) -> None:
    entered = asyncio.Event()

    async def enter() -> None:
        async with midair.exclusive("a"):
            entered.set()

    task = asyncio.create_task(enter())
    await asyncio.sleep(0.05)
    assert not entered.is_set()
    exclusion.serve()
    await task
    assert entered.is_set()


async def test_one_is_inside_and_the_next_follows(worker: None) -> None:
    inside: list[int] = []
    order: list[int] = []

    async def enter(number: int) -> None:
        async with midair.exclusive("a"):
            inside.append(number)
            assert inside == [number]
            await asyncio.sleep(0.005)
            inside.remove(number)
            order.append(number)

    exclusion.serve()
    await asyncio.gather(*(enter(number) for number in range(5)))
    assert sorted(order) == [0, 1, 2, 3, 4]


async def test_who_does_not_leave_is_cancelled_and_the_loop_around_goes_on(
    worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exclusion, "LEAVE_WITHIN_S", 0.02)
    exclusion.serve()
    entered = asyncio.Event()

    async def stubborn() -> str:
        async with midair.exclusive("a") as held:
            entered.set()
            await asyncio.Event().wait()
        return "left" if held.leaving.is_set() else "never told"

    task = asyncio.create_task(stubborn())
    await entered.wait()
    exclusion.stop_serving()
    assert await task == "left"


async def test_somebody_elses_cancellation_is_not_swallowed(worker: None) -> None:
    exclusion.serve()
    entered = asyncio.Event()

    async def hold() -> None:
        async with midair.exclusive("a"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with midair.exclusive("a"):
        pass


async def test_who_gave_up_waiting_does_not_hold_it(worker: None) -> None:
    waiting = asyncio.create_task(midair.exclusive("a").__aenter__())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    exclusion.serve()
    async with midair.exclusive("a"):
        pass


def test_a_thread_waits_and_is_told(worker: None) -> None:
    told, entered = threading.Event(), threading.Event()

    def run() -> None:
        with midair.exclusive("a") as held:
            entered.set()
            if held.leaving.wait(5):
                told.set()

    thread = threading.Thread(target=run)
    thread.start()
    exclusion.serve()
    assert entered.wait(5)
    exclusion.stop_serving()
    thread.join(5)
    assert told.is_set()
