import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from proxy.clock import monotonic
from proxy.net.tunnel import FAREWELL
from proxy.routing.route import Limits, ProxyPlan
from tests.fakes.bench import Bench, bench, get, pool_plan, program
from tests.fakes.websocket_frames import closing, frame, of_client, read_masked
from tests.fakes.wires import Script, Wire, on_uvloop, upstream

MB = 1 << 20
UPGRADE = get(fields="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n")
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: eQ==\r\n\r\n"
)


@pytest.fixture(autouse=True)
def _short_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.net.tunnel.FAREWELL", 0.3)


@asynccontextmanager
async def tunnel(
    script: Script, plan: ProxyPlan | None = None, rcvbuf: int = 0, limits: Limits | None = None
) -> AsyncIterator[tuple[Bench, Wire]]:
    """A client that asked for an upgrade, in front of a script that answers it."""

    async def switching(wire: Wire) -> None:
        head = await wire.head()
        assert b"\r\nUpgrade: websocket\r\n" in head
        assert b"\r\nConnection: Upgrade\r\n" in head
        wire.send(SWITCHING)
        await script(wire)

    async with upstream(switching) as app:
        made = program(
            pool_plan(app.port), plan=plan or ProxyPlan("app"), limits=limits or Limits()
        )
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
        client.send(b"x")  # no frame; but the upstream has sent none that were broken
        assert await client.rest() == closing(1011, "the upstream is gone")
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
        told = closing(1001, "silent for too long")
        assert await client.exactly(len(told)) == told
        client.send(of_client(8))
        assert await client.gone()
        assert (await proxy.entry())["error"] == "nothing was said in time"


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


# The end: who is told, and of what.


async def until_closed(wire: Wire, got: list[bytes]) -> None:
    """Keep all that comes, and answer it with a close frame of our own."""
    while not (got and got[-1][0] & 0x0F == 8):
        got.append(await wire.some())
        if not got[-1]:
            return
    wire.send(closing(1000, "heard"))


@on_uvloop
async def test_a_drain_tells_both_ends() -> None:
    got: list[bytes] = []
    async with (
        tunnel(lambda wire: until_closed(wire, got)) as (proxy, client),
        asyncio.TaskGroup() as tasks,
    ):
        await client.head()
        began = monotonic()
        tasks.create_task(proxy.server.drain(0.05))
        told = closing(1001, "the server is going away")
        assert await client.exactly(len(told)) == told
        client.send(of_client(8, b"\x03\xe9"))
        assert await client.gone()
        line = await proxy.entry()
        assert (line["status"], line["error"]) == (101, "")
        code, payload = read_masked(b"".join(got))
        assert (code, payload[:2]) == (8, (1001).to_bytes(2))
        assert monotonic() - began < FAREWELL


@on_uvloop
async def test_a_drain_waits_for_the_end_of_a_frame() -> None:
    message = frame(2, bytes(1000))
    gate = asyncio.Event()

    async def in_two(wire: Wire) -> None:
        wire.send(message[:500])
        await gate.wait()
        wire.send(message[500:] + frame(1, b"too late"))
        await wire.gone()

    async with tunnel(in_two) as (proxy, client), asyncio.TaskGroup() as tasks:
        await client.head()
        assert await client.exactly(500) == message[:500]
        tasks.create_task(proxy.server.drain(0.0))
        await asyncio.sleep(0.05)
        gate.set()
        told = message[500:] + closing(1001, "the server is going away")
        assert await client.exactly(len(told)) == told
        client.send(of_client(8))
        assert await client.gone()


@on_uvloop
async def test_a_frame_that_never_ends_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.net.tunnel.FAREWELL", 0.05)

    async def half(wire: Wire) -> None:
        wire.send(frame(2, bytes(1000))[:500])
        await wire.gone()

    async with tunnel(half) as (proxy, client), asyncio.TaskGroup() as tasks:
        await client.head()
        await client.exactly(500)
        tasks.create_task(proxy.server.drain(0.0))
        assert await client.gone()


@pytest.mark.parametrize("how", ["eof", "reset"])
@on_uvloop
async def test_an_upstream_that_leaves_without_goodbye(how: str) -> None:
    async def leaves(wire: Wire) -> None:
        wire.send(frame(1, b"hello"))
        await wire.some()
        if how == "reset":
            wire.reset()

    async with tunnel(leaves) as (proxy, client):
        await client.head()
        assert await client.exactly(7) == frame(1, b"hello")
        client.send(of_client(1, b"go"))
        told = closing(1011, "the upstream is gone")
        assert await client.exactly(len(told)) == told
        client.send(of_client(8, b"\x03\xf3"))
        assert await client.gone()
        assert (await proxy.entry())["error"]
        assert proxy.counters.websockets_open == 0


