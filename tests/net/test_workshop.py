import asyncio
import threading

import pytest

from proxy.net.workshop import Workshop
from tests.fakes.wires import on_uvloop, until


@on_uvloop
async def test_work_is_done_in_as_many_threads_as_there_may_be() -> None:
    workshop = Workshop(2, "work")
    both = threading.Barrier(2, timeout=10)

    def meet() -> str:
        both.wait()
        return threading.current_thread().name

    names = [await each for each in [workshop.begin(meet) for _ in range(6)]]
    assert set(names) == {"work_0", "work_1"}
    workshop.close()


@on_uvloop
async def test_what_waits_is_cancelled_when_it_closes_and_what_runs_ends() -> None:
    workshop = Workshop(1, "work")
    begun, go_on = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return go_on.wait(10)

    runs = workshop.begin(work)
    waits = workshop.begin(int)
    begun.wait(10)
    workshop.close()
    with pytest.raises(asyncio.CancelledError):
        await waits
    go_on.set()
    assert await runs


@pytest.mark.parametrize("used", [True, False])
@on_uvloop
async def test_what_comes_later_is_cancelled(*, used: bool) -> None:
    workshop = Workshop(1, "work")
    if used:
        assert await workshop.begin(lambda: 7) == 7
    workshop.close()
    told: list[bool] = []
    late = workshop.begin(int)
    late.add_done_callback(lambda done: told.append(done.cancelled()))
    with pytest.raises(asyncio.CancelledError):
        await late
    await until(lambda: told == [True])
