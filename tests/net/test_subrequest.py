import asyncio
from dataclasses import replace

import pytest

from proxy.clock import monotonic
from tests.fakes.bench import pool_plan
from tests.fakes.questions import LIMIT, asking_for, desk, question
from tests.fakes.wires import Script, Wire, answer, on_uvloop, says, until, upstream


def heads(kept: list[bytes], *answers: bytes) -> Script:
    """Keep the heads that come, and answer."""

    async def script(wire: Wire) -> None:
        for number in range(1_000):
            kept.append(await wire.head())
            wire.send(answers[min(number, len(answers) - 1)])

    return script


def once(first: Script, then: Script) -> Script:
    scripts = iter((first,))

    async def script(wire: Wire) -> None:
        await next(scripts, then)(wire)

    return script


async def silent(wire: Wire) -> None:
    await wire.rest()


# What is sent, and what comes.


@on_uvloop
async def test_it_asks_in_the_name_of_the_same_client() -> None:
    seen: list[bytes] = []
    async with upstream(heads(seen, answer(b"yes"))) as auth, desk(auth) as one:
        exchange = asking_for()
        one.ask(exchange)
        assert await one.answered() == (200, b"yes")
        (head,) = seen
        assert head == (
            b"GET /api/verify?x=1 HTTP/1.1\r\nHost: auth:9091\r\nCookie: a=1\r\n"
            b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"
            b"X-Forwarded-Host: site.example\r\nX-Forwarded-Port: 443\r\n"
            b"X-Real-IP: 192.0.2.1\r\nVia: 1.1 pyproxy\r\nX-Request-ID: 0123\r\n\r\n"
        )
        assert (exchange.upstream, exchange.tries, exchange.error) == ("", 0, None)
        assert exchange.consumer is exchange.plan is None


@on_uvloop
async def test_of_a_trusted_proxy_it_tells_what_is_believed() -> None:
    seen: list[bytes] = []
    async with upstream(heads(seen, answer())) as auth, desk(auth) as one:
        exchange = asking_for()
        exchange.client.trusted = True
        exchange.address, exchange.scheme, exchange.port = "203.0.113.5", "http", 80
        head = question()
        head.forwarding = b"X-Forwarded-For: 203.0.113.5\r\nX-Forwarded-Ssl: off\r\n"
        one.ask(exchange, head)
        await one.answered()
        assert b"X-Forwarded-For: 203.0.113.5, 192.0.2.1\r\n" in seen[0]
        assert b"X-Forwarded-Proto: http\r\n" in seen[0]
        assert b"x-forwarded-ssl: off\r\n" in seen[0]


@on_uvloop
async def test_without_an_authority_the_host_is_the_clients() -> None:
    seen: list[bytes] = []
    async with upstream(heads(seen, answer())) as auth, desk(auth) as one:
        one.ask(head=question(authority=""))
        await one.answered()
        assert b"\r\nHost: site.example\r\n" in seen[0]


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (
            b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nA: b\r\n\r\n",
            b"no",
        ),
        (b"HTTP/1.1 401 No\r\nConnection: close\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 103 Early\r\n\r\n" + answer(b"no", status=b"401 No"), b"no"),
        (answer(b"x" * LIMIT, status=b"401 No"), b"x" * LIMIT),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
