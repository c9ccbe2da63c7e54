import asyncio
import os
from dataclasses import replace

import pytest

from proxy.errors import BadRequestError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.routing.route import Limits, Timeouts
from tests.fakes.bench import bench, get, pool_plan, post, posting, program
from tests.fakes.wires import Wire, answer, on_uvloop, says, upstream

MB = 1 << 20


async def echo(wire: Wire) -> None:
    """Answer each request with its target."""
    while True:
        head = await wire.head()
        wire.send(answer(head.split(b" ")[1]))


@on_uvloop
async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with upstream(echo) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        for number in range(5):
            client.send(get(f"/{number}"))
            assert (await client.reply()).body == b"/%d" % number
        assert proxy.counters.connections_accepted == 1
        assert len({line["request_id"] for line in await proxy.entries(5)}) == 5


@on_uvloop
async def test_pipelined_requests_are_answered_in_order() -> None:
    async with upstream(echo) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(b"".join(get(f"/{number}") for number in range(50)))
        for number in range(50):
            assert (await client.reply()).body == b"/%d" % number
        assert proxy.pool.connections == 1


@on_uvloop
async def test_a_request_byte_by_byte() -> None:
    async with upstream(echo) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        for byte in get("/slowly"):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.reply()).body == b"/slowly"


@on_uvloop
async def test_answers_are_not_made_while_nobody_reads_them() -> None:
    content = os.urandom(60_000)
    asked = 0

    async def script(wire: Wire) -> None:
        nonlocal asked
        while True:
            await wire.head()
            asked += 1
            wire.send(answer(content))

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client(rcvbuf=4096)
        client.send(get() * 400)
        (channel,) = proxy.server._door.channels
        await proxy.until(lambda: channel.writing_paused)
        await asyncio.sleep(0.05)
        before = asked
        await asyncio.sleep(0.05)
        assert asked == before < 400
        assert channel.transport is not None
        assert channel.transport.get_write_buffer_size() < MB // 2
        for _ in range(400):
            assert (await client.reply()).body == content


@on_uvloop
async def test_our_own_answers_do_not_pile_up_either() -> None:
    head = ResponseHead(200, "OK")
    head.content_length = 10_000

    def gate(_: Exchange) -> Answer:
        return Answer(head, bytes(10_000))

    made = program(pool_plan(1), gates=(gate,))
    async with bench(made) as proxy:
        client = await proxy.client(rcvbuf=4096)
        client.send(get() * 2000)
        (channel,) = proxy.server._door.channels
        await proxy.until(lambda: channel.writing_paused)
        await asyncio.sleep(0.05)
        assert channel.transport is not None
        assert channel.transport.get_write_buffer_size() < MB // 2
        proxy.sweep()
        for _ in range(2000):
            assert (await client.reply()).status == 200


