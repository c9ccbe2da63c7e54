import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.routing.route import ProxyPlan
from tests.fakes.bench import Bench, bench, get, pool_plan, program
from tests.fakes.wires import Script, Wire, on_uvloop, upstream

MB = 1 << 20
UPGRADE = get(fields="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n")
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: eQ==\r\n\r\n"
)


@asynccontextmanager
async def tunnel(
    script: Script, plan: ProxyPlan | None = None, rcvbuf: int = 0
) -> AsyncIterator[tuple[Bench, Wire]]:
    """A client that asked for an upgrade, in front of a script that answers it."""

    async def switching(wire: Wire) -> None:
        head = await wire.head()
        assert b"\r\nUpgrade: websocket\r\n" in head
        assert b"\r\nConnection: Upgrade\r\n" in head
        wire.send(SWITCHING)
        await script(wire)

    async with upstream(switching) as app:
        made = program(pool_plan(app.port), plan=plan or ProxyPlan("app"))
        async with bench(made) as proxy:
            client = await proxy.client(rcvbuf=rcvbuf)
            client.send(UPGRADE)
            yield proxy, client


async def echo(wire: Wire) -> None:
    while data := await wire.some():
        wire.send(data)
        await wire.sent()


@on_uvloop
async def test_bytes_go_both_ways() -> None:
    async with tunnel(echo) as (proxy, client):
        reply = await client.reply()
        assert reply.status == 101
        assert reply.fields["connection"] == "Upgrade"
        assert reply.fields["upgrade"] == "websocket"
        assert reply.fields["sec-websocket-accept"] == "eQ=="
        for _ in range(3):
            client.send(b"ping")
            assert await client.exactly(4) == b"ping"
        assert proxy.counters.websockets_open == 1
        client.close()
        line = await proxy.entry()
        assert (line["status"], line["bytes_received"], line["bytes_sent"]) == (101, 12, 12)
        assert proxy.counters.websockets_open == 0
        assert proxy.counters.requests_aborted == 0


@on_uvloop
async def test_bytes_that_come_with_the_heads() -> None:
    async def greets(wire: Wire) -> None:
        wire.send(b"welcome")  # in one piece with the 101
        await echo(wire)

    async with tunnel(greets) as (_, client):
        client.send(b"hasty")
        await client.head()
        assert await client.exactly(12) == b"welcomehasty"


@on_uvloop
async def test_a_lot_behind_the_request() -> None:
    content = os.urandom(MB)
    async with tunnel(echo) as (_, client):
        client.send(content)
        await client.head()
        assert await client.exactly(len(content)) == content


@pytest.mark.parametrize("how", ["eof", "close"])
@on_uvloop
async def test_the_upstream_ends_it(how: str) -> None:
    async def ends(wire: Wire) -> None:
        wire.send(b"bye")
        if how == "eof":
            wire.eof()
            await wire.gone()

    async with tunnel(ends) as (proxy, client):
        await client.head()
        assert await client.rest() == b"bye"
        assert (await proxy.entry())["status"] == 101


@on_uvloop
async def test_the_client_ends_its_direction() -> None:
    async def answers_late(wire: Wire) -> None:
        assert await wire.rest() == b"question"
        wire.send(b"answer")

    async with tunnel(answers_late) as (proxy, client):
        await client.head()
        client.send(b"question")
        client.eof()
        assert await client.rest() == b"answer"
        await proxy.entry()


@on_uvloop
async def test_an_upstream_that_is_reset() -> None:
    async def resets(wire: Wire) -> None:
        await wire.some()
        wire.reset()

    async with tunnel(resets) as (proxy, client):
        await client.head()
        client.send(b"x")
        assert await client.gone()
        assert (await proxy.entry())["error"]


@on_uvloop
async def test_a_client_that_is_reset() -> None:
    gone = []

    async def waits(wire: Wire) -> None:
        gone.append(await wire.gone())

    async with tunnel(waits) as (proxy, client):
        await client.head()
        client.reset()
        await proxy.until(lambda: gone)


@on_uvloop
async def test_silence_has_an_end() -> None:
    async def waits(wire: Wire) -> None:
        await wire.gone()

    async with tunnel(waits, ProxyPlan("app", websocket_idle=0.02)) as (proxy, client):
        await client.head()
        await asyncio.sleep(0.05)
        proxy.sweep()
        assert await client.gone()


@on_uvloop
async def test_a_byte_either_way_is_a_sign_of_life() -> None:
    async with tunnel(echo, ProxyPlan("app", websocket_idle=0.2)) as (proxy, client):
        await client.head()
        for _ in range(8):
            await asyncio.sleep(0.05)
            client.send(b"x")
            assert await client.exactly(1) == b"x"
            proxy.sweep()


@on_uvloop
async def test_a_slow_client_stops_the_upstream() -> None:
    content = os.urandom(MB) * 24

    async def pours(wire: Wire) -> None:
        wire.send(content)
        await wire.gone()

    async with tunnel(pours, rcvbuf=4096) as (proxy, client):
        (channel,) = [await proxy.channel()]
        await proxy.until(lambda: channel.writing_paused)
        await asyncio.sleep(0.05)
        assert channel.transport is not None
        assert channel.transport.get_write_buffer_size() < MB
        assert proxy.server._budget.files == 0
        await client.head()
        assert await client.exactly(len(content)) == content


@on_uvloop
async def test_a_slow_upstream_stops_the_client() -> None:
    content = os.urandom(MB) * 24
    gate = asyncio.Event()
    got = []

    async def sips(wire: Wire) -> None:
        await gate.wait()
        got.append(await wire.exactly(len(content)))
        wire.send(b"done")

    async with tunnel(sips) as (proxy, client):
        await client.head()
        client.send(content)
        channel = await proxy.channel()
        await proxy.until(lambda: channel.reading_paused)
        gate.set()
        assert await client.rest() == b"done"
        assert got == [content]


@on_uvloop
async def test_no_upgrade_without_being_asked() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(SWITCHING)
        await wire.gone()

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 502


@on_uvloop
async def test_an_upgrade_may_be_refused() -> None:
    async def script(wire: Wire) -> None:
        while True:
            await wire.head()
            wire.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        for request in (UPGRADE, get()):
            client.send(request)
            reply = await client.reply()
            assert (reply.status, reply.body) == (403, b"no")


@on_uvloop
async def test_a_drain_ends_tunnels_at_its_end() -> None:
    async with tunnel(echo) as (proxy, client):
        await client.head()
        await proxy.server.drain(0.05)
        assert await client.gone()
        assert (await proxy.entry())["status"] == 101
