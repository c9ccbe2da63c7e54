import asyncio
import json
import os
import resource
import ssl
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from proxy.net.door import Door
from proxy.net.tls_contexts import TlsFront
from proxy.routing.program import Program
from proxy.routing.route import Endpoint, Limits, Timeouts
from proxy.state.shared import SharedState
from tests.fakes.bench import Bench, bench, get, pool_plan, program
from tests.fakes.serving import Line, Pipe, one_site
from tests.fakes.tls_memory import client_context, pem
from tests.fakes.wires import Wire, answer, on_uvloop, says, upstream

AUTHORITY = trustme.CA()
PAIR = pem(AUTHORITY.issue_cert("localhost"))


def speaking_proxy_protocol(made: Program, *trusted: str) -> Program:
    networks = tuple(ip_network(each) for each in trusted)
    return replace(made, proxy_protocol=True, trusted=networks)


def https() -> ssl.SSLContext:
    made = client_context(AUTHORITY)
    made.set_alpn_protocols(["http/1.1"])
    return made


# Admission.


@pytest.mark.parametrize(
    ("limits", "status"), [({"connections_per_ip": 2}, 429), ({"connections": 2}, 503)]
)
@on_uvloop
async def test_one_too_many_is_told_so_and_many_more_are_closed(
    limits: dict[str, int], status: int
) -> None:
    async with (
        upstream(says(answer())) as app,
        bench(program(pool_plan(app.port), limits=Limits(**limits))) as proxy,
    ):
        clients = [await proxy.client() for _ in range(2)]
        for client in clients:
            client.send(get())
            assert (await client.reply()).status == 200
        third = await proxy.client()
        third.send(get())
        reply = await third.reply()
        assert (reply.status, reply.fields["connection"]) == (status, "close")
        assert await third.gone()
        await proxy.until(lambda: len(proxy.server._door.channels) == 2)
        waiting = [await proxy.client() for _ in range(2)]
        assert await waiting[1].gone()
        clients[0].close()
        await proxy.until(lambda: proxy.server._share.connections.total() == 2)
        waiting[0].close()
        await proxy.until(lambda: proxy.server._share.connections.total() == 1)
        again = await proxy.client()
        again.send(get())
        assert (await again.reply()).status == 200


@pytest.mark.parametrize("limits", [Limits(0, 0), Limits(0, 1000), Limits(1000, 0)])
def test_no_limit_is_none(limits: Limits) -> None:
    line = Line(made=one_site(limits=limits))
    door = Door(line.service, SharedState.create(1).worker(0), TlsFront(), lambda: 0)
    assert all(door.admit("192.0.2.1") == (True, None) for _ in range(500))


@pytest.mark.parametrize(("upstreams", "addresses"), [(1 << 30, True), (0, False)])
def test_who_cannot_be_let_in_leaves_nothing_behind(upstreams: int, addresses: bool) -> None:  # noqa: FBT001
    """No descriptor is left for it, or it was gone before it was accepted."""
    share = SharedState.create(1).worker(0)
    door = Door(Line().service, share, TlsFront(), lambda: upstreams)
    named = {"peername": ("192.0.2.1", 5000), "sockname": ("192.0.2.2", 80)} if addresses else {}
    pipe = Pipe(**named)
    entrance = door.entrance(Endpoint("", 80, tls=False))
    entrance.connection_made(pipe)
    entrance.connection_lost(None)
    assert pipe.aborted
    assert not door.channels
    assert not door.sessions
    assert share.connections.total() == 0
    assert share.counters.connections_accepted == 1
    assert share.counters.connections_refused == (1 if upstreams else 0)


# PROXY protocol.


@on_uvloop
async def test_a_trusted_peer_says_who_the_client_is() -> None:
    async with upstream(says(answer())) as app:
        made = speaking_proxy_protocol(program(pool_plan(app.port)), "127.0.0.0/8")
        async with bench(made) as proxy:
            client = await proxy.client()
            for byte in b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n":
                client.send(bytes([byte]))
                await asyncio.sleep(0)
            client.send(get())
            assert (await client.reply()).status == 200
            assert (await proxy.entry())["client"] == "192.0.2.7"
            assert proxy.server._share.connections.count("192.0.2.7") == 1


