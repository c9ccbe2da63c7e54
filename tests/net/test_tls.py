import ssl
from collections.abc import Iterator
from functools import partial

import pytest
import trustme

from proxy.net.tls import TlsChannel
from proxy.net.tls_contexts import PreparedTls, TlsFront
from proxy.routing.route import TlsPlan, TlsSite
from tests.fakes.tls_memory import client_context, pem
from tests.fakes.transports import Listener, MemoryTransport, feed

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("localhost")
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class End:
    """A TLS channel with everything that is told of it."""

    def __init__(self, context: ssl.SSLContext | TlsFront, *, size: int = 1 << 18) -> None:
        self.session = Listener()
        self.transport = MemoryTransport()
        self.size = size
        self.established = 0
        self.failed: list[Exception] = []
        if isinstance(context, TlsFront):
            self.channel = TlsChannel(self._front(context), self._established, self._failed)
        else:
            wrap = partial(context.wrap_bio, server_hostname="localhost")
            self.channel = TlsChannel(wrap, self._established, self._failed)
        self.channel.connection_made(self.transport)

    def _front(self, front: TlsFront):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a `Wrap`
        return lambda incoming, outgoing: front.wrap(incoming, outgoing, "127.0.0.1")

    def _established(self, channel: TlsChannel) -> None:
        self.established += 1
        channel.session = self.session

    def _failed(self, _: TlsChannel, error: Exception) -> None:
        self.failed.append(error)

    def take_from(self, other: "End") -> bool:
        """Read what the other end wrote, and then its end; tell whether there was anything."""
        data = other.transport.read()
        if data and not self.transport.closed:
            feed(self.channel, data, self.size)
        return bool(data)


def pump(one: End, other: End) -> None:
    """Let both ends read until there is nothing more."""
    while one.take_from(other) | other.take_from(one):
        pass


@pytest.fixture
def front() -> TlsFront:
    made = TlsFront()
    made.swap(PreparedTls(TlsPlan(sites=(TlsSite(("localhost",), (pem(LEAF),), default=True),))))
    return made


@pytest.fixture(params=[V12, V13], ids=["1.2", "1.3"])
def pair(request: pytest.FixtureRequest, front: TlsFront) -> Iterator[tuple[End, End]]:
    """A server's and a client's end after their handshake."""
    server, client = End(front), End(client_context(AUTHORITY, request.param))
    pump(server, client)
    assert (server.established, client.established) == (1, 1)
    yield server, client
    assert (server.established, client.established) == (1, 1)
    assert not server.failed
    assert not client.failed


Pair = tuple[End, End]


def test_bytes_go_both_ways(pair: Pair) -> None:
    server, client = pair
    client.channel.write(b"question")
    pump(server, client)
    server.channel.write(b"answer")
    pump(server, client)
    assert (server.session.data, client.session.data) == (b"question", b"answer")
    assert server.channel.hello == b""


@pytest.mark.parametrize("size", [1 << 18, 20_000, 1000])
def test_big_writes(pair: Pair, size: int) -> None:
    server, client = pair
    server.size = client.size = size
    content = bytes(range(256)) * 4000
    server.channel.write(content)
    client.channel.write(content)
    pump(server, client)
    assert server.session.data == client.session.data == content


def test_a_handshake_byte_by_byte(front: TlsFront) -> None:
    server, client = End(front, size=1), End(client_context(AUTHORITY), size=1)
    pump(server, client)
    client.channel.write(b"x")
    pump(server, client)
    assert server.session.data == b"x"


def test_bytes_that_come_with_the_end_of_the_handshake(front: TlsFront) -> None:
    server, client = End(front), End(client_context(AUTHORITY, V13))
    server.take_from(client)
    client.take_from(server)
    client.channel.write(b"early")  # in one read with the client's Finished
    server.take_from(client)
    assert server.session.data == b"early"


def test_the_ticket_goes_with_the_first_answer(front: TlsFront) -> None:
    server, client = End(front), End(client_context(AUTHORITY, V13))
    server.take_from(client)
    client.take_from(server)
    server.take_from(client)
    assert server.transport.data == b""
    server.channel.write(b"answer")
    client.take_from(server)
    assert client.session.data == b"answer"
    assert client.channel.tls.session is not None


def test_closing_says_goodbye(pair: Pair) -> None:
    server, client = pair
    server.channel.write(b"last")
    server.channel.close()
    client.take_from(server)
    assert client.session.data == b"last"
    assert client.session.told == ["eof"]
    client.channel.eof_received()
    assert client.session.told == ["eof"], "told once"


