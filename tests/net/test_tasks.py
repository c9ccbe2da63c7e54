import asyncio
import gc
import logging

import pytest

from proxy.net import tasks


async def test_a_task_has_its_name_and_its_result() -> None:
    async def answer() -> int:
        return 42

    task = tasks.start(answer(), "the answer")
    assert task.get_name() == "the answer"
    assert await task == 42


def alone() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "alone"]


async def test_a_task_that_nobody_holds_is_not_collected() -> None:
    async def wait() -> None:
        # Task, frame and future hold only each other.
        await asyncio.get_running_loop().create_future()

    def begin() -> None:
        _ = tasks.start(wait(), "alone")

    begin()
    await asyncio.sleep(0)
    gc.collect()
    (task,) = alone()
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert task not in tasks._running
    del task
    gc.collect()
    assert alone() == []


async def test_an_exception_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    task = tasks.start(fail(), "doomed")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    (record,) = caplog.records
    assert record.name == "pyproxy.net"
    assert record.getMessage() == "task doomed failed"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_a_cancelled_task_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "pyproxy")
    task = tasks.start(asyncio.Event().wait(), "waiting")
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert not caplog.records
