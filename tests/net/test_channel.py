import math

from proxy.net.channel import HIGH_WATER, Channel
from tests.fakes.transports import Listener, MemoryTransport, feed


def connected() -> tuple[Channel, MemoryTransport, Listener]:
    session, transport = Listener(), MemoryTransport()
    channel = Channel(session)
    channel.connection_made(transport)
    return channel, transport, session


def test_bytes_go_through() -> None:
    channel, transport, session = connected()
    feed(channel, b"in", 1)
    channel.write(b"out")
    assert (session.data, transport.read()) == (b"in", b"out")
    assert transport.limits == (HIGH_WATER, None)


def test_what_the_session_is_given_does_not_change_with_the_next_read() -> None:
    channel, _, session = connected()
    kept: list[bytes] = []
    session.on_data = kept.append
    feed(channel, b"first")
    feed(channel, b"second")
    assert kept == [b"first", b"second"]


def test_an_end_leaves_the_other_direction_open() -> None:
    channel, transport, session = connected()
    assert channel.eof_received() is True
    channel.write(b"last")
    assert session.told == ["eof"]
    assert transport.read() == b"last"


def test_without_a_session_nothing_is_taken() -> None:
    channel, transport = Channel(), MemoryTransport()
    channel.connection_made(transport)
    states = [channel.lost]
    feed(channel, b"who asked?")
    states.append(channel.lost)
    assert transport.aborted
    assert states == [False, True]
    other = Channel()
    other.connection_made(MemoryTransport())
    assert other.eof_received() is False
    assert other.lost


def test_the_session_hears_of_the_loss_once() -> None:
    channel, _, session = connected()
    channel.deadline = 5.0
    channel.connection_lost(None)
    channel.connection_lost(None)
    assert session.told == ["lost None"]
    assert channel.lost
    assert channel.deadline == math.inf
    channel.write(b"into nothing")
    channel.close()
    channel.pause_reading()


def test_pausing_and_resuming_are_done_once() -> None:
    channel, transport, _ = connected()
    channel.pause_reading()
    channel.pause_reading()
    assert (transport.reading, channel.reading_paused) == (False, True)
    channel.resume_reading()
    channel.resume_reading()
    assert (transport.reading, channel.reading_paused) == (True, False)
    channel.close()
    channel.pause_reading()
    assert transport.reading


def test_back_pressure_is_passed_on() -> None:
    channel, _, session = connected()
    channel.pause_writing()
    seen = [channel.writing_paused]
    channel.resume_writing()
    assert [*seen, channel.writing_paused] == [True, False]
    assert session.told == ["pause", "resume"]


def test_ways_to_close() -> None:
    channel, transport, _ = connected()
    channel.close()
    assert (transport.closed, transport.aborted) == (True, False)
    channel, transport, _ = connected()
    channel.cut()
    assert (transport.closed, transport.aborted) == (True, False)
    channel, transport, _ = connected()
    channel.abort()
    assert transport.aborted
    channel, transport, _ = connected()
    channel.reset()
    assert transport.aborted
    assert transport.options, "SO_LINGER makes the end a reset"


def test_a_deadline_is_told_once() -> None:
    channel, _, session = connected()
    channel.deadline = 3.0
    assert channel.expire(4.0)
    assert channel.deadline == math.inf
    assert session.told == ["deadline 4"]
    lonely, transport = Channel(), MemoryTransport()
    lonely.connection_made(transport)
    assert lonely.expire(4.0)
    assert transport.aborted


def test_a_peer_that_takes_nothing_has_stalled() -> None:
    channel, transport, _ = connected()
    assert not channel.check_stalled(100.0, 10.0)
    channel.write(b"12345")
    assert not channel.check_stalled(100.0, 10.0)
    assert not channel.check_stalled(109.0, 10.0)
    transport.data = b"1234"  # it took a byte
    assert not channel.check_stalled(111.0, 10.0)
    assert not channel.check_stalled(120.0, 10.0)
    assert channel.check_stalled(122.0, 10.0)
    transport.data = b""
    assert not channel.check_stalled(200.0, 10.0)
    channel.connection_lost(None)
    assert not channel.check_stalled(300.0, 10.0)
