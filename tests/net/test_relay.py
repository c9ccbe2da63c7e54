import asyncio
import errno
import os
from dataclasses import replace

import pytest

from proxy.net.channel import Channel
from proxy.net.connecting import Connector
from proxy.net.spool import MEMORY
from proxy.routing.route import ProxyPlan
from proxy.upstream.peer import Peer
from tests.fakes.bench import Bench, bench, get, pool_plan, post, posting, program
from tests.fakes.wires import (
    CutShortError,
    Script,
    Upstream,
    Wire,
    answer,
    on_uvloop,
    says,
    upstream,
)

MB = 1 << 20


async def body_of(wire: Wire) -> bytes:
    """Read a request and return its body."""
    head = (await wire.head()).lower()
    length = head.partition(b"content-length: ")[2].partition(b"\r")[0]
    return await wire.exactly(int(length))


def once(first: Script, then: Script) -> Script:
    """Follow one script on the first connection, another one on all further ones."""
    scripts = iter((first,))

    async def script(wire: Wire) -> None:
        await next(scripts, then)(wire)

    return script


def dies_after(count: int, last: bytes = b"", *, reset: bool = False) -> Script:
    """Answer `count` requests, and close over the next with `last` for an answer."""

    async def script(wire: Wire) -> None:
        for _ in range(count):
            await wire.head()
            wire.send(answer(b"first"))
        await wire.head()
        wire.send(last)
        await wire.sent()
        if reset:
            wire.reset()

    return script


def held(proxy: Bench) -> int:
    """Bytes of bodies that the worker holds: what waits in transports, spools and machines."""
    total = 0
    for channel in (*proxy.server._door.channels, *proxy.server._upstream_channels):
        if channel.transport is not None:
            total += channel.transport.get_write_buffer_size()
    return total


async def answered_upstream(proxy: Bench) -> None:
    """Wait until a request was sent, and its answer taken off the upstream's hands."""
    await proxy.until(lambda: proxy.counters.upstream_requests)
    await proxy.until(lambda: not any(peer.active for peer in proxy.pool.group))


# An upstream that dies, at every phase.


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
@on_uvloop
async def test_a_reused_connection_that_ends_is_no_news(method: str, reset: bool) -> None:  # noqa: FBT001
    script = once(dies_after(1, reset=reset), says(answer(b"second")))
    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).body == b"first"
        client.send(get(method=method))
        assert (await client.reply(method)).status == 200
        assert [line["tries"] for line in await proxy.entries(2)] == [1, 2]
        assert len(app.wires) == 2


@on_uvloop
async def test_post_goes_on_a_connection_just_used_and_is_not_repeated() -> None:
    async with (
        upstream(once(dies_after(1), says(answer()))) as app,
        bench(program(pool_plan(app.port))) as proxy,
    ):
        client = await proxy.client()
        client.send(get())
        await client.reply()
        client.send(get(method="POST", fields="Content-Length: 0\r\n"))
        assert (await client.reply()).status == 502
        assert len(app.wires) == 1


@on_uvloop
async def test_post_with_an_idempotency_key_is_repeated() -> None:
    async with (
        upstream(once(dies_after(1), says(answer(b"second")))) as app,
        bench(program(pool_plan(app.port))) as proxy,
    ):
        client = await proxy.client()
        client.send(get())
        await client.reply()
        client.send(get(method="POST", fields="Content-Length: 0\r\nIdempotency-Key: a\r\n"))
        assert (await client.reply()).body == b"second"


@pytest.mark.parametrize("size", [10, MEMORY * 5])
@on_uvloop
async def test_a_kept_body_is_sent_again(size: int) -> None:
    bodies = []

    async def dies(wire: Wire) -> None:
        bodies.append(await body_of(wire))

    async def lives(wire: Wire) -> None:
        while True:
            bodies.append(await body_of(wire))
            wire.send(answer())

    async with (
        upstream(dies) as first,
        upstream(lives) as second,
        bench(program(pool_plan(first.port, second.port))) as proxy,
    ):
        sent = os.urandom(size)
        client = await proxy.client()
        for _ in range(2):  # one of them goes to the first server first
            client.send(post(sent).replace(b"POST", b"PUT", 1))
            assert (await client.reply()).status == 200
        assert bodies == [sent] * 3


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 502)])
@on_uvloop
async def test_a_fresh_connection_that_ends_before_any_byte(method: str, status: int) -> None:
    async with (
        upstream(dies_after(0)) as bad,
        upstream(says(answer())) as good,
        bench(program(pool_plan(bad.port, good.port))) as proxy,
    ):
        client = await proxy.client()
        found = set()
        for _ in range(2):
            client.send(get(method=method, fields="Content-Length: 0\r\n"))
            found.add((await client.reply()).status)
        assert found == {200, status}


