import asyncio
import contextlib
import socket
import ssl
from dataclasses import replace
from ipaddress import ip_network

import pytest
import trustme

from proxy.errors import Fault, ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.net import http1_connection, server
from proxy.net.pool import LivePool
from proxy.net.tls_contexts import TlsConfigurationError
from proxy.observe.log_variables import FormatError
from proxy.routing.route import Limits, LogPlan, Timeouts, TlsPlan, TlsSite
from proxy.upstream.plan import HealthPlan, TlsClientPlan
from tests.fakes.bench import bench, get, pool_plan, post, program, server_plan
from tests.fakes.tls_memory import client_context, pem
from tests.fakes.wires import PATIENCE, CutShortError, Wire, answer, on_uvloop, says, upstream

AUTHORITY = trustme.CA()
HEALTH = HealthPlan("/", 10.0, 2.0, 2, 3, 200)


def https(*names: str) -> tuple[bytes, bytes]:
    return pem(AUTHORITY.issue_cert(*names))


class Slow:
    """A script that answers every request once it may."""

    def __init__(self, body: bytes) -> None:
        self.open = asyncio.Event()
        self.asked = 0
        self._body = body

    async def __call__(self, wire: Wire) -> None:
        while True:
            await wire.head()
            self.asked += 1
            await self.open.wait()
            wire.send(answer(self._body))


# A reload.


@on_uvloop
async def test_a_running_request_keeps_its_program() -> None:
    slow = Slow(b"old")
    async with (
        upstream(slow) as old,
        upstream(says(answer(b"new"))) as new,
        bench(program(pool_plan(old.port))) as proxy,
    ):
        running, other = await proxy.client(), await proxy.client()
        running.send(get())
        await proxy.until(lambda: slow.asked)
        proxy.server.prepare(program(pool_plan(new.port)))()
        other.send(get())
        assert (await other.reply()).body == b"new"
        slow.open.set()
        assert (await running.reply()).body == b"old"
        running.send(get())  # the same connection, the new program
        assert (await running.reply()).body == b"new"


@on_uvloop
async def test_pools_that_stay_keep_their_connections() -> None:
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await client.reply()
        before = proxy.pool
        proxy.server.prepare(program(pool_plan(app.port)))()
        assert proxy.pool is before
        client.send(get())
        assert (await client.reply()).status == 200
        assert len(app.wires) == 1


@on_uvloop
async def test_a_program_that_fails_changes_nothing() -> None:
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        before, live = proxy.pool, proxy.server._service.live
        good = program(replace(pool_plan(app.port), retries=5))
        bad_tls = TlsPlan(sites=(TlsSite(("localhost",), ((b"no", b"pem"),)),))
        with pytest.raises(TlsConfigurationError):
            proxy.server.prepare(replace(good, tls=bad_tls))
        with pytest.raises(FormatError):
            proxy.server.prepare(replace(good, log=LogPlan(access_format="$nonsense")))
        with pytest.raises(KeyError):
            proxy.server.prepare(replace(good, pools={}))
        assert proxy.pool is before
        assert proxy.server._service.live is live
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 200


@on_uvloop
async def test_preparing_alone_changes_nothing() -> None:
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        before = proxy.pool
        proxy.server.prepare(program(replace(pool_plan(app.port), retries=5)))
        assert proxy.pool is before


@on_uvloop
async def test_whom_the_new_program_does_not_believe_is_not_believed_on_an_old_connection() -> None:
    async with upstream(says(answer())) as app:
        doubting = program(pool_plan(app.port))
        believing = replace(doubting, trusted=(ip_network("127.0.0.0/8"),))
        async with bench(doubting) as proxy:
            client = await proxy.client()
            for made in (doubting, believing, doubting):
                proxy.server.prepare(made)()
                client.send(get(fields="X-Forwarded-For: 192.0.2.7\r\n"))
                assert (await client.reply()).status == 200
            told = [line["client"] for line in await proxy.entries(3)]
            assert told == ["127.0.0.1", "192.0.2.7", "127.0.0.1"]


