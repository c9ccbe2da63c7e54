"""Who asks subrequests through a pool with sockets, without a worker around it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Subrequest
from proxy.message.head import RequestHead, ResponseHead
from proxy.net.channel import Channel
from proxy.net.pool import LivePool
from proxy.net.resolver import Resolver
from proxy.net.subrequest import LiveSubrequest
from proxy.state.counters import Counters
from proxy.upstream.group import PeerGroup
from proxy.upstream.plan import PoolPlan
from tests.fakes.bench import pool_plan
from tests.fakes.exchanges import looked_at
from tests.fakes.wires import Upstream, until

LIMIT = 1000
"""Bytes of an answer that are taken."""


@dataclass
class Desk:
    """Who asks, through a pool in the test's loop; keeps what it is told."""

    plan: PoolPlan
    told: list[tuple[int, bytes]] = field(default_factory=list)
    errors: list[ProxyError] = field(default_factory=list)
    channels: set[Channel] = field(default_factory=set)
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self.resolver = Resolver(asyncio.get_running_loop())
        group = PeerGroup(self.plan, random.Random(1), 1)
        self.pool = LivePool(self.plan, group, self.resolver, self.channels.add, self.counters)

    def ask(
        self,
        exchange: Exchange | None = None,
        head: RequestHead | None = None,
        timeout: float = 5.0,
    ) -> LiveSubrequest:
        ask = Subrequest("auth", head or question(), timeout, LIMIT, lambda _head, _body: None)
        one = LiveSubrequest(
            exchange or asking_for(), ask, self.pool, self._done, self.errors.append, self.counters
        )
        one.start()
        return one

    def _done(self, head: ResponseHead, body: bytes) -> None:
        self.told.append((head.status, body))

    async def answered(self, *, count: int = 1) -> tuple[int, bytes]:
        await until(lambda: len(self.told) + len(self.errors) >= count)
        assert not self.errors, self.errors[0].detail
        assert len(self.told) == count
        return self.told[-1]

    async def failed(self) -> tuple[int, str]:
        await until(lambda: self.told or self.errors)
        assert not self.told
        (error,) = self.errors
        return error.status, error.detail

    def sweep(self, now: float) -> None:
        for channel in list(self.channels):
            if channel.deadline <= now:
                channel.expire(now)

    async def at_rest(self) -> None:
        """Nothing of any request is left over."""
        await asyncio.sleep(0.01)
        assert not any(peer.active for peer in self.pool.group)
        assert not self.pool.queued


@asynccontextmanager
async def desk(*servers: Upstream, plan: PoolPlan | None = None) -> AsyncIterator[Desk]:
    made = Desk(plan or pool_plan(*(server.port for server in servers)))
    try:
        yield made
        await made.at_rest()
    finally:
        made.pool.retire()
        for channel in made.channels:
            channel.abort()
        await asyncio.sleep(0)


def question(block: bytes = b"Cookie: a=1\r\n", authority: str = "auth:9091") -> RequestHead:
    head = RequestHead("GET", "/api/verify?x=1", "HTTP/1.1")
    head.authority = authority
    head.block = block
    return head


def asking_for(method: str = "POST") -> Exchange:
    exchange = looked_at(method=method, block=b"Cookie: a=1\r\nX-More: 1\r\n")
    exchange.head.authority = exchange.head.host = "site.example"
    exchange.head.content_length = 10
    exchange.request_id = "0123"
    return exchange