@pytest.mark.parametrize(
    "part", [b"H", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 103 Early Hints\r\n\r\n"]
)
@on_uvloop
async def test_an_answer_that_has_begun_is_not_asked_for_again(part: bytes) -> None:
    async with upstream(dies_after(0, part)) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 502
        assert len(app.wires) == 1
        client.send(get())  # the client's connection goes on
        assert (await client.reply()).status == 502


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n",
    ],
)
@on_uvloop
async def test_a_body_cut_short_is_cut_short_for_the_client(part: bytes, reset: bool) -> None:  # noqa: FBT001
    script = dies_after(0, part, reset=reset)
    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        with pytest.raises(CutShortError):
            await client.reply()
        line = await proxy.entry()
        assert line["error"]
        assert line["phase"] == "finished"


@on_uvloop
async def test_an_end_delimits_a_body_and_a_reset_does_not() -> None:
    part = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345"
    async with upstream(dies_after(0, part)) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).body == b"12345"
        app.script = dies_after(0, part, reset=True)
        client.send(get())
        with pytest.raises(CutShortError):
            await client.reply()


@on_uvloop
async def test_a_cut_answer_of_a_client_of_http_1_0_ends_with_a_reset() -> None:
    gate = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n")
        await gate.wait()

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert await client.head()
        assert await client.exactly(5)
        gate.set()
        with pytest.raises(ConnectionResetError):
            await client.rest()


@on_uvloop
async def test_no_answer_in_time() -> None:
    async def deaf(wire: Wire) -> None:
        await wire.gone()

    plan = ProxyPlan("app", response_timeout=0.01)
    async with upstream(deaf) as app, bench(program(pool_plan(app.port), plan=plan)) as proxy:
        client = await proxy.client()
        client.send(get())
        await proxy.until(lambda: app.wires)
        await asyncio.sleep(0.03)
        proxy.sweep()
        assert (await client.reply()).status == 504
        assert len(app.wires) == 1
        assert proxy.counters.upstream_timeouts == 1


@on_uvloop
async def test_an_answer_that_stalls_is_cut() -> None:
    async def stalls(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        await wire.gone()

    plan = ProxyPlan("app", idle_timeout=0.01)
    async with upstream(stalls) as app, bench(program(pool_plan(app.port), plan=plan)) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.head()).startswith(b"HTTP/1.1 200")
        assert await client.exactly(5) == b"12345"
        await asyncio.sleep(0.03)
        proxy.sweep()
        assert await client.gone()


# A client that leaves, at every phase.


async def leaves(client: Wire, how: str) -> None:
    await asyncio.sleep(0)
    if how == "eof":
        client.eof()
    elif how == "close":
        client.close()
    else:
        client.reset()


@pytest.mark.parametrize("how", ["eof", "close", "reset"])
@on_uvloop
async def test_a_client_that_leaves_while_it_waits(how: str) -> None:
    cancelled = []

    async def script(wire: Wire) -> None:
        await wire.head()
        cancelled.append(await wire.gone())

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await proxy.until(lambda: app.wires)
        await leaves(client, how)
        assert (await proxy.entry())["status"] == 499
        await proxy.until(lambda: cancelled)
        assert proxy.counters.requests_aborted == 1


