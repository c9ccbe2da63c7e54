"""A worker between clients of HTTP/1.1 and servers of HTTP/2."""

import asyncio
from dataclasses import replace

import pytest
from h2.errors import ErrorCodes

from proxy.clock import monotonic
from proxy.net.http2_upstream import Http2Upstream
from proxy.routing.route import ProxyPlan
from proxy.upstream.plan import PoolPlan
from tests.fakes.bench import Bench, bench, get, pool_plan, post, posting, program, server_plan
from tests.fakes.http2_app import Asked, Http2App, Talk, echo
from tests.fakes.wires import CutShortError, Wire, on_uvloop, upstream


def to(*ports: int) -> PoolPlan:
    servers = tuple(server_plan(port, "h2c") for port in ports)
    return replace(pool_plan(), servers=servers)


def ok(talk: Talk, asked: Asked) -> None:
    if asked.ended:
        talk.head(asked, content_length="2")
        talk.data(asked, b"ok", end=True)


def silent(talk: Talk, asked: Asked) -> None:
    """Say nothing."""


def shared(proxy: Bench) -> list[Http2Upstream]:
    return [connection for peer in proxy.pool.group for connection in peer.shared]


@on_uvloop
async def test_requests_and_answers_one_connection_for_all() -> None:
    app = Http2App(echo)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        for number in range(3):
            client.send(post(b"body %d" % number))
            reply = await client.reply()
            assert (reply.status, reply.body) == (200, b"body %d" % number)
            assert reply.head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert len(server.wires) == 1
        assert proxy.pool.connections == 1
        fields = app.asked[0].fields
        assert (fields[":authority"], fields["content-length"]) == ("localhost", "6")
        assert fields["via"] == "1.1 pyproxy"
        line = (await proxy.entries(3))[0]
        assert (line["status"], line["upstream"]) == (200, f"h2c://127.0.0.1:{server.port}")


@on_uvloop
async def test_a_hundred_requests_at_once_open_one_connection() -> None:
    app = Http2App(silent)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        clients = [await proxy.client() for _ in range(100)]
        for client in clients:
            client.send(get())
        await proxy.until(lambda: len(app.asked) == 100)
        (talk,) = app.talks
        for asked in app.asked:
            ok(talk, asked)
        talk.flush()
        for client in clients:
            assert (await client.reply()).body == b"ok"
        assert len(server.wires) == 1


@on_uvloop
async def test_beyond_what_the_server_allows_another_connection_opens() -> None:
    app = Http2App(silent, {"max_concurrent_streams": 2})
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        clients = [await proxy.client() for _ in range(5)]
        for client in clients:
            client.send(get())
        await proxy.until(lambda: len(app.asked) == 5)
        assert [len(talk.requests) for talk in app.talks] == [2, 2, 1]
        for talk in app.talks:
            for asked in talk.requests.values():
                ok(talk, asked)
            talk.flush()
        for client in clients:
            assert (await client.reply()).body == b"ok"
        assert len(server.wires) == 3


@on_uvloop
async def test_max_connections_bounds_requests() -> None:
    app = Http2App(silent)
    async with upstream(app.script) as server:
        plan = replace(to(server.port), max_connections=2, queue_timeout=10.0)
        async with bench(program(plan)) as proxy:
            clients = [await proxy.client() for _ in range(3)]
            for client in clients:
                client.send(get())
            await proxy.until(lambda: len(app.asked) == 2 and proxy.pool.queued == 1)
            (talk,) = app.talks
            ok(talk, app.asked[0])
            talk.flush()
            await proxy.until(lambda: len(app.asked) == 3)
            for asked in app.asked[1:]:
                ok(talk, asked)
            talk.flush()
            for client in clients:
                assert (await client.reply()).body == b"ok"