@on_uvloop
async def test_certificates_are_swapped_while_connections_live() -> None:
    async with (
        upstream(says(answer())) as app,
        bench(program(pool_plan(app.port), pairs=(https("localhost"),)), tls=True) as proxy,
    ):
        trusting = client_context(AUTHORITY)
        trusting.set_alpn_protocols(["http/1.1"])
        before = await proxy.client(trusting)
        proxy.server.prepare(program(pool_plan(app.port), pairs=(https("localhost"),)))()
        after = await proxy.client(trusting)
        for client in (before, after):
            client.send(get())
            assert (await client.reply()).status == 200
        certificates = [serial(client) for client in (before, after)]
        assert certificates[0] != certificates[1]


def serial(client: Wire) -> bytes:
    tls = client.writer.get_extra_info("ssl_object")
    assert isinstance(tls, ssl.SSLObject)
    found = tls.getpeercert(binary_form=True)
    assert found is not None
    return found


# The end.


@on_uvloop
async def test_a_drain_waits_for_what_runs() -> None:
    slow = Slow(b"at last")
    async with upstream(slow) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await proxy.until(lambda: slow.asked)
        draining = asyncio.ensure_future(proxy.server.drain(20.0))  # noqa: TID251 - awaited below
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionError):
            await proxy.client()
        slow.open.set()
        reply = await client.reply()
        assert (reply.body, reply.fields["connection"]) == (b"at last", "close")
        await draining
        assert (await proxy.entry())["status"] == 200


@on_uvloop
async def test_a_drain_has_an_end() -> None:
    slow = Slow(b"never")
    async with upstream(slow) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await proxy.until(lambda: slow.asked)
        await proxy.server.drain(0.02)
        assert await client.gone()
        assert (await proxy.entry())["status"] == 499


# What is done once a second, and told.


@on_uvloop
async def test_the_board_takes_servers_out() -> None:
    async with upstream(says(answer())) as app:
        pool = pool_plan(app.port)
        async with bench(program(pool)) as proxy:
            (peer,) = proxy.pool.group
            assert not peer.down
            proxy.pool.plan = replace(pool, health=HEALTH)
            board = proxy.server._share.health
            key = board.key("app", peer.server.url, f"127.0.0.1:{app.port}")
            for verdict in (False, True):
                board.set(key, verdict)
                proxy.sweep()
                assert peer.down is not verdict


@on_uvloop
async def test_status() -> None:
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await client.reply()
        status = proxy.server.status()
        assert (status["connections"], status["requests"]) == (1, 1)
        assert status["upstreams"] == {
            "app": [
                {
                    "server": f"http://127.0.0.1:{app.port}",
                    "address": f"127.0.0.1:{app.port}",
                    "down": False,
                    "out": False,
                    "active": 0,
                    "idle": 1,
                }
            ]
        }


@on_uvloop
async def test_what_a_gate_breaks_is_500_and_said_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def bug(_: Exchange) -> Answer:
        raise RuntimeError("a bug")

    def failure(_: Exchange) -> Answer:
        raise ProxyError(503, Fault.PROXY, "not now")

    def whole(_: Exchange) -> Answer:
        return Answer(ResponseHead(204, "No Content"))

    for gate, status in ((bug, 500), (failure, 503), (whole, 204)):
        async with bench(program(pool_plan(1), gates=(gate,))) as proxy:
            client = await proxy.client()
            client.send(get())
            assert (await client.reply()).status == status
            assert (await proxy.entry())["status"] == status
    assert "a bug" in caplog.text
    assert "not now" in caplog.text


@on_uvloop
async def test_a_program_that_fails_leaves_no_pools_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    retired: list[str] = []
    retire = LivePool.retire

    def noted(pool: LivePool) -> None:
        retired.append(pool.plan.name)
        retire(pool)

    monkeypatch.setattr(LivePool, "retire", noted)
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        made = program(pool_plan(app.port))
        other = replace(pool_plan(app.port), name="other")
        bad = replace(other, name="bad", servers=(server_plan(1, "https"),))
        bad = replace(bad, tls=TlsClientPlan(ca_pem="no PEM"))
        pools = {**made.pools, "other": other, "bad": bad}
        with pytest.raises(TlsConfigurationError):
            proxy.server.prepare(replace(made, pools=pools))
        assert retired == ["other"], "and not the one in use"
        proxy.server.prepare(replace(made, pools={**made.pools, "other": other}))()
        proxy.server.prepare(made)()
        assert retired == ["other", "other"]


