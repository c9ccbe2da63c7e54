"""The half that speaks; what it says is read by a peer in the machine's own test."""

from proxy.wire import http2_frames as frames
from proxy.wire.http2_frames import ErrorCode
from proxy.wire.http2_sending import Http2Sending
from proxy.wire.http2_streams import INTAKE_WINDOW, Stream


def sending(*numbers: int) -> Http2Sending:
    machine = Http2Sending(frames.settings({}), 0.0)
    for number in numbers:
        machine.streams[number] = Stream(number, 100)
        machine.last_stream = number
    machine.take_output()
    return machine


def test_the_first_output_is_there_at_once() -> None:
    machine = Http2Sending(b"settings", 0.0)
    assert machine.take_output() == b"settings" + frames.window_update(0, INTAKE_WINDOW - 65_535)
    assert machine.take_output() == b""


def test_nothing_is_sent_on_a_stream_that_is_gone() -> None:
    machine = sending(1)
    stream = machine.streams[1]
    assert machine.reset(1, ErrorCode.CANCEL) == frames.rst_stream(1, ErrorCode.CANCEL)
    window = machine.window
    assert machine.headers(1, b"\x88", end=False) == b""
    assert machine.data(stream, b"late", end=True) == b""
    assert machine.reset(1, ErrorCode.CANCEL) == b""
    assert machine.window == window
    machine.pause(1)
    machine.resume(1)
    assert machine.take_output() == b""


def test_a_stream_ends_when_both_sides_have() -> None:
    machine = sending(1, 3)
    one, other = machine.streams[1], machine.streams[3]
    one.reading = False
    assert machine.data(one, b"x", end=True) == frames.frame(frames.DATA, 1, 1, b"x")
    assert machine.data(other, b"", end=True) == (
        frames.frame(frames.DATA, 1, 3, b"") + frames.rst_stream(3, ErrorCode.NO_ERROR)
    )
    assert not machine.streams


def test_views_are_as_good_as_bytes() -> None:
    machine = sending(1)
    made = machine.data(machine.streams[1], memoryview(b"hello")[1:3], end=False)
    assert made == frames.frame(frames.DATA, 0, 1, b"el")


def test_room() -> None:
    machine = sending(1)
    stream = machine.streams[1]
    assert machine.room(stream) == 100
    stream.window = -5
    assert machine.room(stream) == 0
    stream.window, machine.window = 1 << 20, 1 << 20
    assert machine.room(stream) == 16384


def test_what_goaway_says_never_rises() -> None:
    machine = sending(1, 3)
    soft = machine.goaway(ErrorCode.NO_ERROR, last=frames.HIGHEST_STREAM)
    assert int.from_bytes(soft[9:13]) == frames.HIGHEST_STREAM
    assert int.from_bytes(machine.goaway(ErrorCode.NO_ERROR)[9:13]) == 3
    machine.last_stream = 7
    told = machine.goaway(ErrorCode.PROTOCOL_ERROR, debug="why")
    assert (int.from_bytes(told[9:13]), told[17:]) == (3, b"why")


def test_what_a_lost_stream_held_is_let_again() -> None:
    machine = sending(1)
    stream = machine.streams[1]
    machine.pause(1)
    size = INTAKE_WINDOW - 1000
    machine._intake.receive(size)
    machine._intake.hold(stream, size)
    before = machine.choked
    machine.reset(1, ErrorCode.CANCEL)
    assert (before, machine.choked) == (True, False)
    assert machine.take_output() == frames.window_update(0, size)
