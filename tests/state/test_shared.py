import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.state.buckets import BucketTable
from proxy.state.connections import Admission
from proxy.state.rate_store import Quota
from proxy.state.shared import SharedState, WorkerShare

CHILDREN: list[int] = []


@pytest.fixture(autouse=True)
def no_child_stays() -> Iterator[None]:
    yield
    for pid in CHILDREN:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    CHILDREN.clear()


def fork(shared: SharedState, slot: int, work: Callable[[WorkerShare], None]) -> int:
    """Start a worker; returns once it has done its work. It then waits to be ended."""
    done, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(shared.worker(slot))
            os.write(tell, b"1")
            signal.pause()
        finally:
            os._exit(1)
    CHILDREN.append(pid)
    os.close(tell)
    try:
        assert os.read(done, 1) == b"1", "the worker failed"
    finally:
        os.close(done)
    return pid


def kill(pid: int) -> None:
    CHILDREN.remove(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def busy(share: WorkerShare) -> None:
    for _ in range(1000):
        share.counters.requests += 1
    share.counters.connections_open += 2
    for _ in range(2):
        assert share.connections.enter("192.0.2.1", 100, 100) is Admission.OK
    share.counters.publish()


def test_the_counts_of_all_workers_add_up() -> None:
    shared = SharedState.create(3)
    for slot in range(3):
        fork(shared, slot, busy)
    totals = shared.totals()
    assert (totals["requests"], totals["connections_open"]) == (3000, 6)
    assert [row["requests"] for row in shared.per_worker()] == [1000, 1000, 1000]
    assert shared.worker(0).connections.count("192.0.2.1") == 6


def test_a_killed_worker_leaves_its_counts_but_no_connections() -> None:
    shared = SharedState.create(2)
    fork(shared, 0, busy)
    doomed = fork(shared, 1, busy)
    watcher = shared.worker(0).connections
    kill(doomed)
    shared.clear(1)
    totals = shared.totals()
    assert (totals["requests"], totals["connections_open"]) == (2000, 2)
    assert (watcher.total(), watcher.count("192.0.2.1")) == (2, 2)
    fork(shared, 1, busy)
    totals = shared.totals()
    assert (totals["requests"], totals["connections_open"]) == (3000, 4)
    assert watcher.total() == 4


def test_a_limit_is_felt_by_another_process() -> None:
    shared = SharedState.create(2)
    fork(shared, 0, busy)

    def refused(share: WorkerShare) -> None:
        assert share.connections.enter("192.0.2.1", 100, 2) is Admission.TOO_MANY_FOR_ADDRESS
        assert share.connections.enter("192.0.2.2", 2, 100) is Admission.TOO_MANY
        assert share.connections.enter("192.0.2.2", 3, 1) is Admission.OK

    fork(shared, 1, refused)


def test_a_verdict_of_the_keeper_reaches_workers_forked_before() -> None:
    shared = SharedState.create(1)
    shared.health.set("server", up=True)
    asked, ask = os.pipe()
    replied, reply = os.pipe()
    pid = os.fork()
    if pid == 0:
        health = shared.worker(0).health
        seen = [health.get("server")]
        os.read(asked, 1)
        seen.append(health.get("server"))
        os.write(reply, repr(seen).encode())
        os._exit(0)
    shared.health.set("server", up=False)
    os.write(ask, b"1")
    answer = os.read(replied, 100)
    os.waitpid(pid, 0)
    for each in (asked, ask, replied, reply):
        os.close(each)
    assert answer in {b"[True, False]", b"[False, False]"}


def test_many_deaths_leave_nothing_behind() -> None:
    def handles() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    shared = SharedState.create(1)
    before = handles()
    for _ in range(20):
        kill(fork(shared, 0, busy))
        shared.clear(0)
    assert handles() == before
    assert shared.totals()["requests"] == 20_000
    assert shared.worker(0).connections.total() == 0
    assert not any(shared._connection_rows[0])


def test_workers_have_the_buckets_that_were_made_before_them() -> None:
    buckets = BucketTable.create()
    shared = SharedState.create(2, buckets)
    assert shared.buckets is buckets
    meter = buckets.meter([Quota("login", 5, 60.0, 3)])

    def drain(share: WorkerShare) -> None:
        said = [share.buckets.meter([Quota("login", 5, 60.0, 3)]).ask((b"key",), 0.0)] + [
            meter.ask((b"key",), 0.0) for _ in range(5)
        ]
        assert [one.status for one in said] == ["PASSED"] * 4 + ["REJECTED"] * 2
        share.counters.publish()

    fork(shared, 1, drain)
    assert meter.ask((b"key",), 0.0).status == "REJECTED"
    assert [row["requests_limited"] for row in shared.per_worker()] == [0, 2]
    assert SharedState.create(1).buckets is not buckets
