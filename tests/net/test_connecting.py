import asyncio
import errno
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from proxy.net.channel import Channel
from proxy.net.connecting import Connector, FirstWords, is_our_own, told
from proxy.net.tls_contexts import TlsConfigurationError
from proxy.upstream.peer import Peer
from proxy.upstream.plan import PoolPlan, ServerPlan, TlsClientPlan
from tests.fakes.bench import bench, get, pool_plan, program, server_plan
from tests.fakes.transports import Listener, MemoryTransport, feed
from tests.fakes.wires import Wire, answer, on_uvloop, says, upstream

AUTHORITY = trustme.CA()


def server_side(*names: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(made)
    return made


def secure(port: int, server_name: str = "", *, verify: bool = True) -> PoolPlan:
    return replace(
        pool_plan(),
        servers=(server_plan(port, "https"),),
        tls=TlsClientPlan(verify, AUTHORITY.cert_pem.bytes().decode(), server_name),
    )


def connector(plan: PoolPlan) -> tuple[Connector, Peer]:
    server = plan.servers[0]
    address = server.unix_path or (server.host, server.port)
    return Connector(plan, asyncio.get_running_loop()), Peer(server, address, 3)


async def reached(plan: PoolPlan) -> bytes:
    """Connect, ask, and return the answer."""
    one, peer = connector(plan)
    channel = await one.connect(peer)
    session = Listener()
    heard = asyncio.Event()
    session.on_data = lambda _: heard.set()
    channel.session = session
    channel.write(get())
    await heard.wait()
    channel.abort()
    return session.data


@on_uvloop
async def test_plain() -> None:
    async with upstream(says(answer())) as app:
        assert (await reached(pool_plan(app.port))).endswith(b"ok")


@on_uvloop
async def test_a_unix_socket(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(answer())(Wire(reader, writer))

    path = str(tmp_path / "app.sock")
    server = await asyncio.start_unix_server(serve, path)
    plan = replace(pool_plan(), servers=(ServerPlan(f"unix:{path}", "http", "", 0, path),))
    one, peer = connector(plan)
    channel = await one.connect(peer)
    assert not channel.lost
    channel.abort()
    server.close()
    await server.wait_closed()
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)) as refused:
        await one.connect(peer)
    assert told(refused.value)


@pytest.mark.parametrize(
    ("cert", "server_name", "verify"),
    [("127.0.0.1", "", True), ("app.test", "app.test", True), ("else.test", "", False)],
)
@on_uvloop
async def test_tls(cert: str, server_name: str, verify: bool) -> None:  # noqa: FBT001
    async with upstream(says(answer()), server_side(cert)) as app:
        plan = secure(app.port, server_name, verify=verify)
        if not verify:
            plan = replace(plan, tls=replace(plan.tls, ca_pem=""))
        assert (await reached(plan)).endswith(b"ok")


@on_uvloop
async def test_a_certificate_for_another_name_is_not_trusted() -> None:
    async with upstream(says(answer()), server_side("else.test")) as app:
        one, peer = connector(secure(app.port))
        with pytest.raises(ssl.SSLCertVerificationError) as refused:
            await one.connect(peer)
        assert "not trusted" in told(refused.value)
        assert not is_our_own(refused.value)


@on_uvloop
async def test_tls_to_a_server_that_speaks_none() -> None:
    async def plain(wire: Wire) -> None:
        await wire.some()
        wire.send(answer(status=b"400 Bad Request"))

    async with upstream(plain) as app:
        one, peer = connector(secure(app.port))
        with pytest.raises(ssl.SSLError):
            await one.connect(peer)


@on_uvloop
async def test_a_handshake_that_is_broken_off() -> None:
    async def shut(wire: Wire) -> None:
        await wire.some()

    async with upstream(shut) as app:
        one, peer = connector(secure(app.port))
        with pytest.raises(ConnectionError):
            await one.connect(peer)


@on_uvloop
async def test_a_handshake_that_is_given_up() -> None:
    gone = asyncio.Event()

    async def deaf(wire: Wire) -> None:
        await wire.some()
        await wire.gone()
        gone.set()

    async with upstream(deaf) as app:
        one, peer = connector(secure(app.port))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await one.connect(peer)
        await gone.wait()


@on_uvloop
async def test_a_connection_that_is_gone_already(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Connector._open_transport

    async def and_dies(self: Connector, address: tuple[str, int], channel: Channel) -> None:
        await opened(self, address, channel)
        channel.abort()

    monkeypatch.setattr(Connector, "_open_transport", and_dies)
    async with upstream(says(answer())) as app:
        one, peer = connector(pool_plan(app.port))
        with pytest.raises(ConnectionResetError, match="as soon as"):
            await one.connect(peer)


@on_uvloop
async def test_an_answer_over_tls_that_ends_without_goodbye_is_cut() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await wire.sent()
        wire.writer.transport.abort()

    async with (
        upstream(script, server_side("127.0.0.1")) as app,
        bench(program(secure(app.port))) as proxy,
    ):
        client = await proxy.client()
        client.send(get())
        assert await client.head()
        await client.gone()
        assert (await proxy.entry())["error"]


@on_uvloop
async def test_authorities_that_are_none() -> None:
    plan = replace(
        pool_plan(),
        servers=(server_plan(1, "https"),),
        tls=TlsClientPlan(ca_pem="nothing"),
    )
    with pytest.raises(TlsConfigurationError):
        Connector(plan, asyncio.get_running_loop())


def test_whose_fault_it_is() -> None:
    assert is_our_own(OSError(errno.EMFILE, "Too many open files"))
    assert not is_our_own(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
    assert told(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")) == (
        "Connection refused"
    )
    assert told(ConnectionError("closed during the handshake")) == "closed during the handshake"
    assert told(OSError()) == "OSError"


@pytest.mark.parametrize("secured", [False, True])
@on_uvloop
async def test_who_speaks_first_in_http2_is_heard(secured: bool) -> None:  # noqa: FBT001
    async def greets(wire: Wire) -> None:
        wire.send(b"hello")
        await wire.rest()

    tls = server_side("127.0.0.1") if secured else None
    if tls is not None:
        tls.set_alpn_protocols(["h2"])
    async with upstream(greets, tls) as app:
        plan = replace(secure(app.port), http2=True) if secured else pool_plan()
        if not secured:
            plan = replace(plan, servers=(server_plan(app.port, "h2c"),))
        one, peer = connector(plan)
        channel = await one.connect(peer, http2=True)
        session = channel.session
        assert isinstance(session, FirstWords)
        for _ in range(1000):
            if session.data:
                break
            await asyncio.sleep(0.002)
        assert session.data == b"hello"
        channel.abort()


def test_first_words_have_an_end() -> None:
    channel = Channel()
    channel.connection_made(MemoryTransport())
    channel.session = words = FirstWords(channel)
    feed(channel, b"x" * 64 * 1024)
    assert not channel.closing
    words.pause_writing()
    words.resume_writing()
    assert not words.deadline_passed(0.0)
    feed(channel, b"x")
    assert channel.closing


def test_who_leaves_before_it_is_listened_to() -> None:
    channel = Channel()
    channel.connection_made(MemoryTransport())
    channel.session = FirstWords(channel)
    assert channel.eof_received()
    channel.connection_lost(None)
    assert channel.lost
