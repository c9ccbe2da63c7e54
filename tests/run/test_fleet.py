import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.run import fleet
from proxy.run.fleet import HUNG_AFTER, Child, Fleet, Kind, State, heed
from proxy.run.link import Link, LinkError, pair


class Ends(dict[int, Link]):
    """The children's ends of the links, by pid; `ours` are the supervisor's."""

    def __init__(self) -> None:
        super().__init__()
        self.ours: list[Link] = []


@pytest.fixture
def ends() -> Iterator[Ends]:
    found = Ends()
    yield found
    for link in (*found.values(), *found.ours):
        link.close()


def add(crew: Fleet, ends: Ends, pid: int, slot: int = 0, kind: Kind = Kind.WORKER) -> Child:
    ours, ends[pid] = pair()
    ends.ours.append(ours)
    seat = crew.free_seat() if kind is Kind.WORKER else -1
    child = Child(kind, slot, seat, pid, ours, 1, started=100.0, heard=100.0, deadline=160.0)
    crew.add(child)
    return child


def ready(crew: Fleet, child: Child, now: float = 101.0) -> Child:
    crew.heard(child, {"is": "ready"}, now)
    return child


def test_a_child_is_ready_once_it_says_so(ends: Ends) -> None:
    crew = Fleet(seats=4)
    child = add(crew, ends, pid=10)
    assert crew.ready() == []
    ready(crew, child)
    assert crew.ready() == [child]
    assert crew.ready(Kind.KEEPER) == []
    assert child.deadline == math.inf
    fleet.retire(child, 5.0, 102.0)
    ready(crew, child)
    assert child.state is State.DRAINING


def test_seats_are_never_shared(ends: Ends) -> None:
    crew = Fleet(seats=2)
    first, second = add(crew, ends, 10), add(crew, ends, 11)
    assert {first.seat, second.seat} == {0, 1}
    assert crew.free_seat() == -1
    fleet.retire(first, 5.0, 101.0)
    assert crew.free_seat() == -1
    crew.buried(first, 102.0)
    assert crew.free_seat() == first.seat


def test_a_slot_is_filled_again_after_a_death_but_not_in_a_hurry(ends: Ends) -> None:
    crew = Fleet(seats=8)
    assert crew.may_start(Kind.WORKER, 0, 100.0)
    child = add(crew, ends, 10)
    assert not crew.may_start(Kind.WORKER, 0, 100.0)
    assert crew.buried(child, 101.0) == 0.0
    assert crew.may_start(Kind.WORKER, 0, 101.0)
    child = add(crew, ends, 11)
    assert crew.buried(child, 101.5) == 1.0
    assert not crew.may_start(Kind.WORKER, 0, 102.4)
    assert crew.may_start(Kind.WORKER, 0, 102.5)
    assert crew.may_start(Kind.WORKER, 1, 101.5), "another slot has nothing to do with it"


def test_who_drains_has_given_up_its_slot_and_its_death_is_no_news(ends: Ends) -> None:
    crew = Fleet(seats=8)
    old = ready(crew, add(crew, ends, 10))
    fleet.retire(old, 5.0, 101.0)
    assert crew.holder(Kind.WORKER, 0) is None
    new = add(crew, ends, 11)
    assert crew.holder(Kind.WORKER, 0) is new
    assert crew.workers() == [old, new]
    assert crew.buried(old, 102.0) == 0.0
    assert crew.backoffs == {}


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"is": 1},
        {"is": "prepared", "generation": "2", "why": ""},
        {"is": "prepared", "generation": 2},
        {"is": "status", "id": 1, "status": []},
        {"is": ["ready"]},
        {"ready": True},
    ],
)
def test_nonsense_counts_as_a_sign_of_life_and_no_more(
    ends: Ends, message: dict[str, object]
) -> None:
    crew = Fleet(seats=4)
    child = add(crew, ends, 10)
    crew.heard(child, message, 107.0)
    assert child.heard == 107.0
    assert (child.state, child.prepared, child.report) == (State.STARTING, (0, ""), (0, {}))


