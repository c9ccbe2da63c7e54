import asyncio
import ssl
from dataclasses import replace

import pytest
import trustme

from proxy.net.channel import Channel
from proxy.net.http2_upstream import Http2Upstream
from proxy.net.opening import Opener, OpeningError
from proxy.net.upstream_connection import UpstreamConnection
from proxy.state.counters import Counters
from proxy.state.shared import SharedState
from proxy.upstream.peer import Peer
from proxy.upstream.plan import PoolPlan, TlsClientPlan
from tests.fakes.bench import bench, get, pool_plan, program, server_plan
from tests.fakes.http2_app import Http2App, echo
from tests.fakes.wires import Wire, answer, on_uvloop, says, upstream

AUTHORITY = trustme.CA()


def server_side(*alpn: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(made)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def secure(port: int, *, http2: bool = True, known: bool = True) -> PoolPlan:
    authority = AUTHORITY if known else trustme.CA()
    return replace(
        pool_plan(),
        servers=(server_plan(port, "https"),),
        tls=TlsClientPlan(ca_pem=authority.cert_pem.bytes().decode()),
        http2=http2,
    )


class Owner:
    """A pool that counts."""

    def __init__(self) -> None:
        self.connections = 0
        self.channels: list[Channel] = []
        self.gone = asyncio.Event()

    def answering(self, connection: UpstreamConnection) -> None:
        raise AssertionError(connection)

    release = given_up = answering

    def lost(self, connection: UpstreamConnection, *, active: bool) -> None:
        assert not active, connection
        self.gone.set()

    def stream_answering(self, peer: Peer) -> None:
        raise AssertionError(peer)

    stream_over = stream_answering

    def shared_lost(self, connection: Http2Upstream) -> None:
        assert not connection.open
        self.gone.set()


async def opened(
    plan: PoolPlan, *, http2: bool = True, patience: float = 10.0
) -> tuple[Owner, UpstreamConnection | Http2Upstream, Counters]:
    owner = Owner()
    counters = SharedState.create(1).worker(0).counters
    opener = Opener(plan, owner, owner.channels.append, counters)
    server = plan.servers[0]
    peer = Peer(server, (server.host, server.port), 3)
    return owner, await opener.open(peer, patience, http2=http2), counters


async def say_nothing(wire: Wire) -> None:
    await wire.rest()


@pytest.mark.parametrize(
    ("alpn", "planned", "wanted", "kind"),
    [
        (("h2", "http/1.1"), True, True, Http2Upstream),
        (("h2", "http/1.1"), True, False, UpstreamConnection),
        (("h2", "http/1.1"), False, True, UpstreamConnection),
        (("http/1.1",), True, True, UpstreamConnection),
        ((), True, True, UpstreamConnection),
    ],
)
@on_uvloop
async def test_alpn_chooses(
    alpn: tuple[str, ...],
    kind: type,
    *,
    planned: bool,
    wanted: bool,
) -> None:
    app = Http2App(echo)
    script = app.script if kind is Http2Upstream else say_nothing
    async with upstream(script, server_side(*alpn)) as server:
        owner, made, counters = await opened(secure(server.port, http2=planned), http2=wanted)
        assert type(made) is kind
        assert (owner.connections, counters.upstream_connections) == (1, 1)
        (channel,) = owner.channels
        channel.abort()
        await owner.gone.wait()


@on_uvloop
async def test_whoever_is_not_trusted() -> None:
    async with upstream(say_nothing, server_side("h2")) as server:
        with pytest.raises(OpeningError) as caught:
            await opened(secure(server.port, known=False))
    assert (caught.value.status, caught.value.untrusted, caught.value.ours) == (502, True, False)


@on_uvloop
async def test_who_never_speaks_http2_has_no_more_time_than_for_connecting() -> None:
    async with upstream(say_nothing) as server:
        plan = replace(pool_plan(), servers=(server_plan(server.port, "h2c"),))
        with pytest.raises(OpeningError) as caught:
            await opened(plan, patience=0.02)
    assert caught.value.status == 504
    assert "timed out" in caught.value.detail


@on_uvloop
async def test_who_is_not_there() -> None:
    async with upstream(say_nothing) as server:
        port = server.port
    plan = replace(pool_plan(), servers=(server_plan(port, "h2c"),))
    with pytest.raises(OpeningError) as caught:
        await opened(plan)
    assert (caught.value.status, caught.value.ours) == (502, False)


@on_uvloop
async def test_requests_over_tls_in_http2() -> None:
    app = Http2App(echo)
    async with (
        upstream(app.script, server_side("h2")) as server,
        bench(program(secure(server.port))) as proxy,
    ):
        client = await proxy.client()
        for _ in range(2):
            client.send(get())
            assert (await client.reply()).status == 200
        assert app.asked[0].fields[":scheme"] == "https"
        assert len(server.wires) == 1


@pytest.mark.parametrize("alpn", [None, "h2"])
@on_uvloop
async def test_who_speaks_first(alpn: str | None) -> None:
    """A server's settings may be there before anybody listens."""
    app = Http2App(echo)
    async with upstream(app.script, server_side(alpn) if alpn else None) as server:
        plan = replace(pool_plan(), servers=(server_plan(server.port, "h2c"),))
        for _ in range(20):
            owner, made, _ = await opened(secure(server.port) if alpn else plan)
            assert isinstance(made, Http2Upstream)
            assert made.room == 100
            owner.channels[0].abort()


@on_uvloop
async def test_many_at_once_to_a_server_that_declines() -> None:
    async with (
        upstream(says(answer()), server_side("http/1.1")) as server,
        bench(program(secure(server.port))) as proxy,
    ):
        clients = [await proxy.client() for _ in range(5)]
        for client in clients:
            client.send(get())
        for client in clients:
            assert (await client.reply()).body == b"ok"
        before = len(server.wires)
        clients[0].send(get())
        assert (await clients[0].reply()).body == b"ok"
        assert len(server.wires) == before  # kept and used again, as ever


@on_uvloop
async def test_an_upgrade_goes_over_http1() -> None:
    switch = (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )

    async def either(wire: Wire) -> None:
        tls = wire.writer.get_extra_info("ssl_object")
        if tls.selected_alpn_protocol() == "h2":
            await app.script(wire)
        else:
            await wire.head()
            wire.send(switch)
            await wire.rest()

    app = Http2App(echo)
    async with (
        upstream(either, server_side("h2", "http/1.1")) as server,
        bench(program(secure(server.port))) as proxy,
    ):
        client, other = await proxy.client(), await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 200
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        other.send(get(fields=f"Connection: Upgrade\r\nUpgrade: websocket\r\n{key}"))
        assert (await other.reply()).status == 101
        client.send(get())
        assert (await client.reply()).status == 200
        assert len(server.wires) == 2
