"""The promises that take several processes: no over-admission, and nobody hurt by a death."""

import mmap
import os
import random
import secrets
import signal
import time
from collections.abc import Callable

import pytest

from proxy.clock import monotonic
from proxy.state.buckets import SIZE, BucketTable
from proxy.state.locks import file_locks
from proxy.state.rate_store import Decision, Quota

NOW = 1000.0
BURST = 400
WIDE = Quota("wide", 1, 3600.0, BURST)
OTHER = Quota("other", 1, 3600.0, BURST // 2)

KINDS: tuple[Callable[[], BucketTable], ...] = (
    BucketTable.create,
    lambda: BucketTable(
        memoryview(mmap.mmap(-1, SIZE)), secrets.token_bytes(32), file_locks(64)
    ),
)  # fmt: skip
both_kinds = pytest.mark.parametrize("kind", KINDS, ids=["mutex", "file"])


def forked(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def counts(places: int) -> memoryview:
    """Numbers that processes share; each has its own."""
    return memoryview(mmap.mmap(-1, 8 * places)).cast("Q")


def passes(table: BucketTable, quotas: list[Quota], key: bytes) -> bool:
    said = table.meter(quotas).ask([key] * len(quotas), NOW)
    assert isinstance(said, Decision)
    return said.quota is None


def charged(table: BucketTable, quota: Quota, key: bytes) -> int:
    """How many requests the bucket has counted."""
    spot = table.spot(quota.identity, key, single=quota.single)
    return round((table.full_at(spot, NOW, 0.0) - NOW) / quota.interval)


def hammer(table: BucketTable, quota: Quota, tries: int) -> int:
    """Have four processes ask at the same time; return how many requests they admitted."""
    admitted = counts(4)
    started, start = os.pipe()

    def work(number: int) -> None:
        meter = table.meter([quota])
        os.close(start)
        os.read(started, 1)  # until the last one writing has closed it
        for _ in range(tries):
            said = meter.ask((b"key",), NOW)
            assert isinstance(said, Decision)
            admitted[number] += said.quota is None

    workers = [forked(lambda number=number: work(number)) for number in range(4)]  # type: ignore[misc]
    os.close(start)
    os.close(started)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in workers)
    return sum(admitted)


@both_kinds
def test_four_processes_admit_exactly_what_one_does(kind: Callable[[], BucketTable]) -> None:
    table, quota = kind(), Quota("wide", 1, 3600.0, 39_999)
    assert hammer(table, quota, 15_000) == 40_000
    assert charged(table, quota, b"key") == 40_000


def test_without_locks_they_would_not() -> None:
    """The processes do meet, or the test before this one would prove nothing."""

    class Open:
        def take(self) -> int:
            return 0

        def settle(self, _code: int) -> bool:
            return True

        def give(self) -> None:
            pass

    table = BucketTable(memoryview(mmap.mmap(-1, SIZE)), secrets.token_bytes(32), [Open()])
    assert any(hammer(table, Quota(f"{n}", 1, 3600.0, 39_999), 15_000) > 40_000 for n in range(9))


@both_kinds
def test_four_processes_with_two_quotas_never_wait_for_each_other(
    kind: Callable[[], BucketTable],
) -> None:
    table, admitted = kind(), counts(4)
    keys = [secrets.token_bytes(4) for _ in range(8)]  # on different shelves, and few locks

    def work(number: int) -> None:
        quotas = [WIDE, OTHER] if number % 2 else [OTHER, WIDE]
        meter = table.meter(quotas)
        for turn in range(1200):
            both = keys[turn % 8], keys[(turn * 3 + number) % 8]
            said = meter.ask(both if number % 2 else both[::-1], NOW)
            assert isinstance(said, Decision)
            admitted[number] += said.quota is None

    workers = [forked(lambda number=number: work(number)) for number in range(4)]  # type: ignore[misc]
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in workers)
    for quota in (WIDE, OTHER):
        found = [charged(table, quota, key) for key in keys]
        assert sum(found) == sum(admitted)
        assert max(found) <= quota.burst + 1


@both_kinds
def test_processes_that_are_killed_while_they_hammer_block_nobody(
    kind: Callable[[], BucketTable],
) -> None:
    table, admitted = kind(), counts(64)
    keys = [number.to_bytes(2) for number in range(6)]
    dice = random.Random(3)

    def work(number: int) -> None:
        meter = table.meter([WIDE, OTHER] if number % 3 else [WIDE])
        while True:
            for key in keys:
                said = meter.ask((key, key) if number % 3 else (key,), NOW)
                assert isinstance(said, Decision)
                admitted[number] += said.quota is None

    end = monotonic() + 2.5
    number, running = 0, [0]
    while monotonic() < end and number < 60:
        running = [forked(lambda number=number + each: work(number)) for each in range(4)]  # type: ignore[misc]
        number += 4
        time.sleep(dice.uniform(0.01, 0.08))
        for pid in running:
            os.kill(pid, signal.SIGKILL)
        assert all(os.waitpid(pid, 0)[1] == signal.SIGKILL for pid in running)
    began = monotonic()
    for key in keys:
        while passes(table, [WIDE], key):
            pass
        assert not passes(table, [WIDE, OTHER], key)
        assert charged(table, WIDE, key) == WIDE.burst + 1
        assert charged(table, OTHER, key) <= OTHER.burst + 1
    assert monotonic() - began < 1.0, "every lock is free, or was left by somebody dead"
    # Each of the dead may have been counted for a request that it did not count itself, or two.
    assert sum(admitted) <= 6 * (BURST + 1)


def test_deaths_in_the_middle_of_a_decision_leave_the_lock() -> None:
    """Kill each holder while it holds, at a point of our choosing."""
    table = BucketTable.create()
    spot = table.spot(WIDE.identity, b"key", single=False)
    for turn in range(1, 20):
        told, tell = os.pipe()
        ended, end = os.pipe()

        def die(tell: int = tell, ended: int = ended, end: int = end) -> None:
            os.close(end)
            code = spot.lock.take()
            assert code == 0 or spot.lock.settle(code)
            table.charge(spot, NOW, max(NOW, table.full_at(spot, NOW, 0.0)) + WIDE.interval)
            os.write(tell, b"1")
            os.read(ended, 1)  # until it is killed, or the test has ended

        pid = forked(die)
        os.close(tell)
        assert os.read(told, 1) == b"1"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for each in (told, ended, end):
            os.close(each)
        assert charged(table, WIDE, b"key") == 2 * turn - 1
        assert passes(table, [WIDE], b"key")
