import asyncio
from random import Random

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.exchange.phases import Phase
from proxy.net.hop import LiveHop
from proxy.net.pool import LivePool
from proxy.net.relay import Relay, begin
from proxy.net.resolver import Resolver
from proxy.net.spool import SpoolBudget
from proxy.routing.route import ProxyPlan
from proxy.state.counters import Counters
from proxy.upstream.group import PeerGroup
from proxy.upstream.plan import PoolPlan
from tests.fakes.relay_ends import FakeClientStream, between
from tests.fakes.websockets import no_websockets
from tests.fakes.wires import on_uvloop


@on_uvloop
async def test_every_exchange_gets_a_relay_of_its_own() -> None:
    plan = PoolPlan("app", (), hold=0.0)
    counters, failed = Counters(), []

    def fail(exchange: Exchange, error: ProxyError) -> None:
        failed.append((exchange, error.status))

    resolver = Resolver(asyncio.get_running_loop())
    pool = LivePool(plan, PeerGroup(plan, Random(1), 1), resolver, lambda _: None, counters)
    hop = LiveHop(pool, ProxyPlan("app"), fail, no_websockets(counters), SpoolBudget())
    waiting = between(FakeClientStream())
    waiting.head.content_length = 5
    waiting.head.block = b"Content-Length: 5\r\n"
    empty = between(FakeClientStream(), "GET")
    begin(hop, waiting)
    begin(hop, empty)
    assert isinstance(waiting.consumer, Relay)
    assert isinstance(empty.consumer, Relay)
    assert waiting.consumer is not empty.consumer
    assert waiting.phase is empty.phase is Phase.QUEUED
    # There is no server at all: who needs one now is told so by the hop.
    assert failed == [(empty, 503)]
    waiting.consumer.body_received(b"12345")
    waiting.consumer.body_ended(b"")
    assert failed[1:] == [(waiting, 503)]
    pool.retire()
    resolver.close()