@pytest.mark.parametrize("size", [1 << 20, 5_000_000])
@on_uvloop
async def test_large_bodies_both_ways(size: int) -> None:
    def patient(talk: Talk, asked: Asked) -> None:
        if asked.ended:
            talk.head(asked)
            rest[:] = asked.body
            _ = asyncio.get_running_loop().create_task(pour(talk, asked))

    async def pour(talk: Talk, asked: Asked) -> None:
        while rest:
            room = min(talk.machine.local_flow_control_window(asked.number), 16384, len(rest))
            if room:
                talk.machine.send_data(asked.number, bytes(rest[:room]))
                del rest[:room]
                talk.flush()
            await asyncio.sleep(0)
        talk.trailers(asked, x_sum="1")
        talk.flush()

    rest = bytearray()
    app = Http2App(patient)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        body = bytes(range(256)) * (size // 256)
        client.send(post(body))
        reply = await client.reply()
        assert reply.body == body
        assert reply.trailers == b"x-sum: 1\r\n"


@on_uvloop
async def test_a_streamed_body_waits_for_the_servers_window() -> None:
    app = Http2App(ok, takes=False)
    async with upstream(app.script) as server:
        plan = replace(to(server.port), request_buffering="off")
        async with bench(program(plan)) as proxy:
            client = await proxy.client()
            client.send(posting(4_000_000))
            client.send(b"x" * 4_000_000)
            await proxy.until(lambda: app.asked and len(app.asked[0].body) == 65535)
            (door,) = proxy.server._door.channels
            await proxy.until(lambda: door.reading_paused)
            (talk,) = app.talks
            app.takes = True
            talk.machine.acknowledge_received_data(65535, app.asked[0].number)
            talk.flush()
            assert (await client.reply()).body == b"ok"
            assert len(app.asked[0].body) == 4_000_000


@on_uvloop
async def test_a_client_that_reads_slowly_holds_up_its_own_stream_alone() -> None:
    def endless(talk: Talk, asked: Asked) -> None:
        if not asked.ended:
            return
        if asked.fields[":path"] == "/fast":
            ok(talk, asked)
        else:
            talk.head(asked, x_accel_buffering="no")

    app = Http2App(endless)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        slow = await proxy.client(rcvbuf=4096)
        slow.send(get("/slow"))
        await proxy.until(lambda: app.asked)
        (talk,) = app.talks
        asked = app.asked[0]
        sent, still = 0, 0
        while still < 100:  # until the window stays shut
            await asyncio.sleep(0.002)
            room = min(talk.machine.local_flow_control_window(asked.number), 16384)
            still = 0 if room else still + 1
            if room:
                talk.machine.send_data(asked.number, b"x" * room)
                talk.flush()
                sent += room
        fast = await proxy.client()
        fast.send(get("/fast"))
        assert (await fast.reply()).body == b"ok"
        reading = asyncio.get_running_loop().create_task(slow.reply())
        await proxy.until(lambda: talk.machine.local_flow_control_window(asked.number) > 0)
        talk.machine.end_stream(asked.number)
        talk.flush()
        assert len((await reading).body) == sent


@on_uvloop
async def test_a_client_that_leaves_cancels_its_request_and_nothing_else() -> None:
    app = Http2App(silent)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        one, other = await proxy.client(), await proxy.client()
        one.send(get("/one"))
        await proxy.until(lambda: len(app.asked) == 1)
        other.send(get("/other"))
        await proxy.until(lambda: len(app.asked) == 2)
        one.close()
        await proxy.until(lambda: app.asked[0].reset == ErrorCodes.CANCEL)
        (talk,) = app.talks
        ok(talk, app.asked[1])
        talk.flush()
        assert (await other.reply()).body == b"ok"
        assert proxy.pool.connections == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
@on_uvloop
async def test_what_was_refused_is_asked_for_again(method: str) -> None:
    def moody(talk: Talk, asked: Asked) -> None:
        if len(app.asked) == 1:
            talk.machine.reset_stream(asked.number, ErrorCodes.REFUSED_STREAM)
        else:
            ok(talk, asked)

    app = Http2App(moody)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        client.send(get(method=method, fields="Content-Length: 0\r\n"))
        assert (await client.reply()).body == b"ok"
        assert len(app.asked) == 2


@on_uvloop
async def test_who_refuses_everything_is_not_asked_for_ever() -> None:
    def refuse(talk: Talk, asked: Asked) -> None:
        talk.machine.reset_stream(asked.number, ErrorCodes.REFUSED_STREAM)

    app = Http2App(refuse)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 502
        assert len(app.asked) == 2


@on_uvloop
async def test_who_goes_away_at_once_is_not_asked_for_ever() -> None:
    def leave(talk: Talk, asked: Asked) -> None:  # noqa: ARG001 - the script's signature
        talk.wire.send(b"\0\0\x08\x07\0\0\0\0\0" + b"\0\0\0\0" + b"\0\0\0\0")

    app = Http2App(leave)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 502
        assert len(server.wires) == 2


@on_uvloop
async def test_who_goes_away_finishes_what_runs_and_gets_nothing_new() -> None:
    app = Http2App(silent)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        one, other = await proxy.client(), await proxy.client()
        one.send(get("/one"))
        await proxy.until(lambda: len(app.asked) == 1)
        talk = app.talks[0]
        talk.wire.send(b"\0\0\x08\x07\0\0\0\0\0" + b"\0\0\0\x01" + b"\0\0\0\0")  # GOAWAY, last 1
        await proxy.until(lambda: shared(proxy)[0].machine.going)
        other.send(get("/other"))
        await proxy.until(lambda: len(app.asked) == 2)
        assert len(server.wires) == 2
        ok(talk, app.asked[0])
        talk.flush()
        assert (await one.reply()).body == b"ok"
        ok(app.talks[1], app.asked[1])
        app.talks[1].flush()
        assert (await other.reply()).body == b"ok"
        await proxy.until(lambda: proxy.pool.connections == 1)


@on_uvloop
async def test_what_a_server_that_goes_did_not_look_at_is_sent_again() -> None:
    def leave(talk: Talk, asked: Asked) -> None:
        if len(app.talks) == 1:
            talk.wire.send(b"\0\0\x08\x07\0\0\0\0\0" + b"\0\0\0\0" + b"\0\0\0\0")
        else:
            ok(talk, asked)

    app = Http2App(leave)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        client.send(post(b""))
        assert (await client.reply()).body == b"ok"
        assert len(server.wires) == 2


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 502)])
@on_uvloop
async def test_a_connection_that_is_lost_tells_all_its_streams(method: str, status: int) -> None:
    def die(talk: Talk, asked: Asked) -> None:
        if len(app.talks) > 1 or len(app.asked) == 1:
            ok(talk, asked)
        elif len(app.asked) == 4:
            talk.wire.reset()

    app = Http2App(die)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        clients = [await proxy.client() for _ in range(3)]
        clients[0].send(get())
        assert (await clients[0].reply()).status == 200
        for client in clients:
            client.send(get(method=method, fields="Content-Length: 0\r\n"))
        for client in clients:
            assert (await client.reply()).status == status
        assert len(server.wires) <= 2  # one new connection for all of them