@on_uvloop
async def test_an_upstream_that_leaves_in_a_frame() -> None:
    async def leaves(wire: Wire) -> None:
        wire.send(frame(1, b"hello")[:5])
        await wire.some()
        wire.reset()

    async with tunnel(leaves) as (_, client):
        await client.head()
        assert await client.exactly(5) == frame(1, b"hello")[:5]
        client.send(of_client(1, b"go"))
        assert await client.gone()


@pytest.mark.parametrize("how", ["eof", "close", "reset"])
@on_uvloop
async def test_a_client_that_leaves_without_goodbye(how: str) -> None:
    got: list[bytes] = []

    async with tunnel(lambda wire: until_closed(wire, got)) as (proxy, client):
        await client.head()
        client.send(of_client(1, b"hi"))
        await proxy.until(lambda: got)
        getattr(client, how)()
        await proxy.until(lambda: len(got) > 1)
        code, payload = read_masked(got[1])
        assert (code, payload) == (8, (1001).to_bytes(2) + b"the client is gone")
        await proxy.entry()


@on_uvloop
async def test_close_frames_of_the_ends_are_all_there_is() -> None:
    got: list[bytes] = []
    async with tunnel(lambda wire: until_closed(wire, got)) as (proxy, client):
        await client.head()
        client.send(of_client(8, b"\x0f\xa1bye"))
        assert await client.rest() == closing(1000, "heard")
        assert got == [of_client(8, b"\x0f\xa1bye")]
        assert (await proxy.entry())["error"] == ""


# Pings of our own.


@on_uvloop
async def test_pings_and_their_answers_stay_between_us_and_an_end() -> None:
    got: list[bytes] = []

    async def answers(wire: Wire) -> None:
        wire.send(frame(1, b"one", fin=False))
        ping = await wire.exactly(14)
        wire.send(frame(10, read_masked(ping)[1]) + frame(10, b"mine") + frame(0, b"two"))
        while data := await wire.some():
            got.append(data)

    plan = ProxyPlan("app", websocket_ping=0.05, websocket_idle=60.0)
    async with tunnel(answers, plan) as (proxy, client):
        await client.head()
        assert await client.exactly(5) == frame(1, b"one", fin=False)
        came = await client.exactly(10 + 6 + 5)
        at = came.index(b"\x89\x08")
        ping, rest = came[at : at + 10], came[:at] + came[at + 10 :]
        assert rest == frame(10, b"mine") + frame(0, b"two")
        client.send(of_client(10, ping[2:])[:3])
        await asyncio.sleep(0.01)
        client.send(of_client(10, ping[2:])[3:] + of_client(1, b"three"))
        await proxy.until(lambda: of_client(1, b"three") in b"".join(got))
        assert b"".join(got).replace(of_client(1, b"three"), b"")[:1] in (b"", b"\x89")


