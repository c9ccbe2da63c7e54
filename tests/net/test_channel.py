import asyncio
import math
import os
import socket

import pytest

from proxy.net.channel import HIGH_WATER, Channel
from tests.fakes.transports import Listener, MemoryTransport, feed
from tests.fakes.wires import on_uvloop, until


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


def test_a_deadline_may_be_set_anew() -> None:
    class Patient(Listener):
        def deadline_passed(self, now: float) -> bool:
            channel.deadline = now + 10.0
            return False

    channel = Channel(Patient())
    channel.connection_made(MemoryTransport())
    assert not channel.expire(6.0)
    assert channel.deadline == 16.0


def test_other_bytes_of_the_same_number_are_progress() -> None:
    channel, transport, _ = connected()
    transport.data = b"1234"
    assert not channel.check_stalled(10.0, 10.0)
    transport.data = b""
    assert not channel.check_stalled(15.0, 10.0)
    transport.data = b"5678"
    assert not channel.check_stalled(19.0, 10.0)
    assert not channel.check_stalled(29.0, 10.0)
    assert channel.check_stalled(29.1, 10.0)


def test_every_pause_begins_a_new_measure() -> None:
    channel, transport, _ = connected()
    transport.data = b"1234"
    assert not channel.check_stalled(10.0, 10.0)
    channel.pause_writing()
    assert not channel.check_stalled(100.0, 10.0)
    assert channel.check_stalled(111.0, 10.0)


def test_who_was_slow_once_is_measured_anew_when_it_closes() -> None:
    channel, transport, _ = connected()
    channel.pause_writing()
    transport.data = bytes(40_000)
    assert not channel.check_stalled(10.0, 10.0, 30_000.0)
    channel.resume_writing()
    transport.data = bytes(20_000)  # the last of an answer, long afterwards
    channel.close()
    assert not channel.check_stalled(100.0, 10.0, 30_000.0)
    assert channel.check_stalled(111.0, 10.0, 30_000.0)


def test_closing_is_done_once_and_may_turn_into_an_abort() -> None:
    channel, transport, _ = connected()
    channel.close()
    transport.closed = False
    channel.close()
    channel.write_eof()
    assert (transport.closed, transport.ended) == (False, False)
    channel.abort()
    assert transport.aborted


def test_what_is_not_connected_or_not_any_more_is_lost() -> None:
    fresh = Channel()
    gone, transport, session = connected()
    gone.connection_lost(None)
    for channel in (fresh, gone):
        assert channel.lost
        channel.write_eof()
        channel.resume_reading()
        channel.abort()
        channel.cut()
        channel.reset()
    assert (transport.ended, transport.closed) == (False, False)
    assert session.told == ["lost None"]


def test_what_the_loop_closes_is_lost_before_it_is_told() -> None:
    channel, transport, _ = connected()
    seen = [channel.lost]
    transport.close()
    assert [*seen, channel.lost, channel.closing] == [False, True, False]


# Over real sockets.


async def loopback() -> tuple[Channel, Listener, socket.socket]:
    session = Listener()
    channel = Channel(session)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: channel, *listening.getsockname())
        peer, _ = listening.accept()
    peer.settimeout(0)
    return channel, session, peer


@on_uvloop
async def test_a_reset_cannot_be_taken_for_an_end() -> None:
    channel, session, peer = await loopback()
    with peer:
        channel.reset()
        await until(lambda: session.told)
        with pytest.raises(ConnectionResetError):
            await asyncio.get_running_loop().sock_recv(peer, 10)


@on_uvloop
async def test_a_unix_socket_knows_no_reset_and_is_aborted() -> None:
    ours, theirs = socket.socketpair()
    session = Listener()
    channel = Channel(session)
    with theirs:
        await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=ours)
        channel.reset()
        await until(lambda: session.told)
        assert theirs.recv(1) == b""


@pytest.mark.parametrize("how", ["close", "cut"])
@on_uvloop
async def test_what_was_written_goes_out_before_the_end(how: str) -> None:
    content = os.urandom(8 << 20)
    channel, session, peer = await loopback()
    with peer:
        channel.write(content)
        assert channel.writing_paused
        getattr(channel, how)()
        got = bytearray()
        while data := await asyncio.get_running_loop().sock_recv(peer, 1 << 20):
            got += data
        assert got == content
        await until(lambda: "lost None" in session.told)


@on_uvloop
async def test_a_reader_that_catches_up_is_told() -> None:
    channel, session, peer = await loopback()
    with peer:
        channel.write(bytes(8 << 20))
        while "resume" not in session.told:
            await asyncio.get_running_loop().sock_recv(peer, 1 << 20)
        assert session.told == ["pause", "resume"]
        channel.abort()
        await until(lambda: session.told[2:])


@on_uvloop
async def test_a_paused_channel_leaves_its_bytes_to_the_system() -> None:
    channel, session, peer = await loopback()
    with peer:
        channel.pause_reading()
        peer.send(b"later")
        for _ in range(20):
            await asyncio.sleep(0)
        seen = [session.data]
        channel.resume_reading()
        await until(lambda: session.data)
        assert [*seen, session.data] == [b"", b"later"]
        channel.abort()
        await until(lambda: session.told)