@on_uvloop
async def test_a_stale_connection_is_no_news() -> None:
    def once(talk: Talk, asked: Asked) -> None:
        if talk.requests and len(talk.requests) > 1:
            talk.wire.reset()
        else:
            ok(talk, asked)

    app = Http2App(once)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        for _ in range(2):
            client.send(get())
            assert (await client.reply()).body == b"ok"
        assert len(server.wires) == 2


@on_uvloop
async def test_an_early_answer_ends_the_request() -> None:
    def early(talk: Talk, asked: Asked) -> None:
        if not asked.seen:
            asked.seen = 1
            talk.head(asked, status="413", end=True)

    app = Http2App(early)
    async with upstream(app.script) as server:
        plan = replace(to(server.port), request_buffering="off")
        async with bench(program(plan)) as proxy:
            client = await proxy.client()
            client.send(posting(1_000_000))
            reply = await client.reply()
            assert (reply.status, reply.fields["content-length"]) == (413, "0")
            await proxy.until(lambda: app.asked[0].reset == ErrorCodes.CANCEL)
            assert proxy.pool.connections == 1


@on_uvloop
async def test_an_answer_that_is_cut_short_is_seen_to_be() -> None:
    def cut(talk: Talk, asked: Asked) -> None:
        talk.head(asked)
        talk.data(asked, b"part")
        talk.machine.reset_stream(asked.number, ErrorCodes.INTERNAL_ERROR)

    app = Http2App(cut)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        with pytest.raises(CutShortError):
            await client.reply()
        line = await proxy.entry()
        assert "reset by the upstream: INTERNAL_ERROR" in str(line)