@on_uvloop
async def test_the_header_stands_before_tls() -> None:
    async with upstream(says(answer())) as app:
        made = speaking_proxy_protocol(program(pool_plan(app.port), pairs=(PAIR,)), "127.0.0.0/8")
        async with bench(made, tls=True) as proxy:
            client = await proxy.client()
            client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n")
            loop = asyncio.get_running_loop()
            protocol = client.writer.transport.get_protocol()
            transport = await loop.start_tls(
                client.writer.transport, protocol, https(), server_hostname="localhost"
            )
            assert transport is not None
            secure = Wire(
                client.reader, asyncio.StreamWriter(transport, protocol, client.reader, loop)
            )
            proxy.clients.append(secure)
            secure.send(get())
            assert (await secure.reply()).status == 200
            assert (await proxy.entry())["client"] == "192.0.2.7"


@pytest.mark.parametrize(
    ("header", "client_address"),
    [
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "127.0.0.1"),
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n", "192.0.2.7"),
    ],
)
@on_uvloop
async def test_who_speaks_through_the_header_has_no_say_in_its_fields(
    header: bytes, client_address: str
) -> None:
    async with upstream(says(answer())) as app:
        made = speaking_proxy_protocol(program(pool_plan(app.port)), "127.0.0.0/8")
        async with bench(made) as proxy:
            client = await proxy.client()
            client.send(header + get(fields="X-Forwarded-For: 203.0.113.9\r\n"))
            assert (await client.reply()).status == 200
            assert (await proxy.entry())["client"] == client_address


@on_uvloop
async def test_a_lot_behind_the_header() -> None:
    async with upstream(says(answer())) as app:
        made = speaking_proxy_protocol(program(pool_plan(app.port)), "127.0.0.0/8")
        async with bench(made) as proxy:
            client = await proxy.client()
            client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n" + get() * 20_000)
            for _ in range(100):
                assert (await client.reply()).status == 200
            client.reset()


@pytest.mark.parametrize("first", [get(), b"PROXY TCP4 nonsense\r\n", b"\x16\x03\x01"])
@on_uvloop
async def test_what_is_no_header_is_closed(first: bytes) -> None:
    made = speaking_proxy_protocol(program(pool_plan(1)), "127.0.0.0/8")
    async with bench(made) as proxy:
        client = await proxy.client()
        client.send(first)
        assert await client.gone()


@on_uvloop
async def test_strangers_may_not_speak_for_others() -> None:
    made = speaking_proxy_protocol(program(pool_plan(1)), "10.0.0.0/8")
    async with bench(made) as proxy:
        client = await proxy.client()
        client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n" + get())
        assert await client.gone()
        assert proxy.counters.connections_refused == 1


@on_uvloop
async def test_a_header_that_does_not_come() -> None:
    made = speaking_proxy_protocol(
        program(pool_plan(1), timeouts=Timeouts(request_header=0.02)), "127.0.0.0/8"
    )
    async with bench(made) as proxy:
        client = await proxy.client()
        client.send(b"PROXY ")
        assert await client.gone()


# TLS.


async def refused(proxy: Bench, first: bytes) -> bytes:
    client = await proxy.client()
    client.send(first)
    try:
        return await client.rest()
    except ConnectionError:
        return b""


@on_uvloop
async def test_what_tls_agreed_on_is_logged() -> None:
    async with (
        upstream(says(answer())) as app,
        bench(program(pool_plan(app.port), pairs=(PAIR,)), tls=True) as proxy,
    ):
        client = await proxy.client(https())
        client.send(get())
        assert (await client.reply()).status == 200
        assert (await proxy.entry())["tls_version"] == "TLSv1.3"
        assert proxy.counters.handshakes_ok == 1


@on_uvloop
async def test_big_bodies_over_tls() -> None:
    content = os.urandom(3 << 20)
    async with (
        upstream(says(answer(content))) as app,
        bench(program(pool_plan(app.port), pairs=(PAIR,)), tls=True) as proxy,
    ):
        client = await proxy.client(https())
        for _ in range(2):
            client.send(get())
            assert (await client.reply()).body == content