def test_what_a_child_says_is_kept(ends: Ends) -> None:
    crew = Fleet(seats=4)
    child = add(crew, ends, 10)
    crew.heard(child, {"is": "prepared", "generation": 2, "why": "no\n\x1b[2J"}, 1.0)
    crew.heard(child, {"is": "status", "id": 3, "status": {"requests": 4}}, 2.0)
    crew.heard(child, {"is": "failed", "why": "a bad day"}, 3.0)
    assert child.prepared == (2, r"no\x0A\x1B[2J"), "one line, for a log or a terminal"
    assert child.report == (3, {"requests": 4})
    assert child.failure == "a bad day"


def test_the_silent_and_the_slow_are_overdue(ends: Ends) -> None:
    crew = Fleet(seats=8)
    silent = ready(crew, add(crew, ends, 10))
    slow = add(crew, ends, 11, slot=1)
    assert list(crew.overdue(101.0 + HUNG_AFTER)) == []
    assert dict(crew.overdue(101.1 + HUNG_AFTER)) == {silent: "gave no sign of life for 30 s"}
    silent.heard = 160.0
    assert dict(crew.overdue(160.0)) == {slow: "was not ready in time"}
    fleet.retire(slow, 5.0, 160.0)
    slow.heard = 171.0
    assert dict(crew.overdue(171.0)) == {slow: "did not end in time"}
    slow.killed_for = "once is enough"
    assert list(crew.overdue(172.0)) == []


def test_orders_arrive(ends: Ends) -> None:
    crew = Fleet(seats=8)
    child = ready(crew, add(crew, ends, 10))
    fleet.retire(child, 5.0, 101.0)
    fleet.retire(child, 9.0, 102.0)
    assert child.deadline == 101.0 + 5.0 + fleet.CLOSE_LIMIT
    fleet.close(child, 103.0)
    assert child.deadline == 103.0 + fleet.CLOSE_LIMIT
    orders = [ends[10].receive(), ends[10].receive(), ends[10].receive()]
    assert [order.message if order else None for order in orders] == [
        {"do": "drain", "timeout": 5.0},
        {"do": "close"},
        None,
    ]


def test_who_cannot_be_told_is_overdue_at_once(ends: Ends) -> None:
    crew = Fleet(seats=8)
    child = ready(crew, add(crew, ends, 10))
    ends[10].close()
    assert not fleet.tell(child, {"do": "reopen"})
    fleet.retire(child, 5.0, 101.0)
    assert list(crew.overdue(101.0)) == [(child, "did not end in time")]
    with pytest.raises(LinkError):
        list(heed(child))


def test_descriptors_of_children_are_not_taken(ends: Ends) -> None:
    child = add(Fleet(seats=8), ends, 10)
    ends[10].send({"is": "beat"}, (ends[10].fileno(),))
    before = set(Path("/proc/self/fd").iterdir())
    assert list(heed(child)) == [{"is": "beat"}]
    assert set(Path("/proc/self/fd").iterdir()) == before


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_child_runs_its_body_and_nothing_else() -> None:
    shed: list[int] = []

    def body(link: Link) -> int:
        link.send({"is": "ready", "shed": len(shed)})
        return 7

    pid, link = fleet.fork(body, lambda: shed.append(1))
    assert ended(pid) == 7
    received = link.receive()
    assert received is not None
    assert received.message == {"is": "ready", "shed": 1}
    assert shed == []
    with pytest.raises(LinkError):
        link.receive()
    link.close()


def test_a_child_that_fails_does_not_become_a_second_supervisor() -> None:
    def body() -> int:
        raise KeyboardInterrupt

    assert ended(fleet.fork_alone(body, lambda: None)) == os.EX_SOFTWARE


def test_killing_is_final_and_may_come_late(ends: Ends) -> None:
    child = add(Fleet(seats=8), ends, 10)

    def wait() -> int:
        signal.pause()
        return 0

    child.pid = fleet.fork_alone(wait, lambda: None)
    fleet.kill(child, "in the way")
    assert ended(child.pid) == -signal.SIGKILL
    fleet.kill(child, "again")
    assert child.killed_for == "again"