@pytest.mark.parametrize("whose", ["client", "upstream"])
@on_uvloop
async def test_who_answers_no_ping_is_given_up(whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.wire.websocket_liveness.ANSWER", 0.1)
    monkeypatch.setattr("proxy.net.tunnel.FAREWELL", 0.1)

    async def script(wire: Wire) -> None:
        if whose == "client":
            await answering(wire)
        else:
            await wire.gone()

    async def answering(wire: Wire) -> None:
        while data := await wire.some():
            kind, payload = read_masked(data)
            if kind == 9:
                wire.send(frame(10, payload))

    plan = ProxyPlan("app", websocket_ping=0.1, websocket_idle=60.0)
    async with tunnel(script, plan) as (proxy, client):
        await client.head()
        received = b""
        while data := await client.some():
            received += data
            if whose == "upstream" and data[:1] == b"\x89":
                client.send(of_client(10, data[2:10]))
        why = "no answer to a ping" if whose == "client" else "the upstream is gone"
        assert received.endswith(closing(1011, why))
        assert (await proxy.entry())["error"] == f"the {whose} answered no ping"
        counters = proxy.counters
        assert (counters.client_timeouts, counters.upstream_timeouts) == (
            (1, 0) if whose == "client" else (0, 1)
        )


@on_uvloop
async def test_pings_keep_nobody_from_being_idle() -> None:
    async def script(wire: Wire) -> None:
        while data := await wire.some():
            kind, payload = read_masked(data)
            wire.send(frame(10 if kind == 9 else 8, payload))

    plan = ProxyPlan("app", websocket_ping=0.03, websocket_idle=0.2)
    async with tunnel(script, plan) as (proxy, client):
        await client.head()
        pings = 0
        while data := await client.some():
            if data[:1] == b"\x89":
                pings += 1
                client.send(of_client(10, data[2:10]))
            else:
                client.send(of_client(8, data[2:4]))
        assert pings >= 2
        assert (await proxy.entry())["error"] == "nothing was said in time"


# Limits.


@pytest.mark.parametrize("whose", ["client", "upstream"])
@on_uvloop
async def test_a_message_that_is_too_big(whose: str) -> None:
    got: list[bytes] = []
    pieces = (1, bytes(600), False), (9, b"?", True), (0, bytes(401), True)

    async def script(wire: Wire) -> None:
        if whose == "upstream":
            wire.send(b"".join(frame(kind, data, fin=fin) for kind, data, fin in pieces))
        while data := await wire.some():
            got.append(data)

    plan = ProxyPlan("app", websocket_max_message=1000)
    async with tunnel(script, plan) as (proxy, client):
        await client.head()
        told = closing(1009, "a message that is too big")
        if whose == "client":
            client.send(b"".join(of_client(kind, data, fin=fin) for kind, data, fin in pieces))
        else:
            told = frame(1, bytes(600), fin=False) + frame(9, b"?") + told
        assert await client.exactly(len(told)) == told
        client.send(of_client(8, b"\x03\xf1"))
        await proxy.until(lambda: got and b"a message" in unmasked_end(b"".join(got)))
        line = await proxy.entry()
        assert line["error"] == f"the {whose} sent a message that is too big"


def unmasked_end(data: bytes) -> bytes:
    """The payload of the close frame at the end of what an upstream got."""
    return read_masked(data[-(6 + 2 + len("a message that is too big")) :])[1]


@on_uvloop
async def test_what_is_no_frame_ends_a_limited_websocket() -> None:
    async with tunnel(echo, ProxyPlan("app", websocket_max_message=1000)) as (proxy, client):
        await client.head()
        client.send(of_client(1, b"fine") + b"GET / HTTP/1.1\r\n\r\n")
        came = await client.some()
        while not came.endswith(closing(1002, "what is no WebSocket frame")):
            came += await client.some()
        assert (await proxy.entry())["error"] == "the client sent what is no WebSocket frame"


@pytest.mark.parametrize(
    ("limits", "status"),
    [(Limits(websockets=1), 503), (Limits(websockets_per_ip=1), 429)],
    ids=["in all", "of one client"],
)
@on_uvloop
async def test_too_many(limits: Limits, status: int) -> None:
    async with tunnel(echo, limits=limits) as (proxy, client):
        assert (await client.reply()).status == 101
        other = await proxy.client()
        other.send(UPGRADE)
        assert (await other.reply()).status == status
        assert proxy.counters.upstream_requests == 1, "nobody else heard of it"
        client.close()
        await proxy.until(lambda: not proxy.counters.websockets_open)
        other.send(UPGRADE)
        assert (await other.reply()).status == 101


@on_uvloop
async def test_websockets_keep_no_request_from_the_upstream() -> None:
    async def script(wire: Wire) -> None:
        if b"\r\nUpgrade:" in await wire.head():
            wire.send(SWITCHING)
            await echo(wire)
        else:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with upstream(script) as app:
        made = program(replace(pool_plan(app.port), max_connections=1))
        async with bench(made) as proxy:
            for _ in range(3):
                client = await proxy.client()
                client.send(UPGRADE)
                assert (await client.reply()).status == 101
            other = await proxy.client()
            other.send(get())
            assert (await other.reply()).body == b"ok"
            assert [peer.active for peer in proxy.pool.group] == [0]


@on_uvloop
async def test_two_handshakes_at_once_for_one_place() -> None:
    gate = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.head()
        await gate.wait()
        wire.send(SWITCHING)
        await wire.gone()

    async with upstream(slow) as app:
        made = program(pool_plan(app.port), limits=Limits(websockets=1))
        async with bench(made) as proxy:
            clients = [await proxy.client() for _ in range(2)]
            for client in clients:
                client.send(UPGRADE)
            await proxy.until(lambda: len(app.wires) == 2)
            gate.set()
            replies = [await client.reply() for client in clients]
            assert sorted(reply.status for reply in replies) == [101, 503]
            assert proxy.counters.websockets_open == 1