@on_uvloop
async def test_however_an_answer_is_framed_it_is_taken_whole(raw: bytes, body: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        for begin in range(0, len(raw), 50):
            wire.send(raw[begin : begin + 50])
            await asyncio.sleep(0.002)

    async with upstream(script) as auth, desk(auth) as one:
        one.ask()
        assert await one.answered() == (401, body)


@on_uvloop
async def test_204_has_no_body_and_its_connection_is_used_again() -> None:
    async with upstream(says(b"HTTP/1.1 204 OK\r\n\r\n")) as auth, desk(auth) as one:
        for count in (1, 2, 3):
            one.ask()
            assert await one.answered(count=count) == (204, b"")
        assert len(auth.wires) == 1
        assert (one.counters.upstream_requests, one.counters.upstream_connections) == (3, 1)


@on_uvloop
async def test_a_kept_alive_connection_is_used_whatever_the_clients_method() -> None:
    """An old connection is not for a POST, but what is sent here is a GET."""
    async with upstream(says(answer())) as auth, desk(auth) as one:
        one.ask()
        await one.answered()
        (peer,) = one.pool.group
        peer.idle[0].idle_since -= 30.0
        one.ask(asking_for("POST"))
        await one.answered(count=2)
        assert len(auth.wires) == 1


# Too much.


@pytest.mark.parametrize(
    "raw",
    [
        answer(b"x" * (LIMIT + 1)),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LIMIT + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * (LIMIT + 1),
    ],
)
@on_uvloop
async def test_an_answer_beyond_the_limit_is_an_error(raw: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(raw)
        await wire.gone()

    async with upstream(script) as auth, desk(auth) as one:
        one.ask()
        assert await one.failed() == (502, "subrequest: auth: an answer of more than 1000 bytes")
        (peer,) = one.pool.group
        assert not peer.idle or len(raw) < 2000  # what was whole may be used again


@on_uvloop
async def test_garbage_is_an_error() -> None:
    async with upstream(says(b"SSH-2.0-OpenSSH\r\n")) as auth, desk(auth) as one:
        one.ask()
        status, detail = await one.failed()
        assert (status, detail.endswith("not HTTP/1.1")) == (502, True)


# Trouble.


@on_uvloop
async def test_a_stale_connection_is_replaced_by_a_fresh_one() -> None:
    async def dies(wire: Wire) -> None:
        await wire.head()
        wire.send(answer(b"1"))
        await wire.head()

    async with upstream(once(dies, says(answer(b"2")))) as auth, desk(auth) as one:
        one.ask()
        await one.answered()
        one.ask()
        assert await one.answered(count=2) == (200, b"2")
        assert len(auth.wires) == 2
        assert one.counters.upstream_retries == 1


@on_uvloop
async def test_another_server_is_asked_when_one_hangs_up() -> None:
    async def hangs_up(wire: Wire) -> None:
        await wire.head()

    async with (
        upstream(hangs_up) as first,
        upstream(hangs_up) as second,
        desk(first, second) as one,
    ):
        first.script = says(answer(b"first"))
        for count in range(1, 5):
            one.ask()
            assert await one.answered(count=count) == (200, b"first")
        assert second.wires


@on_uvloop
async def test_what_began_to_answer_is_not_asked_again() -> None:
    async def breaks(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        await wire.sent()

    async with upstream(breaks) as auth, desk(auth) as one:
        one.ask()
        assert (await one.failed())[0] == 502
        assert len(auth.wires) == 1


@on_uvloop
async def test_nobody_there_fails_at_once_without_hold() -> None:
    async with upstream(says(answer())) as auth:
        auth.stop()
        await asyncio.sleep(0)
        async with desk(auth) as one:
            one.ask()
            status, detail = await one.failed()
            assert (status, "refused" in detail.lower()) == (502, True)


@on_uvloop
async def test_with_hold_it_waits_for_the_server_but_not_beyond_its_time() -> None:
    async with upstream(says(answer(b"back"))) as auth:
        auth.stop()
        await asyncio.sleep(0)
        plan = replace(pool_plan(auth.port), hold=60.0, queue_timeout=60.0)
        async with desk(plan=plan) as one:
            before = monotonic()
            one.ask(timeout=0.3)
            assert (await one.failed())[0] == 503
            assert monotonic() - before < 5
            one.errors.clear()
            one.ask(timeout=20.0)
            await asyncio.sleep(0.05)
            await auth.start()
            assert await one.answered() == (200, b"back")


@on_uvloop
async def test_silence_ends_with_the_deadline() -> None:
    async with upstream(silent) as auth, desk(auth) as one:
        one.ask(timeout=5.0)
        await until(lambda: auth.wires and one.counters.upstream_requests)
        one.sweep(monotonic() + 4.5)
        await asyncio.sleep(0.01)
        assert not one.errors
        one.sweep(monotonic() + 5.1)
        status, detail = await one.failed()
        assert (status, detail.endswith("no answer in time")) == (504, True)
        assert len(auth.wires) == 1


@on_uvloop
async def test_dripping_bytes_gain_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drips(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        while not wire.writer.is_closing():
            wire.send(b"x")
            await asyncio.sleep(0.005)

    async with upstream(drips) as auth, desk(auth) as one:
        one.ask(timeout=5.0)
        begun = monotonic()
        await until(lambda: one.counters.upstream_requests)
        passed = 0.0
        for module in ("subrequest", "upstream_connection", "pool"):
            monkeypatch.setattr(f"proxy.net.{module}.monotonic", lambda: begun + passed)
        await asyncio.sleep(0.03)
        passed = 4.0
        await asyncio.sleep(0.03)
        assert not one.told
        one.sweep(begun + 4.9)
        assert not one.errors
        one.sweep(begun + 5.1)
        assert (await one.failed())[0] == 504


@on_uvloop
async def test_a_full_server_is_waited_for_no_longer_than_allowed() -> None:
    async with upstream(silent) as auth:
        plan = replace(pool_plan(auth.port), max_connections=1, queue_timeout=60.0)
        async with desk(plan=plan) as one:
            first = one.ask(timeout=60.0)
            await until(lambda: one.counters.upstream_requests)
            one.ask(timeout=0.2)
            status, detail = await one.failed()
            assert (status, detail) == (503, "subrequest: app: every server is busy")
            first.abandon()


# Nobody wants it any more.


@on_uvloop
async def test_given_up_while_it_is_asked_nobody_is_told() -> None:
    async with upstream(silent) as auth, desk(auth) as one:
        asked = one.ask()
        await until(lambda: one.counters.upstream_requests)
        asked.abandon()
        await until(auth.wires[0].reader.at_eof)
        await one.at_rest()
        assert not one.told
        assert not one.errors


@on_uvloop
async def test_given_up_before_there_is_a_connection_that_is_kept_for_others() -> None:
    async with upstream(says(answer())) as auth, desk(auth) as one:
        one.ask().abandon()
        await until(lambda: one.pool.connections)
        await one.at_rest()
        one.ask()
        await one.answered()
        assert len(auth.wires) == 1
        assert not one.errors


@on_uvloop
async def test_given_up_while_it_queues_it_is_forgotten() -> None:
    async with upstream(says(answer())) as auth:
        auth.stop()
        await asyncio.sleep(0)
        async with desk(plan=replace(pool_plan(auth.port), hold=60.0)) as one:
            asked = one.ask()
            await until(lambda: one.pool.queued)
            asked.abandon()
            assert not one.pool.queued
            assert not one.errors