@pytest.mark.parametrize("buffering", ["on", "off"])
@on_uvloop
async def test_a_client_that_leaves_in_its_body(buffering: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.rest()

    async with upstream(script) as app:
        pool = replace(pool_plan(app.port), request_buffering=buffering)
        async with bench(program(pool)) as proxy:
            client = await proxy.client()
            client.send(posting(1000) + b"part")
            await asyncio.sleep(0.02)
            client.close()
            assert (await proxy.entry())["status"] == 499
            await proxy.at_rest()
            assert len(app.wires) == (buffering == "off")


@pytest.mark.parametrize("how", ["eof", "close", "reset"])
@on_uvloop
async def test_a_client_that_leaves_in_its_answer(how: str) -> None:
    cancelled = []

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        cancelled.append(await wire.gone())

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await client.head()
        await leaves(client, how)
        await proxy.until(lambda: cancelled)
        assert (await proxy.entry())["bytes_sent"] == 5
        assert proxy.counters.requests_aborted == 1


@on_uvloop
async def test_a_client_that_leaves_while_its_answer_waits_on_the_disk() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(answer(bytes(20 * MB)))
        await wire.gone()

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client(rcvbuf=4096)
        client.send(get())
        await answered_upstream(proxy)
        assert proxy.server._budget.bytes > 5 * MB
        client.reset()
        assert (await proxy.entry())["status"] == 200


@on_uvloop
async def test_a_client_that_leaves_while_a_connection_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = asyncio.Event()
    connect = Connector.connect

    async def slowly(self: Connector, peer: Peer, *, http2: bool) -> Channel:
        await gate.wait()
        return await connect(self, peer, http2=http2)

    monkeypatch.setattr(Connector, "connect", slowly)
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await proxy.until(lambda: proxy.counters.requests)
        client.close()
        assert (await proxy.entry())["status"] == 499
        gate.set()
        await proxy.until(lambda: any(peer.idle for peer in proxy.pool.group))
        again = await proxy.client()
        again.send(get())
        assert (await again.reply()).status == 200
        assert len(app.wires) == 1, "the connection was kept for the next one"


# Bodies and back-pressure.


@on_uvloop
async def test_a_slow_client_gets_everything_from_the_disk() -> None:
    content = os.urandom(MB) * 12
    most = 0

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(answer(content))
        await wire.gone()

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client(rcvbuf=4096)
        client.send(get())
        await answered_upstream(proxy)
        most = held(proxy)
        assert proxy.server._budget.files == 1
        assert (await client.reply()).body == content
        assert most < MB
        assert (await proxy.entry())["bytes_sent"] == len(content)


@pytest.mark.parametrize(
    "fields", [b"X-Accel-Buffering: no\r\n", b"Cache-Control: no-transform\r\n"]
)
@on_uvloop
async def test_a_slow_client_stops_an_upstream_that_streams(fields: bytes) -> None:
    content = os.urandom(MB) * 24

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(answer(content, fields))
        await wire.gone()

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client(rcvbuf=4096)
        client.send(get())
        await proxy.until(
            lambda: any(channel.reading_paused for channel in proxy.server._upstream_channels)
        )
        await asyncio.sleep(0.05)
        assert proxy.server._budget.files == 0
        assert held(proxy) < MB
        assert any(peer.active for peer in proxy.pool.group)
        assert (await client.reply()).body == content


@on_uvloop
async def test_a_full_disk_stops_the_upstream_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = os.urandom(MB) * 12

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(answer(content))
        await wire.gone()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client(rcvbuf=4096)
        client.send(get())
        await proxy.until(
            lambda: any(channel.reading_paused for channel in proxy.server._upstream_channels)
        )
        assert (await client.reply()).body == content
        assert "No space left" in (await proxy.entry())["error"]


@pytest.mark.parametrize("chunked", [False, True])
@on_uvloop
async def test_an_upload_is_kept_until_it_is_whole(chunked: bool) -> None:  # noqa: FBT001
    content = os.urandom(MB)
    bodies = []

    async def script(wire: Wire) -> None:
        bodies.append(await body_of(wire))
        wire.send(answer())
        await wire.gone()

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        if chunked:
            client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"%x\r\n%b\r\n" % (len(content), content))
        else:
            client.send(posting(len(content)) + content[:-1])
        await proxy.until(lambda: proxy.server._budget.bytes)
        await asyncio.sleep(0.05)
        assert not app.wires, "a server must not wait for a slow client"
        client.send(b"0\r\n\r\n" if chunked else content[-1:])
        assert (await client.reply()).status == 200
        assert bodies == [content]
        assert (await proxy.entry())["bytes_received"] == len(content)


