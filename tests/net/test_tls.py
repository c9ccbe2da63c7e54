import ssl
from collections.abc import Iterator

import pytest
import trustme

from proxy.net.channel import READ_SIZE, read_view
from proxy.net.tls_contexts import PreparedTls, TlsFront
from proxy.routing.route import TlsPlan, TlsSite
from tests.fakes.tls_channels import End, pump
from tests.fakes.tls_memory import client_context, pem
from tests.fakes.transports import feed

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("localhost")
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


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


# Sessions.


def again(front: TlsFront, client: End, context: ssl.SSLContext) -> bool:
    """Connect once more with the session that a client has; tell whether it was taken."""
    session = client.channel.tls.session
    assert session is not None
    server, client = End(front), End(context, session=session)
    pump(server, client)
    assert server.established
    server.channel.write(b"hello")
    pump(server, client)
    assert client.session.data == b"hello"
    return server.channel.tls.session_reused is True


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("how", ["answer", "big answer", "close", "eof", "no answer yet"])
def test_the_ticket_comes_whatever_goes_first(
    front: TlsFront, version: ssl.TLSVersion, how: str
) -> None:
    context = client_context(AUTHORITY, version)
    server, client = End(front), End(context)
    pump(server, client)
    if how == "answer":
        server.channel.write(b"answer")
    elif how == "big answer":
        server.channel.write(bytes(100_000))
    elif how == "close":
        server.channel.close()
    elif how == "eof":
        server.channel.write_eof()
    else:  # two requests, and it has to think about both
        for _ in range(2):
            client.channel.write(b"question")
            server.take_from(client)
    pump(server, client)
    assert again(front, client, context)


def test_the_ticket_costs_no_write_of_its_own(front: TlsFront) -> None:
    server, client = End(front), End(client_context(AUTHORITY, V13))
    server.take_from(client)
    client.take_from(server)
    client.channel.write(b"question")
    server.take_from(client)
    assert server.transport.data == b"", "it waits for the answer"
    assert server.session.data == b"question"


# Memory.


def bytes_at_a_time(end: End) -> list[int]:
    """Note how much lies in an end's BIOs after each step."""
    seen: list[int] = []
    channel = end.channel
    write, encrypt = channel._in_write, channel._out_read

    def incoming(data: bytes) -> int:
        done = write(data)
        seen.append(channel._incoming.pending)
        return done

    def outgoing() -> bytes:
        seen.append(channel._outgoing.pending)
        return encrypt()

    channel._in_write, channel._out_read = incoming, outgoing  # type: ignore[assignment]
    return seen


def test_a_bio_never_holds_much(pair: Pair) -> None:
    server, client = pair
    seen = bytes_at_a_time(server)
    client.channel.write(bytes(1_000_000))
    server.channel.write(bytes(1_000_000))
    pump(server, client)
    assert len(server.session.data) == len(client.session.data) == 1_000_000
    assert 16_000 < max(seen) < 50_000, "it would keep that memory for as long as it lives"
    assert (server.channel._incoming.pending, server.channel._outgoing.pending) == (0, 0)


def test_other_channels_may_read_while_a_session_takes_a_slice(pair: Pair) -> None:
    server, client = pair

    def overwrite(_: bytes) -> None:
        read_view()[:] = bytes(READ_SIZE)

    server.session.on_data = overwrite
    content = bytes(range(256)) * 600
    client.channel.write(content)
    server.take_from(client)
    assert server.session.data == content
    assert not server.transport.aborted


# What must not be said or heard any more.


def test_writes_after_the_end_go_nowhere(pair: Pair) -> None:
    server, client = pair
    client.channel.write(b"")
    server.channel.close()
    server.channel.write(b"late")
    server.channel.write_eof()
    client.take_from(server)
    assert client.session.data == b""
    assert not server.transport.ended
    server.channel.connection_lost(None)
    server.channel.write(b"later")
    assert server.session.told == ["lost None"]


def test_a_goodbye_for_nobody_closes(pair: Pair) -> None:
    server, client = pair
    client.channel.session = None
    server.channel.close()
    client.take_from(server)
    assert client.transport.closed
    assert not client.transport.aborted


def test_after_a_goodbye_the_answer_may_still_go_out(pair: Pair) -> None:
    server, client = pair
    client.channel.write(b"question")
    client.channel.write_eof()
    server.take_from(client)
    assert (server.session.data, server.session.told) == (b"question", ["eof"])
    assert server.channel.eof_received() is True, "the stream below ended too"
    server.channel.write(b"answer")
    server.channel.close()
    client.take_from(server)
    assert (client.session.data, client.session.told) == (b"answer", ["eof"])


def test_an_end_while_we_close_lets_the_loop_close(pair: Pair) -> None:
    server, client = pair
    client.channel.close()
    server.take_from(client)
    server.channel.close()
    assert server.channel.eof_received() is False


def test_closing_within_the_handshake_says_nothing(front: TlsFront) -> None:
    server = End(front)
    server.channel.close()
    assert (server.transport.closed, server.transport.data) == (True, b"")
    server.channel.connection_lost(None)
    assert [str(error) for error in server.failed] == ["closed during the handshake"]