def test_a_cut_is_no_goodbye(pair: Pair) -> None:
    server, client = pair
    server.channel.write(b"half")
    server.channel.cut()
    client.take_from(server)
    assert client.session.told == []
    client.channel.eof_received()
    assert client.transport.aborted
    assert client.session.told == []
    client.channel.connection_lost(None)
    assert client.session.told == ["lost None"]


def test_a_client_may_leave_without_goodbye(pair: Pair) -> None:
    server, _ = pair
    assert server.channel.eof_received() is True
    assert server.session.told == ["eof"]


def test_half_closed(pair: Pair) -> None:
    server, client = pair
    server.channel.write_eof()
    server.channel.write_eof()
    server.channel.write(b"lost")
    assert server.transport.ended
    client.channel.write(b"still talking")
    pump(server, client)
    assert client.session.told == ["eof"]
    assert server.session.data == b"still talking"
    client.channel.close()
    server.take_from(client)
    assert server.session.told == ["eof"], "a goodbye after our own is an end, no error"
    assert not server.transport.aborted
    server.channel.close()
    assert server.transport.closed


def test_damaged_bytes_end_the_connection(pair: Pair) -> None:
    server, client = pair
    client.channel.write(b"hello")
    record = client.transport.read()
    feed(server.channel, record[:-1] + bytes([record[-1] ^ 1]))
    assert server.transport.aborted
    assert server.session.data == b""


def test_nothing_is_told_after_the_close(pair: Pair) -> None:
    server, client = pair
    server.session.on_data = lambda _: server.channel.close()
    client.channel.write(bytes(200_000))
    server.take_from(client)
    assert 0 < len(server.session.data) < 100_000


def test_renegotiation_is_refused(front: TlsFront) -> None:
    server, client = End(front), End(client_context(AUTHORITY, V12))
    pump(server, client)
    assert server.channel.tls.context.options & ssl.OP_NO_RENEGOTIATION


def test_bytes_without_a_session_are_not_lost_in_silence(front: TlsFront) -> None:
    server, client = End(front), End(client_context(AUTHORITY))
    pump(server, client)
    client.channel.session = None
    server.channel.write(b"hasty")
    client.take_from(server)
    assert client.transport.aborted


# Handshakes that fail.


def failing(front: TlsFront, hello: bytes) -> tuple[End, Exception]:
    server = End(front)
    feed(server.channel, hello)
    assert len(server.failed) == 1
    assert server.transport.closed
    server.channel.connection_lost(None)
    assert len(server.failed) == 1
    assert not server.established
    return server, server.failed[0]


def test_plain_http(front: TlsFront) -> None:
    server, error = failing(front, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert isinstance(error, ssl.SSLError)
    assert error.reason == "HTTP_REQUEST"
    assert server.transport.data == b"", "an answer in plain HTTP may follow"


def test_nonsense(front: TlsFront) -> None:
    _, error = failing(front, bytes(100))
    assert isinstance(error, ssl.SSLError)


def test_a_handshake_that_ends_too_soon(front: TlsFront) -> None:
    for count in (0, 1, 100):
        server, client = End(front), End(client_context(AUTHORITY))
        feed(server.channel, client.transport.read()[:count])
        assert server.channel.eof_received() is False
        server.channel.connection_lost(None)
        assert [type(error) for error in server.failed] == [ConnectionError]
        assert len(server.channel.hello) == count


def test_a_handshake_that_is_reset(front: TlsFront) -> None:
    server = End(front)
    server.channel.connection_lost(ConnectionResetError("reset"))
    assert [str(error) for error in server.failed] == ["reset"]


def test_a_handshake_that_takes_too_long(front: TlsFront) -> None:
    server, client = End(front), End(client_context(AUTHORITY))
    feed(server.channel, client.transport.read()[:50])
    assert server.channel.expire(100.0)
    assert server.transport.aborted
    assert [type(error) for error in server.failed] == [TimeoutError]
    server.channel.connection_lost(None)
    assert len(server.failed) == 1


def test_a_hello_without_end_is_not_kept_for_the_log(front: TlsFront) -> None:
    server = End(front)
    hello = b"\x16\x03\x01\x40\x00\x01\x00\xff\xff\x03\x03"
    feed(server.channel, hello + bytes(60_000), 4096)
    assert len(server.channel.hello) <= 20 * 1024


def test_a_client_that_does_not_believe_the_server(front: TlsFront) -> None:
    server, client = End(front), End(client_context(trustme.CA()))
    pump(server, client)
    (error,) = client.failed
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert not client.established
    assert server.failed or server.transport.aborted or server.established


def test_a_deadline_after_the_handshake_is_the_sessions(pair: Pair) -> None:
    server, _ = pair
    assert server.channel.expire(7.0)
    assert server.session.told == ["deadline 7"]