@on_uvloop
async def test_many_pipelined_requests_stop_their_sender() -> None:
    gate = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            await wire.head()
            await gate.wait()
            wire.send(answer())

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        count = MB // len(get())
        client.send(get() * count)
        (channel,) = proxy.server._door.channels
        await proxy.until(lambda: channel.reading_paused)
        gate.set()
        for _ in range(count // 10):
            assert (await client.reply()).body == b"ok"
        client.reset()


@on_uvloop
async def test_a_reader_that_takes_nothing_is_cut_off() -> None:
    async with upstream(says(answer(bytes(30 * MB)))) as app:
        made = program(pool_plan(app.port), timeouts=Timeouts(write_idle=0.02))
        async with bench(made) as proxy:
            client = await proxy.client(rcvbuf=4096)
            client.send(get())
            (channel,) = proxy.server._door.channels
            await proxy.until(lambda: channel.writing_paused)
            proxy.sweep()
            await asyncio.sleep(0.05)
            proxy.sweep()
            await proxy.entry()
            assert proxy.counters.client_timeouts == 1


@on_uvloop
async def test_a_closing_connection_whose_peer_takes_nothing_is_cut_off() -> None:
    """Less waits than would pause the writing."""
    made = program(pool_plan(1), timeouts=Timeouts(write_idle=0.02))
    async with bench(made) as proxy:
        client = await proxy.client(rcvbuf=4096)
        channel = await proxy.channel()
        assert channel.transport is not None
        while not channel.transport.get_write_buffer_size():
            channel.write(bytes(50_000))
            await asyncio.sleep(0.001)
        assert not channel.writing_paused
        channel.close()
        proxy.sweep()
        await asyncio.sleep(0.05)
        proxy.sweep()
        await proxy.until(lambda: not proxy.server._door.channels)
        assert client.reader.exception() is None


# Time.


@pytest.mark.parametrize(
    ("sent", "status"), [(b"", 0), (b"GET / HTTP/1.1\r\nHo", 408), (get() + b"GET", 408)]
)
@on_uvloop
async def test_a_head_that_does_not_come(sent: bytes, status: int) -> None:
    async with upstream(echo) as app:
        made = program(pool_plan(app.port), timeouts=Timeouts(request_header=0.02))
        async with bench(made) as proxy:
            client = await proxy.client()
            client.send(sent)
            if sent.startswith(get()):
                assert (await client.reply()).status == 200
            await asyncio.sleep(0.05)
            proxy.sweep()
            if status:
                reply = await client.reply()
                assert reply.status == status
                assert reply.fields["connection"] == "close"
            assert await client.gone()


@on_uvloop
async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with upstream(echo) as app:
        made = program(pool_plan(app.port), timeouts=Timeouts(keep_alive=0.02))
        async with bench(made) as proxy:
            client = await proxy.client()
            client.send(get())
            assert (await client.reply()).status == 200
            await asyncio.sleep(0.05)
            proxy.sweep()
            assert await client.rest() == b""
            assert proxy.counters.client_timeouts == 0


@pytest.mark.parametrize("buffering", ["on", "off"])
@on_uvloop
async def test_a_body_that_stalls(buffering: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.rest()

    async with upstream(script) as app:
        pool = replace(pool_plan(app.port), request_buffering=buffering)
        async with bench(program(pool, timeouts=Timeouts(body_idle=0.02))) as proxy:
            client = await proxy.client()
            client.send(posting(100) + b"part")
            await proxy.until(lambda: proxy.counters.requests)
            await asyncio.sleep(0.05)
            proxy.sweep()
            assert (await client.reply()).status == 408
            assert (await proxy.entry())["bytes_received"] == 4


@on_uvloop
async def test_a_body_comes_as_slowly_as_we_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()

    async def script(wire: Wire) -> None:
        await gate.wait()
        await wire.head()
        await wire.exactly(24 * MB)
        wire.send(answer())
        await wire.gone()

    monkeypatch.setattr("proxy.net.body_watch._WINDOW", 0.05)
    async with upstream(script) as app:
        pool = replace(pool_plan(app.port), request_buffering="off")
        timeouts = Timeouts(body_idle=0.02, min_rate=1e9)
        async with bench(program(pool, timeouts=timeouts)) as proxy:
            client = await proxy.client()
            client.send(post(bytes(24 * MB)))
            channel = await proxy.channel()
            await proxy.until(lambda: channel.reading_paused)
            await asyncio.sleep(0.1)
            proxy.sweep()
            assert channel.reading_paused
            monkeypatch.setattr("proxy.net.body_watch._WINDOW", 60.0)
            gate.set()
            assert (await client.reply()).status == 200


@on_uvloop
async def test_a_body_slower_than_the_least_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.net.body_watch._WINDOW", 0.03)
    made = program(pool_plan(1), timeouts=Timeouts(min_rate=1e6))
    async with bench(made) as proxy:
        client = await proxy.client()
        client.send(posting(10_000))
        for _ in range(10):
            client.send(b"x")
            await asyncio.sleep(0.01)
        assert (await client.reply()).status == 408


# Refusals.


@on_uvloop
async def test_too_large_is_said_before_the_body_and_lingers() -> None:
    async with upstream(echo) as app:
        made = program(pool_plan(app.port), body_limit=1000)
        async with bench(made) as proxy:
            client = await proxy.client()
            client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"800\r\n" + bytes(0x800) + b"\r\n")
            reply = await client.reply()
            assert reply.status == 413
            assert b"1000 bytes" in reply.body
            for _ in range(10):  # a client that reads only when it has sent it all
                client.send(b"800\r\n" + bytes(0x800) + b"\r\n")
                await asyncio.sleep(0)
            assert await client.rest() == b""
            assert not app.wires


@on_uvloop
async def test_lingering_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.net.http1_connection._LINGER", 0.02)
    async with bench(program(pool_plan(1))) as proxy:
        client = await proxy.client()
        client.send(b"nonsense\r\n\r\n")
        assert (await client.reply()).status == 400
        assert len(proxy.server._door.channels) == 1
        await asyncio.sleep(0.05)
        proxy.sweep()
        await proxy.until(lambda: not proxy.server._door.channels)
        assert proxy.counters.client_timeouts == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
@on_uvloop
async def test_what_cannot_be_read_is_400_and_logged(nonsense: bytes) -> None:
    async with upstream(echo) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(nonsense + get())
        reply = await client.reply()
        assert reply.status == 400
        line = await proxy.entry()
        assert line["request_id"].encode() in reply.body
        assert not app.wires
        assert await client.gone()


@on_uvloop
async def test_a_bad_chunk_ends_a_streamed_request() -> None:
    cancelled = []

    async def script(wire: Wire) -> None:
        await wire.head()
        cancelled.append(await wire.rest())

    async with upstream(script) as app:
        pool = replace(pool_plan(app.port), request_buffering="off")
        async with bench(program(pool)) as proxy:
            client = await proxy.client()
            client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"3\r\nabc\r\n")
            await proxy.until(lambda: app.wires)
            client.send(b"zz\r\n")
            assert (await client.reply()).status == 400
            await proxy.until(lambda: cancelled)
            assert not cancelled[0].endswith(b"0\r\n\r\n")


