import asyncio
import ssl
from dataclasses import replace

import pytest
import trustme

from proxy.errors import Fault, ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.net.tls_contexts import TlsConfigurationError
from proxy.observe.log_variables import FormatError
from proxy.routing.route import LogPlan, TlsPlan, TlsSite
from proxy.upstream.plan import HealthPlan
from tests.fakes.bench import bench, get, pool_plan, program
from tests.fakes.tls_memory import client_context, pem
from tests.fakes.wires import Wire, answer, on_uvloop, says, upstream

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
