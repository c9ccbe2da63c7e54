"""A connection to an upstream without a loop, and everything that is told of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.clock import monotonic
from proxy.errors import ProxyError
from proxy.message.head import ResponseHead
from proxy.net.channel import Channel
from proxy.net.upstream_connection import UpstreamConnection
from proxy.routing.route import ProxyPlan
from proxy.upstream.peer import Peer
from proxy.upstream.plan import ServerPlan
from tests.fakes.exchanges import looked_at
from tests.fakes.transports import MemoryTransport, feed

PLAN = ProxyPlan("app", response_timeout=40.0, idle_timeout=20.0)


@dataclass
class Story:
    """Taker and owner in one: what both were told, in order.

    Attributes:
        when: What to do besides, when a call of that name comes.
    """

    told: list[object] = field(default_factory=list)
    when: dict[str, Callable[[], None]] = field(default_factory=dict)

    def _tell(self, call: str, *what: object) -> None:
        self.told.append((call, *what) if what else call)
        if call in self.when:
            self.when[call]()

    def answer_interim(self, head: ResponseHead) -> None:
        self._tell("interim", head.status)

    def answer_head(self, head: ResponseHead) -> None:
        self._tell("head", head.status)

    def answer_body(self, data: bytes) -> None:
        self._tell("body", data)

    def answer_turn(self) -> None:
        self._tell("turn")

    def upstream_full(self) -> None:
        self._tell("full")

    def upstream_ready(self) -> None:
        self._tell("ready")

    def answer_whole(self, head: ResponseHead, body: bytes) -> None:
        self._tell("whole", head.status, body)

    def answer_end(self, trailers: bytes) -> None:
        self._tell("end", trailers)

    def answer_lost(self, error: ProxyError) -> None:
        self._tell("error", error.status)

    def answering(self, connection: UpstreamConnection) -> None:  # noqa: ARG002 - the face's signature
        self._tell("answering")

    def release(self, connection: UpstreamConnection) -> None:
        self._tell("reusable" if connection.reusable else "worn out")
        connection.used += 1

    def given_up(self, connection: UpstreamConnection) -> None:  # noqa: ARG002 - the face's signature
        self._tell("given up")

    def lost(self, connection: UpstreamConnection, *, active: bool) -> None:  # noqa: ARG002 - the face's signature
        self._tell("lost active" if active else "lost idle")

    def heard(self) -> list[object]:
        """Return what was told since the last time."""
        told, self.told = self.told, []
        return told


class UpstreamLine:
    """A connection, its channel and its story."""

    def __init__(self) -> None:
        self.transport = MemoryTransport()
        self.channel = Channel()
        self.channel.connection_made(self.transport)
        self.story = Story()
        peer = Peer(ServerPlan("http://app", "http", "app", 80), ("192.0.2.9", 80), 3)
        self.connection = UpstreamConnection(self.channel, peer, self.story)
        self.channel.session = self.connection

    def ask(self, method: str = "GET", *, upgrade: str = "", whole: bool = True) -> None:
        """Send a request."""
        exchange = looked_at(method=method)
        exchange.head.authority = "a.test"
        exchange.head.upgrade = upgrade
        self.connection.hold(self.story, exchange, PLAN)
        self.connection.send_head(None)
        if whole:
            self.connection.end_body(b"")

    def hear(self, data: bytes) -> list[object]:
        """Take bytes from the upstream; return what was told of them."""
        feed(self.channel, data)
        return self.story.heard()

    def left(self) -> float:
        """Seconds to the deadline, rounded."""
        left = self.channel.deadline - monotonic()
        return left if left == math.inf else round(left, 1)