@on_uvloop
async def test_a_slow_upstream_stops_the_client() -> None:
    content = os.urandom(MB) * 24
    gate = asyncio.Event()
    bodies = []

    async def script(wire: Wire) -> None:
        await gate.wait()
        bodies.append(await body_of(wire))
        wire.send(answer())
        await wire.gone()

    async with upstream(script) as app:
        pool = replace(pool_plan(app.port), request_buffering="off")
        async with bench(program(pool)) as proxy:
            client = await proxy.client()
            client.send(post(content))
            await proxy.until(
                lambda: any(channel.reading_paused for channel in proxy.server._door.channels)
            )
            await asyncio.sleep(0.05)
            assert held(proxy) < MB
            assert proxy.server._budget.files == 0
            gate.set()
            assert (await client.reply()).status == 200
            assert bodies == [content]


@on_uvloop
async def test_a_full_disk_streams_an_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(MB) * 3
    bodies = []

    async def script(wire: Wire) -> None:
        bodies.append(await body_of(wire))
        wire.send(answer())
        await wire.gone()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(posting(len(content)) + content[: MB // 2])
        await proxy.until(lambda: app.wires)
        client.send(content[MB // 2 :])
        assert (await client.reply()).status == 200
        assert bodies == [content]


@on_uvloop
async def test_a_kept_answer_that_cannot_be_read_back_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", broken)

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(answer(bytes(8 * MB)))
        await wire.gone()

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client(rcvbuf=4096)
        client.send(get())
        await proxy.until(lambda: proxy.server._budget.bytes)
        with pytest.raises(CutShortError):
            await client.reply()
        assert "Input/output" in (await proxy.entry())["error"]


@on_uvloop
async def test_a_kept_request_that_cannot_be_read_back_is_500(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "pread", lambda *_: b"")

    async def script(wire: Wire) -> None:
        await wire.rest()

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(post(bytes(MB)))
        assert (await client.reply()).status == 500
        await proxy.entry()


@on_uvloop
async def test_a_client_hears_go_on_only_behind_the_gates() -> None:
    async def script(wire: Wire) -> None:
        await body_of(wire)
        wire.send(answer())
        await wire.gone()

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(posting(4, "Expect: 100-continue\r\n"))
        assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"body")
        assert (await client.reply()).status == 200


@on_uvloop
async def test_an_early_answer_does_not_wait_for_the_body() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(answer(b"no", status=b"403 Forbidden"))
        await wire.gone()

    async with upstream(script) as app:
        pool = replace(pool_plan(app.port), request_buffering="off")
        async with bench(program(pool)) as proxy:
            client = await proxy.client()
            client.send(posting(10 * MB) + bytes(1000))
            reply = await client.reply()
            assert (reply.status, reply.body) == (403, b"no")
            assert reply.fields["connection"] == "close"
            client.send(bytes(MB))  # still sending: it must not be reset before it has read
            assert await client.rest() == b""


@on_uvloop
async def test_trailers_pass_both_ways() -> None:
    seen = []

    async def script(wire: Wire) -> None:
        head = await wire.head()
        assert b"Transfer-Encoding: chunked" in head
        assert await wire.exactly(8) == b"3\r\nabc\r\n"
        seen.append(await wire.head())
        wire.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\nX-Sum: 2\r\n\r\n"
        )
        await wire.gone()

    async with upstream(script) as app:
        pool = replace(pool_plan(app.port), request_buffering="off")
        async with bench(program(pool)) as proxy:
            client = await proxy.client()
            client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
            reply = await client.reply()
            assert seen == [b"0\r\nX-Sum: 1\r\n\r\n"]
            assert (reply.body, reply.trailers) == (b"de", b"X-Sum: 2\r\n")


@on_uvloop
async def test_interim_answers_pass_but_for_100() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        wire.send(answer())
        await wire.gone()

    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert await client.head() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert (await client.reply()).body == b"ok"


@on_uvloop
async def test_a_bug_in_one_request_is_500_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def script(wire: Wire) -> None:
        while True:
            await wire.head()
            wire.send(answer())

    app: Upstream
    async with upstream(script) as app, bench(program(pool_plan(app.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 200
        with monkeypatch.context() as broken:
            broken.setattr("proxy.net.upstream_connection.request_head", lambda *_: 1 / 0)
            client.send(get())
            assert (await client.reply()).status == 500
        client.send(get())
        assert (await client.reply()).status == 200
