import asyncio
import resource
import threading
from functools import partial

import pytest

from proxy.clock import monotonic
from proxy.errors import Fault, ProxyError
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


async def test_many_that_take_long_leave_the_loop_to_others() -> None:
    desk = FileDesk()
    taken: list[str] = []

    def turn(name: str) -> None:
        end = monotonic() + 0.004
        while monotonic() < end:
            pass
        taken.append(name)
        if len(taken) < 6:
            desk.soon(partial(turn, name))

    for name in "abc":
        desk.soon(partial(turn, name))
    seen = []
    while len(taken) < 8:
        await asyncio.sleep(0)
        seen.append(len(taken))
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8]
    assert "".join(taken) == "abcabcab"


async def test_those_that_are_quick_have_one_turn_each_in_a_turn_of_the_loop() -> None:
    desk = FileDesk()
    taken: list[str] = []

    def turn(name: str) -> None:
        taken.append(name)
        if len(taken) < 4:
            desk.soon(partial(turn, name))

    for name in "ab":
        desk.soon(partial(turn, name))
    await asyncio.sleep(0)
    assert taken == ["a", "b"]
    await asyncio.sleep(0)
    assert taken == ["a", "b", "a", "b"]


async def test_a_turn_that_fails_takes_no_other_along() -> None:
    desk = FileDesk()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, told: taken.append(type(told["exception"]).__name__))
    taken: list[str] = []

    def fail() -> None:
        raise TimeoutError

    desk.soon(fail)
    desk.soon(lambda: taken.append("next"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert taken == ["TimeoutError", "next"]
    desk.soon(lambda: taken.append("later"))
    await asyncio.sleep(0)
    assert taken[-1] == "later"


def test_one_client_does_not_have_all_files_open() -> None:
    desk = FileDesk(2000)
    for _ in range(250):
        desk.hold("2001:db8::1")
    with pytest.raises(ProxyError) as caught:
        desk.hold("2001:db8::2")  # the same client: its network counts
    assert caught.value.status == 503
    assert caught.value.fault is Fault.CLIENT
    assert caught.value.fields == b"Retry-After: 2\r\n"
    desk.hold("192.0.2.1")
    desk.release("2001:db8::1")
    desk.hold("2001:db8::3")
    assert desk.files == 251


def test_nor_have_all_clients_more_than_there_may_be() -> None:
    desk = FileDesk(3)
    for number in range(3):
        desk.hold(f"192.0.2.{number}")
    with pytest.raises(ProxyError):
        desk.hold("192.0.2.9")
    desk.release("192.0.2.0")
    desk.hold("192.0.2.9")


def test_half_of_the_descriptors_are_for_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 300
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    desk = FileDesk()
    for number in range(150):
        desk.hold(f"192.0.2.{number}")
    with pytest.raises(ProxyError):
        desk.hold("192.0.2.200")
    limit = resource.RLIM_INFINITY
    FileDesk().hold("192.0.2.1")


async def test_one_that_was_never_used_is_closed() -> None:
    FileDesk().close()