@on_uvloop
async def test_limits_of_the_head_have_their_statuses() -> None:
    limits = Limits(header_size=2000, headers=5, target=100)
    async with bench(program(pool_plan(1), limits=limits)) as proxy:
        for request, status in (
            (get("/" + "x" * 200), 414),
            (get(fields="A: b\r\n" * 10), 431),
            (get(fields=f"A: {'x' * 2000}\r\n"), 431),
        ):
            client = await proxy.client()
            client.send(request)
            assert (await client.reply()).status == status


# HTTP/1.0, and the end.


@on_uvloop
async def test_http_1_0() -> None:
    async def script(wire: Wire) -> None:
        while True:
            await wire.head()
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        reply = await client.reply()
        assert reply.body == b"ok"
        assert "transfer-encoding" not in reply.fields
        app.script = echo
        proxy.pool.retire()
        kept = await proxy.client()
        for _ in range(2):
            kept.send(b"GET /a HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
            reply = await kept.reply()
            assert (reply.body, reply.fields["connection"]) == (b"/a", "keep-alive")


@on_uvloop
async def test_head_requests_have_no_body_and_none_is_counted() -> None:
    async with bench(program(pool_plan(1))) as proxy:
        client = await proxy.client()
        client.send(get(method="HEAD"))
        reply = await client.reply("HEAD")
        assert reply.status == 502
        assert int(reply.fields["content-length"]) > 0
        assert (await proxy.entry())["bytes_sent"] == 0


@on_uvloop
async def test_repeated_heads_are_not_mixed_up() -> None:
    """What is remembered with an upstream's head is for kept HTTP/1.1 connections alone."""
    same = answer(b"ok", b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n")
    async with upstream(says(same)) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        for fields, closes in (("", False), ("", False), ("Connection: close\r\n", True)):
            client.send(get(fields=fields))
            assert ("connection" in (await client.reply()).fields) is closes
        assert await client.gone()
        again = await proxy.client()
        again.send(get(method="HEAD"))
        assert (await again.reply("HEAD")).fields["content-length"] == "2"
        again.send(get())
        assert (await again.reply()).body == b"ok"


@on_uvloop
async def test_draining_closes_what_is_idle_and_finishes_what_runs() -> None:
    gate = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            if b"/slow" in await wire.head():
                await gate.wait()
            wire.send(answer())

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        idler, busy, fresh = [await proxy.client() for _ in range(3)]
        idler.send(get())
        assert (await idler.reply()).status == 200
        busy.send(get("/slow"))
        await proxy.until(lambda: proxy.counters.requests == 2)
        draining = asyncio.create_task(proxy.server.drain(20.0))  # noqa: TID251 - awaited below
        await asyncio.sleep(0.01)
        fresh.send(get())  # it had just connected
        reply = await fresh.reply()
        assert (reply.status, reply.fields["connection"]) == (200, "close")
        gate.set()
        reply = await busy.reply()
        assert (reply.status, reply.fields["connection"]) == (200, "close")
        assert await idler.gone()
        await draining


@on_uvloop
async def test_one_error_of_a_gate_is_answered() -> None:
    def gate(_: Exchange) -> None:
        raise BadRequestError("no", status=405)

    async with bench(program(pool_plan(1), gates=(gate,))) as proxy:
        client = await proxy.client()
        client.send(posting(4, "Expect: 100-continue\r\n"))
        reply = await client.reply()
        assert reply.status == 405
        assert b"100 Continue" not in reply.head
        client.send(b"body")
        assert (await proxy.entry())["status"] == 405