@on_uvloop
async def test_plain_http_on_the_tls_port(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with bench(program(pool_plan(1), pairs=(PAIR,)), tls=True) as proxy:
        said = await refused(proxy, get())
        assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        head, _, body = said.partition(b"\r\n\r\n")
        assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n"
        assert "plain HTTP" in caplog.text
        assert proxy.counters.handshakes_failed == 1


@on_uvloop
async def test_handshakes_that_fail_are_logged_with_name_and_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with bench(program(pool_plan(1), pairs=(PAIR,)), tls=True) as proxy:
        with pytest.raises(ssl.SSLError):
            await proxy.client(client_context(trustme.CA()))
        await proxy.until(lambda: "localhost" in caplog.text)
        assert "127.0.0.1" in caplog.text
        assert await refused(proxy, b"\x16\x03\x01\xff\xff\xff") != b"nothing said"
        await proxy.until(lambda: not proxy.server._door.channels)


@on_uvloop
async def test_a_port_scan_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with bench(program(pool_plan(1), pairs=(PAIR,)), tls=True) as proxy:
        client = await proxy.client()
        client.close()
        await proxy.until(lambda: proxy.counters.connections_accepted)
        await proxy.until(lambda: not proxy.server._door.channels)
        assert proxy.counters.handshakes_failed == 0
        assert not caplog.records


@on_uvloop
async def test_a_handshake_that_takes_too_long() -> None:
    made = program(pool_plan(1), pairs=(PAIR,), timeouts=Timeouts(tls_handshake=0.02))
    async with bench(made, tls=True) as proxy:
        client = await proxy.client()
        client.send(b"\x16\x03\x01")
        await proxy.channel()
        await asyncio.sleep(0.05)
        proxy.sweep()
        assert await client.gone()
        assert proxy.counters.client_timeouts == 1


# File descriptors.


def test_a_worker_without_descriptors_sheds_load_and_recovers() -> None:
    tree = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.net.test_door"],
        cwd=tree, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert 0 < told["served"] < told["tried"]
    assert told["after"] == 200
    assert told["exhausted_after"] == 200


@on_uvloop
async def starve() -> None:
    """Run in a process of its own, whose descriptors nobody else misses."""
    told: dict[str, int] = {"tried": 120}
    async with upstream(says(answer())) as app, bench(program(pool_plan(app.port))) as proxy:
        open_now = open_descriptors()
        # Our own clients take descriptors as well: half of what is left is theirs.
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 100, open_now + 1000))
        proxy.server._door._most = 40
        told["served"] = await _served(proxy, told["tried"])
        client = await proxy.client()
        client.send(get())
        told["after"] = (await client.reply()).status
        client.close()
        await proxy.until(lambda: not proxy.server._door.channels)
        # And without the door's foresight, down to the last one.
        proxy.server._door._most = 1 << 20
        held = exhausted()
        for _ in range(12):  # what starting the other process and a few clients take
            os.close(held.pop())
        outside = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _KNOCK, str(proxy.port)
        )
        assert await outside.wait() == 0
        for descriptor in held:
            os.close(descriptor)
        last = await proxy.client()
        last.send(get())
        told["exhausted_after"] = (await last.reply()).status
    sys.stdout.write(json.dumps(told))


_KNOCK = """
import socket, sys, time
for _ in range(3):
    found = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(30)]
    time.sleep(0.1)
    for each in found:
        each.close()
"""


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def exhausted() -> list[int]:
    """Take every descriptor there is."""
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return held


async def _served(proxy: Bench, count: int) -> int:
    served = 0
    clients = []
    for _ in range(count):
        try:
            client = await proxy.client()
        except OSError:
            break
        clients.append(client)
        client.send(get())
        try:
            served += (await client.reply()).status == 200
        except Exception:  # noqa: BLE001, S112 - shed, one way or another
            continue
    for client in clients:
        client.close()
    await proxy.until(lambda: not proxy.server._door.channels)
    return served


if __name__ == "__main__":
    starve()
