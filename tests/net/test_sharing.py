from typing import cast

import pytest

from proxy.net.http2_upstream import Http2Upstream
from proxy.net.sharing import Sharing, close_shared
from proxy.upstream.peer import Peer
from proxy.upstream.plan import PoolPlan
from tests.fakes.bench import server_plan
from tests.fakes.exchanges import looked_at


class Connection:
    """As much of one as is asked for."""

    def __init__(self, peer: Peer, room: int) -> None:
        self.peer = peer
        self.room = room
        self.closed = False

    def close(self) -> None:
        self.closed = True


def peer_of(scheme: str) -> Peer:
    return Peer(server_plan(1, scheme), ("127.0.0.1", 1), 3)


def add(sharing: Sharing[str], peer: Peer, room: int = 1) -> Connection:
    made = Connection(peer, room)
    sharing.add(cast("Http2Upstream", made))
    return made


@pytest.mark.parametrize(
    ("scheme", "http2", "upgrade", "offered"),
    [
        ("http", True, "", False),
        ("https", False, "", False),
        ("https", True, "", True),
        ("https", True, "websocket", False),
        ("h2c", False, "", True),
        ("h2c", False, "websocket", True),
    ],
)
def test_who_is_spoken_to_in_http2(
    scheme: str, *, http2: bool, upgrade: str, offered: bool
) -> None:
    sharing: Sharing[str] = Sharing(PoolPlan("app", (), http2=http2))
    exchange = looked_at()
    exchange.head.upgrade = upgrade
    assert sharing.offered(peer_of(scheme), exchange) is offered
    assert sharing.expected(peer_of(scheme), exchange) is offered


def test_who_declined_is_offered_it_and_not_waited_for() -> None:
    sharing: Sharing[str] = Sharing(PoolPlan("app", (), http2=True))
    peer, exchange = peer_of("https"), looked_at()
    sharing.declined(peer)
    assert sharing.offered(peer, exchange)
    assert not sharing.expected(peer, exchange)
    add(sharing, peer)  # it changed its mind
    assert sharing.expected(peer, exchange)
    sharing.declined(peer)
    sharing.forget(peer)
    assert sharing.expected(peer, exchange)


def test_the_first_one_with_room_is_taken() -> None:
    sharing: Sharing[str] = Sharing(PoolPlan("app", ()))
    peer = peer_of("h2c")
    assert sharing.free(peer) is None
    add(sharing, peer, room=0)
    assert sharing.free(peer) is None
    second = add(sharing, peer, room=3)
    add(sharing, peer, room=9)
    assert cast("Connection", sharing.free(peer)) is second


def test_one_opens_and_the_others_wait() -> None:
    sharing: Sharing[str] = Sharing(PoolPlan("app", ()))
    peer, other = peer_of("h2c"), peer_of("h2c")
    assert sharing.join(peer, "a", fresh=False)
    assert not sharing.join(peer, "b", fresh=True)
    assert sharing.join(other, "c", fresh=False)
    assert sharing.opened(peer) == [("a", False), ("b", True)]
    assert sharing.opened(peer) == []
    assert sharing.join(peer, "d", fresh=False)


def test_a_peer_that_is_gone_keeps_nothing() -> None:
    sharing: Sharing[str] = Sharing(PoolPlan("app", ()))
    peer = peer_of("h2c")
    made = [add(sharing, peer) for _ in range(2)]
    close_shared(peer)
    assert all(one.closed for one in made)
