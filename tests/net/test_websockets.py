from proxy.net.websockets import WebSockets
from proxy.routing.route import Limits
from proxy.state.counters import Counters
from proxy.state.shared import SharedState
from tests.fakes.websockets import no_websockets


class Socket:
    """Leaves when it is told to go."""

    def __init__(self, where: WebSockets) -> None:
        self._where = where
        self.told = 0

    def go_away(self) -> None:
        self.told += 1
        self._where.leave(self)


def test_in_and_out() -> None:
    counters = Counters()
    found = no_websockets(counters)
    one, other = Socket(found), Socket(found)
    for each in (one, other):
        found.enter(each, "192.0.2.1")
    assert (len(found), counters.websockets, counters.websockets_open) == (2, 2, 2)
    found.leave(one)
    found.leave(one)
    assert (len(found), counters.websockets, counters.websockets_open) == (1, 2, 1)
    found.leave(other)
    assert found._table.total() == 0


def test_limits_hold_over_all_workers() -> None:
    shared = SharedState.create(2)
    one, other = (WebSockets(Counters(), shared.worker(slot).websockets) for slot in range(2))
    for each in (one, other):
        each.limits = Limits(websockets=3, websockets_per_ip=2)
        each.enter(Socket(each), "192.0.2.1")
    error = one.refusal("192.0.2.1")
    assert error is not None
    assert (error.status, error.detail) == (429, "more than 2 WebSockets of 192.0.2.1")
    assert one.refusal("192.0.2.2") is None
    other.enter(Socket(other), "2001:db8::1")
    error = one.refusal("192.0.2.2")
    assert error is not None
    assert error.status == 503
    shared.clear(1)
    assert one.refusal("192.0.2.2") is None
    assert shared.worker(0).connections.total() == 0, "they are no connections"


def test_no_limits() -> None:
    found = no_websockets()
    found.limits = Limits(websockets=0, websockets_per_ip=0)
    for _ in range(300):
        found.enter(Socket(found), "192.0.2.1")
    assert found.refusal("192.0.2.1") is None


def test_a_new_program_may_allow_fewer() -> None:
    found = no_websockets()
    found.enter(Socket(found), "192.0.2.1")
    found.limits = Limits(websockets=1)
    assert found.refusal("192.0.2.9") is not None


def test_all_are_told_to_go() -> None:
    found = no_websockets()
    sockets = [Socket(found) for _ in range(3)]
    for each in sockets:
        found.enter(each, "192.0.2.1")
    found.go_away()
    assert [each.told for each in sockets] == [1, 1, 1]
    assert len(found) == 0


def test_a_bucket_that_is_full_counts_no_further_and_loses_nothing() -> None:
    found = no_websockets()
    found.limits = Limits(websockets=0, websockets_per_ip=0)
    bucket = found._table._bucket("192.0.2.1")
    found._table._buckets[bucket] = 65535
    one = Socket(found)
    found.enter(one, "192.0.2.1")
    found.leave(one)
    assert found._table.count("192.0.2.1") == 65535
