"""Which connections of a pool carry many requests at once, and who waits for one to open.

While a connection to a peer is being opened, further requests for that peer wait for it: a hundred
requests that come at once open one, not a hundred. Those that it cannot carry open the next.
"""

from typing import Generic, TypeVar

from proxy.exchange.exchange import Exchange
from proxy.net.http2_upstream import Http2Upstream
from proxy.upstream.peer import Peer
from proxy.upstream.plan import PoolPlan

W = TypeVar("W")


class Sharing(Generic[W]):
    """The shared connections of one pool; `W` is who wants one."""

    __slots__ = ("_http1", "_offered", "_opening")

    def __init__(self, plan: PoolPlan) -> None:
        self._offered = plan.http2
        self._opening: dict[Peer, list[tuple[W, bool]]] = {}
        self._http1: set[Peer] = set()  # were offered HTTP/2 and did not take it

    def offered(self, peer: Peer, exchange: Exchange) -> bool:
        """Say whether a connection for this request may speak HTTP/2."""
        scheme = peer.server.scheme
        # Upgrades are none of HTTP/2 (RFC 9113, 8.6), so they get a connection of their own.
        return scheme == "h2c" or (
            scheme == "https" and self._offered and not exchange.head.upgrade
        )

    def expected(self, peer: Peer, exchange: Exchange) -> bool:
        """Say whether it will, as far as is known."""
        return self.offered(peer, exchange) and peer not in self._http1

    def free(self, peer: Peer) -> Http2Upstream | None:
        """Return a connection that takes one more request."""
        connection: Http2Upstream
        for connection in peer.shared:
            if connection.room:
                return connection
        return None

    def join(self, peer: Peer, waiter: W, *, fresh: bool) -> bool:
        """Wait for the connection that is being opened; True: `waiter` must open it."""
        waiting = self._opening.get(peer)
        if waiting is None:
            self._opening[peer] = [(waiter, fresh)]
            return True
        waiting.append((waiter, fresh))
        return False

    def opened(self, peer: Peer) -> list[tuple[W, bool]]:
        """Return who waited, each as in `join`: the connection is open, or cannot be had."""
        return self._opening.pop(peer, [])

    def add(self, connection: Http2Upstream) -> None:
        """Take a new connection in."""
        self._http1.discard(connection.peer)
        connection.peer.shared.append(connection)

    def declined(self, peer: Peer) -> None:
        """A server was offered HTTP/2 and did not take it: each request needs its connection."""
        self._http1.add(peer)

    def forget(self, peer: Peer) -> None:
        """A peer is gone: its connections close when nothing runs on them any more."""
        self._http1.discard(peer)
        close_shared(peer)


def close_shared(peer: Peer) -> None:
    """Close a peer's shared connections, those in use when they are no more."""
    for connection in tuple(peer.shared):
        connection.close()
