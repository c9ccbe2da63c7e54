import threading

import pytest

from proxy.net.file_desk import FileDesk


async def test_what_blocks_runs_in_a_thread() -> None:
    desk = FileDesk()
    assert await desk.begin(threading.get_ident) != threading.get_ident()
    desk.close()


async def test_an_error_comes_back() -> None:
    desk = FileDesk()
    with pytest.raises(FileNotFoundError):
        await desk.begin(lambda: open("/nothing"))  # noqa: PTH123, SIM115 - an error of the system's
    desk.close()


async def test_the_same_is_done_once_at_a_time() -> None:
    desk = FileDesk()
    go, calls = threading.Event(), []

    def call() -> int:
        go.wait(10)
        calls.append(1)
        return len(calls)

    first, second, other = desk.once("a", call), desk.once("a", call), desk.once("b", call)
    assert first is second
    assert other is not first
    go.set()
    await first
    await other
    assert len(calls) == 2
    assert await desk.once("a", call) == 3
    desk.close()


async def test_what_fails_may_be_tried_again() -> None:
    desk = FileDesk()

    def fail() -> None:
        raise TimeoutError

    for _ in range(2):
        with pytest.raises(TimeoutError):
            await desk.once("a", fail)
    desk.close()


async def test_one_that_was_never_used_is_closed() -> None:
    FileDesk().close()