# Who is too slow.


@pytest.mark.parametrize("fields", ["", "Connection: close\r\n"])
@on_uvloop
async def test_a_client_that_takes_nothing_is_cut_off(fields: str) -> None:
    async def pours(wire: Wire) -> None:
        await wire.head()
        wire.send(answer(bytes(12 << 20)))
        await wire.gone()

    patience = Timeouts(write_idle=0.02)
    async with (
        upstream(pours) as app,
        bench(program(pool_plan(app.port), timeouts=patience)) as proxy,
    ):
        client = await proxy.client(rcvbuf=4096)
        client.send(get(fields=fields))
        channel = await proxy.channel()
        await proxy.until(lambda: channel.writing_paused)
        proxy.sweep()
        assert proxy.counters.client_timeouts == 0, "it has some time"
        await asyncio.sleep(0.05)
        proxy.sweep()
        await proxy.entry()
        assert [proxy.counters.client_timeouts] == [1]
        with pytest.raises(CutShortError):
            await client.reply()


@on_uvloop
async def test_a_client_that_takes_nothing_of_its_last_bytes_is_cut_off() -> None:
    patience = Timeouts(write_idle=0.02)
    body = bytes(60_000)

    def large(_: Exchange) -> Answer:
        head = ResponseHead(200, "OK")
        head.content_length = len(body)
        return Answer(head, body, close=True)

    async with bench(program(pool_plan(1), gates=(large,), timeouts=patience)) as proxy:
        client = await proxy.client(rcvbuf=4096)
        channel = await proxy.channel()
        transport = channel.transport
        assert transport is not None
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.send(get())
        await proxy.until(transport.get_write_buffer_size)
        assert not channel.writing_paused
        proxy.sweep()
        await asyncio.sleep(0.05)
        proxy.sweep()
        await proxy.until(lambda: channel.transport is None)
        with pytest.raises(CutShortError):
            await client.reply()


@on_uvloop
async def test_an_upstream_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_STALLED", 0.02)

    async def deaf(wire: Wire) -> None:
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # both ways at once
        await asyncio.sleep(PATIENCE)

    async with upstream(deaf) as app:
        pool = replace(pool_plan(app.port), request_buffering="off", retries=0)
        async with bench(program(pool)) as proxy:
            client = await proxy.client()
            client.send(post(bytes(24 << 20)))
            await proxy.until(
                lambda: any(each.writing_paused for each in proxy.server._upstream_channels)
            )
            proxy.sweep()
            await asyncio.sleep(0.05)
            proxy.sweep()
            assert (await client.reply()).status == 504
            assert proxy.counters.upstream_timeouts == 1
            proxy.sweep()
            assert not proxy.server._upstream_channels, "what is gone is forgotten"
            assert proxy.counters.upstream_connections_open == 0


# The way in.


@on_uvloop
async def test_many_that_come_at_once_wait_to_be_accepted() -> None:
    many = 400
    with contextlib.ExitStack() as crowd:
        async with upstream(says(answer())) as app:
            limits = Limits(connections_per_ip=0)
            async with bench(program(pool_plan(app.port), limits=limits)) as proxy:
                # All of them connect while the worker has no time at all.
                knocking = [
                    crowd.enter_context(
                        socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE)
                    )
                    for _ in range(many)
                ]
                await proxy.until(lambda: len(proxy.server._door.channels) == many)
                for each in knocking:
                    each.close()
                await proxy.at_rest()


@on_uvloop
async def test_a_drain_does_not_wait_for_who_only_keeps_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http1_connection, "_LAST_CALL", 0.0)
    monkeypatch.setattr(server, "_SWEEP", 0.01)
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await client.reply()
        proxy.sweep()
        async with asyncio.timeout(PATIENCE / 2):
            await proxy.server.drain(PATIENCE)
        assert await client.gone()
