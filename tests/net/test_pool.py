import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from proxy.clock import monotonic
from proxy.net.channel import Channel
from proxy.net.connecting import Connector
from proxy.routing.route import ProxyPlan
from proxy.upstream.peer import Peer
from tests.fakes.bench import Bench, bench, get, pool_plan, program, server_plan
from tests.fakes.wires import Upstream, Wire, answer, on_uvloop, says, upstream


class Gate:
    """A script that answers once it may; counts who came."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.asked = 0

    async def __call__(self, wire: Wire) -> None:
        while True:
            await wire.head()
            self.asked += 1
            await self.open.wait()
            wire.send(answer())


@asynccontextmanager
async def nobody() -> AsyncIterator[Upstream]:
    """A port where nobody listens; `start` changes that."""
    async with upstream(says(answer())) as app:
        app.stop()
        await asyncio.sleep(0)
        yield app


def idle(proxy: Bench) -> int:
    return sum(len(peer.idle) for peer in proxy.pool.group)


@on_uvloop
async def test_connections_are_kept_and_used_again() -> None:
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        for _ in range(3):
            client = await proxy.client()
            client.send(get())
            assert (await client.reply()).status == 200
        assert (len(app.wires), proxy.pool.connections, idle(proxy)) == (1, 1, 1)


@on_uvloop
async def test_after_a_burst_more_are_kept_for_a_moment_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.upstream.keepalive.SPARE", 0.05)
    gate = Gate()
    async with upstream(gate) as app:
        pool = replace(pool_plan(app.port), keep_alive_connections=2)
        async with bench(program(pool)) as proxy:
            clients = [await proxy.client() for _ in range(4)]
            for client in clients:
                client.send(get())
            await proxy.until(lambda: gate.asked == 4)
            gate.open.set()
            for client in clients:
                assert (await client.reply()).status == 200
            assert idle(proxy) == 4
            await asyncio.sleep(0.06)
            proxy.pool.sweep(monotonic())
            await proxy.until(lambda: proxy.pool.connections == 2)
            assert idle(proxy) == 2


@on_uvloop
async def test_none_are_kept_where_the_plan_says_none() -> None:
    async with upstream(says(answer())) as app:
        pool = replace(pool_plan(app.port), keep_alive_connections=0)
        async with bench(program(pool)) as proxy:
            client = await proxy.client()
            client.send(get())
            assert (await client.reply()).status == 200
            await proxy.until(lambda: proxy.pool.connections == 0)


@pytest.mark.parametrize("fields", [b"Keep-Alive: timeout=1\r\n", b"Connection: close\r\n"])
@on_uvloop
async def test_what_the_server_says_of_the_connection_is_heard(fields: bytes) -> None:
    script = says(answer(fields=fields))
    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        for _ in range(2):
            client.send(get())
            assert (await client.reply()).status == 200
        assert len(app.wires) == 2
        await proxy.until(lambda: not proxy.pool.connections)


@on_uvloop
async def test_idle_connections_are_closed_in_time() -> None:
    async with upstream(says(answer())) as app:
        pool = replace(pool_plan(app.port), keep_alive_idle=50.0)
        async with bench(program(pool)) as proxy:
            client = await proxy.client()
            client.send(get())
            await client.reply()
            proxy.pool.sweep(monotonic() + 49)
            assert idle(proxy) == 1
            proxy.pool.sweep(monotonic() + 51)
            assert idle(proxy) == 0
            await proxy.until(lambda: not proxy.pool.connections)


@on_uvloop
async def test_an_old_connection_is_not_for_what_must_not_be_repeated() -> None:
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await client.reply()
        (peer,) = proxy.pool.group
        peer.idle[0].idle_since -= 1.5
        client.send(get(method="POST", fields="Content-Length: 0\r\n"))
        assert (await client.reply()).status == 200
        assert len(app.wires) == 2
        client.send(get())
        assert (await client.reply()).status == 200
        assert (len(app.wires), idle(proxy)) == (2, 2)


@on_uvloop
async def test_bytes_that_nobody_asked_for_end_a_connection() -> None:
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await client.reply()
        app.wires[0].send(answer(b"poison"))
        await proxy.until(lambda: not proxy.pool.connections)
        assert idle(proxy) == 0
        client.send(get())
        assert (await client.reply()).body == b"ok"


@on_uvloop
async def test_bytes_behind_an_answer_end_a_connection() -> None:
    script = says(answer() + answer(b"poison"))
    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        for count in (1, 2):
            client.send(get())
            assert (await client.reply()).body == b"ok"
            assert len(app.wires) == count


@pytest.mark.parametrize("how", ["close", "reset"])
@on_uvloop
async def test_a_server_that_closes_at_once(how: str) -> None:
    async def shut(wire: Wire) -> None:
        if how == "reset":
            wire.reset()

    async with upstream(shut) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 502


@on_uvloop
async def test_a_connection_that_died_while_it_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Connector._open_transport

    async def and_dies(self: Connector, address: tuple[str, int], channel: Channel) -> None:
        await opened(self, address, channel)
        channel.abort()

    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        with monkeypatch.context() as patch:
            patch.setattr(Connector, "_open_transport", and_dies)
            client.send(get())
            assert (await client.reply()).status == 502
        client.send(get())
        assert (await client.reply()).status == 200


# Nobody there.


@on_uvloop
async def test_refused_without_hold() -> None:
    async with nobody() as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 502
        assert "refused" in (await proxy.entry())["error"]


@on_uvloop
async def test_holding_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.net.pool._TICK", 0.02)
    async with nobody() as app, bench(program(replace(pool_plan(app.port), hold=0.05))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 503
        (line,) = await proxy.entries(1)
        assert "cannot be reached" in line["error"] or "can be reached" in line["error"]


@on_uvloop
async def test_requests_are_held_until_the_server_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.net.pool._TICK", 0.02)
    async with nobody() as app, bench(program(replace(pool_plan(app.port), hold=10.0))) as proxy:
        clients = [await proxy.client() for _ in range(20)]
        for client in clients:
            client.send(get(method="POST", fields="Content-Length: 0\r\n"))
        await proxy.until(lambda: proxy.pool.queued >= 19)
        tries = proxy.counters.upstream_errors
        await asyncio.sleep(0.1)
        assert proxy.counters.upstream_errors - tries <= 8, "one at a time is sent out"
        await app.start()
        for client in clients:
            assert (await client.reply()).status == 200
        assert proxy.pool.queued == 0


@on_uvloop
async def test_a_scout_that_leaves_does_not_leave_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.net.pool._TICK", 0.02)
    connect = Connector.connect
    hang = asyncio.Event()

    async def hangs(self: Connector, peer: Peer, *, http2: bool) -> Channel:
        await hang.wait()
        return await connect(self, peer, http2=http2)

    async with nobody() as app, bench(program(replace(pool_plan(app.port), hold=10.0))) as proxy:
        one, other = await proxy.client(), await proxy.client()
        one.send(get())
        await proxy.until(lambda: proxy.pool.queued)
        other.send(get())
        await proxy.until(lambda: proxy.pool.queued == 2)
        monkeypatch.setattr(Connector, "connect", hangs)
        await proxy.until(lambda: proxy.pool._scout is not None)
        one.close()
        await proxy.entries(1)
        await proxy.until(lambda: proxy.pool._scout is None or proxy.pool.queued == 0)
        await app.start()
        hang.set()
        assert (await other.reply()).status == 200


@on_uvloop
async def test_a_scout_that_finds_a_kept_connection_is_no_scout_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.net.pool._TICK", 0.02)
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await client.reply()
        session = next(iter(proxy.server._door.sessions))
        assert session is not None
        waits = Waits()
        proxy.pool._waiting[waits] = None  # type: ignore[index]  # as much of one as is needed
        proxy.pool._tick()
        assert waits.given
        assert proxy.pool._scout is None


class Waits:
    """A waiter that does not want what it is given."""

    connect_timeout = 1.0
    wait_until = 1e9

    def __init__(self) -> None:
        self.tried: list[Peer] = []
        self.given = False
        self.exchange = Asks()

    def connected(self, _: object) -> bool:
        self.given = True
        return False


class Asks:
    class head:  # noqa: N801 - stands for an attribute
        method = "GET"
        upgrade = ""


@on_uvloop
async def test_connecting_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(*_: object, **__: object) -> Channel:
        await asyncio.sleep(10)
        raise AssertionError

    monkeypatch.setattr(Connector, "connect", hangs)
    async with nobody() as app:
        made = program(pool_plan(app.port), plan=ProxyPlan("app", connect_timeout=0.02))
        async with bench(made) as proxy:
            client = await proxy.client()
            client.send(get())
            assert (await client.reply()).status == 504


# Everybody busy.


@on_uvloop
async def test_a_full_server_has_a_queue() -> None:
    gate = Gate()
    async with upstream(gate) as app:
        pool = replace(pool_plan(app.port), max_connections=2, queue_timeout=10.0)
        async with bench(program(pool)) as proxy:
            clients = [await proxy.client() for _ in range(6)]
            for client in clients:
                client.send(get())
            await proxy.until(lambda: proxy.pool.queued == 4)
            clients.pop().close()  # who leaves the queue makes room
            await proxy.until(lambda: proxy.pool.queued == 3)
            clients.pop(0).close()  # so does who is being served
            await proxy.until(lambda: proxy.pool.queued == 2)
            gate.open.set()
            for client in clients:
                assert (await client.reply()).status == 200
            assert gate.asked == 5


@on_uvloop
async def test_a_queue_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.net.pool._TICK", 0.02)
    gate = Gate()
    async with upstream(gate) as app:
        pool = replace(pool_plan(app.port), max_connections=1, queue_timeout=0.03)
        async with bench(program(pool)) as proxy:
            first, second = await proxy.client(), await proxy.client()
            first.send(get())
            await proxy.until(lambda: gate.asked)
            second.send(get())
            assert (await second.reply()).status == 503
            gate.open.set()
            assert (await first.reply()).status == 200


@on_uvloop
async def test_a_server_on_trial_is_back_with_its_first_answer_head() -> None:
    gate = asyncio.Event()

    async def slow_body(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await gate.wait()
        wire.send(b"ok")
        await wire.gone()

    async with (
        upstream(slow_body) as one,
        upstream(slow_body) as other,
        bench(program(pool_plan(one.port, other.port))) as proxy,
    ):
        peers = list(proxy.pool.group)
        for peer in peers:
            peer.out_until = 1.0  # the time out is long over
        client = await proxy.client()
        client.send(get())
        assert (await client.head()).startswith(b"HTTP/1.1 200")
        assert sorted(peer.out_until for peer in peers) == [0.0, 1.0]
        gate.set()
        assert await client.exactly(2) == b"ok"


# A reload.


@on_uvloop
async def test_a_retired_pool_keeps_nothing_but_what_runs() -> None:
    gate = Gate()
    async with upstream(gate) as app, bench(program(pool_plan(app.port))) as proxy:
        client, idler = await proxy.client(), await proxy.client()
        client.send(get())
        await proxy.until(lambda: gate.asked == 1)
        before = proxy.pool
        proxy.server.prepare(program(replace(pool_plan(app.port), retries=0)))()
        assert proxy.pool is not before
        idler.send(get())
        await proxy.until(lambda: gate.asked == 2)
        gate.open.set()
        assert (await client.reply()).status == 200
        assert (await idler.reply()).status == 200
        await proxy.until(lambda: before.connections == 0)
        assert idle(proxy) == 1


@on_uvloop
async def test_an_address_that_goes_takes_its_idle_connections_along() -> None:
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await client.reply()
        proxy.pool._update(server_plan(app.port), (("127.0.0.2", app.port),))
        await proxy.until(lambda: not proxy.pool.connections)