@pytest.mark.parametrize(
    ("method", "status", "fields"),
    [
        ("HEAD", "200", {"content_length": "1000"}),
        ("GET", "204", {}),
        ("GET", "304", {"etag": '"1"'}),
    ],
)
@on_uvloop
async def test_answers_without_a_body(method: str, status: str, fields: dict[str, str]) -> None:
    def bare(talk: Talk, asked: Asked) -> None:
        talk.head(asked, end=True, status=status, **fields)

    app = Http2App(bare)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        for _ in range(2):
            client.send(get(method=method))
            reply = await client.reply(method)
            assert reply.status == int(status)
            for name, value in fields.items():
                assert reply.fields[name.replace("_", "-")] == value


@on_uvloop
async def test_interim_answers_and_trailers_pass() -> None:
    def all_of_it(talk: Talk, asked: Asked) -> None:
        if asked.ended:
            talk.machine.send_headers(asked.number, [(":status", "103"), ("link", "</a>")])
            talk.head(asked, content_type="application/grpc")
            talk.data(asked, b"abc")
            talk.trailers(asked, grpc_status="0", grpc_message="fine", content_length="7")

    app = Http2App(all_of_it)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        client.send(get(fields="TE: trailers\r\nConnection: TE\r\n"))
        assert (await client.head()).startswith(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n")
        reply = await client.reply()
        assert (reply.body, reply.trailers) == (b"abc", b"grpc-status: 0\r\ngrpc-message: fine\r\n")
        assert app.asked[0].fields["te"] == "trailers"


@on_uvloop
async def test_a_body_with_trailers_of_the_clients() -> None:
    app = Http2App(ok)
    async with upstream(app.script) as server:
        plan = replace(to(server.port), request_buffering="off")
        async with bench(program(plan)) as proxy:
            client = await proxy.client()
            client.send(get(method="POST", fields="Transfer-Encoding: chunked\r\n"))
            client.send(b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n")
            assert (await client.reply()).body == b"ok"
            (asked,) = app.asked
            assert (asked.body, asked.trailers) == (b"abc", {"x-sum": "1"})
            assert "transfer-encoding" not in asked.fields


@on_uvloop
async def test_an_upgrade_is_asked_for_as_an_ordinary_request() -> None:
    app = Http2App(ok)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        client.send(get(fields="Connection: Upgrade\r\nUpgrade: websocket\r\n"))
        assert (await client.reply()).status == 200
        assert not {"connection", "upgrade"} & app.asked[0].fields.keys()


# Time.


@on_uvloop
async def test_each_stream_has_its_own_time() -> None:
    def one(talk: Talk, asked: Asked) -> None:
        if asked.fields[":path"] == "/fast":
            ok(talk, asked)

    app = Http2App(one)
    async with upstream(app.script) as server:
        plan = ProxyPlan("app", response_timeout=0.05)
        async with bench(program(to(server.port), plan=plan)) as proxy:
            slow, fast = await proxy.client(), await proxy.client()
            slow.send(get("/slow"))
            await proxy.until(lambda: len(app.asked) == 1)
            await asyncio.sleep(0.1)
            fast.send(get("/fast"))
            assert (await fast.reply()).body == b"ok"
            proxy.sweep()
            assert (await slow.reply()).status == 504
            await proxy.until(lambda: app.asked[0].reset == ErrorCodes.CANCEL)
            fast.send(get("/fast"))
            assert (await fast.reply()).body == b"ok"
            assert len(server.wires) == 1
            assert proxy.counters.upstream_timeouts == 1


@on_uvloop
async def test_an_answer_that_stops_coming() -> None:
    def half(talk: Talk, asked: Asked) -> None:
        talk.head(asked)
        talk.data(asked, b"part")

    app = Http2App(half)
    async with upstream(app.script) as server:
        plan = ProxyPlan("app", idle_timeout=0.05)
        async with bench(program(to(server.port), plan=plan)) as proxy:
            client = await proxy.client()
            client.send(get())
            await client.head()
            await asyncio.sleep(0.1)
            proxy.sweep()
            await client.gone()
            assert proxy.counters.upstream_timeouts == 1


@on_uvloop
async def test_a_body_that_the_server_does_not_take() -> None:
    app = Http2App(silent, takes=False)
    async with upstream(app.script) as server:
        plan = ProxyPlan("app", idle_timeout=0.05)
        async with bench(program(to(server.port), plan=plan)) as proxy:
            client = await proxy.client()
            client.send(post(b"x" * 100_000))
            await proxy.until(lambda: app.asked and len(app.asked[0].body) == 65535)
            await asyncio.sleep(0.1)
            proxy.sweep()
            assert (await client.reply()).status == 504


@on_uvloop
async def test_an_idle_connection_is_closed_in_time() -> None:
    app = Http2App(ok)
    async with upstream(app.script) as server:
        plan = replace(to(server.port), keep_alive_idle=50.0)
        async with bench(program(plan)) as proxy:
            client = await proxy.client()
            client.send(get())
            await client.reply()
            (connection,) = shared(proxy)
            assert connection.idle
            left = connection.channel.deadline - monotonic()
            assert 49 < left <= 50
            connection.channel.deadline = 0.0
            proxy.sweep()
            await proxy.until(lambda: not proxy.pool.connections)
            client.send(get())
            assert (await client.reply()).body == b"ok"
            assert len(server.wires) == 2


@on_uvloop
async def test_nothing_is_kept_where_the_plan_says_so() -> None:
    app = Http2App(ok)
    async with upstream(app.script) as server:
        plan = replace(to(server.port), keep_alive_connections=0)
        async with bench(program(plan)) as proxy:
            client = await proxy.client()
            client.send(get())
            assert (await client.reply()).body == b"ok"
            await proxy.until(lambda: not proxy.pool.connections)


@on_uvloop
async def test_a_pool_that_retires_closes_what_is_idle_and_then_the_rest() -> None:
    app = Http2App(silent)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        await proxy.until(lambda: app.asked)
        proxy.pool.retire()
        ok(app.talks[0], app.asked[0])
        app.talks[0].flush()
        assert (await client.reply()).body == b"ok"
        await proxy.until(lambda: not proxy.pool.connections)


# Servers that are none.


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
@on_uvloop
async def test_a_server_that_does_not_speak_http2(said: bytes) -> None:
    async def other(wire: Wire) -> None:
        wire.send(said)

    async with upstream(other) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 502
        assert "HTTP/2" in str(await proxy.entry())
        await proxy.until(lambda: not proxy.pool.connections)


@on_uvloop
async def test_a_server_that_takes_no_requests() -> None:
    app = Http2App(ok, {"max_concurrent_streams": 0})
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        client = await proxy.client()
        client.send(get())
        assert (await client.reply()).status == 502


@on_uvloop
async def test_a_server_that_says_nothing() -> None:
    async def mute(wire: Wire) -> None:
        await wire.rest()

    async with upstream(mute) as server:
        plan = ProxyPlan("app", connect_timeout=0.05)
        async with bench(program(to(server.port), plan=plan)) as proxy:
            client = await proxy.client()
            client.send(get())
            assert (await client.reply()).status == 504


@on_uvloop
async def test_a_malformed_answer_ends_its_stream_alone() -> None:
    def bad(talk: Talk, asked: Asked) -> None:
        if asked.fields[":path"] == "/bad":
            talk.head(asked, x="a\r\nSet-Cookie: b")
        elif len(app.asked) == 2:
            ok(talk, app.asked[0])

    app = Http2App(bad)
    async with upstream(app.script) as server, bench(program(to(server.port))) as proxy:
        one, other = await proxy.client(), await proxy.client()
        one.send(get("/good", method="POST", fields="Content-Length: 0\r\n"))
        await proxy.until(lambda: len(app.asked) == 1)
        other.send(get("/bad"))
        reply = await other.reply()
        assert (reply.status, b"Set-Cookie" in reply.head) == (502, False)
        talk = app.talks[0]
        ok(talk, app.asked[0])
        talk.flush()
        assert (await one.reply()).body == b"ok"
        assert len(server.wires) == 1
