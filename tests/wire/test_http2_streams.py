import pytest

from proxy.wire.http2_events import Http2Error
from proxy.wire.http2_frames import DEFAULT_WINDOW, ErrorCode
from proxy.wire.http2_streams import INTAKE_WINDOW, TAKEN_WINDOW, Intake, Stream


def test_a_body_that_is_taken_gets_a_wide_window() -> None:
    stream = Stream(1, 10)
    assert stream.refill() == TAKEN_WINDOW - DEFAULT_WINDOW
    assert stream.refill() == 0
    stream.left -= TAKEN_WINDOW // 2 - 1
    assert stream.refill() == 0
    stream.left -= 1
    assert stream.refill() == TAKEN_WINDOW // 2


def test_who_is_paused_or_done_gets_none() -> None:
    stream = Stream(1, 10)
    stream.paused = True
    assert stream.refill() == 0
    stream.paused, stream.reading = False, False
    assert stream.refill() == 0


def test_the_connection_lets_again_what_was_taken() -> None:
    intake = Intake()
    let = INTAKE_WINDOW
    for _ in range(1000):
        intake.receive(16384)
        let += intake.refill() - 16384
        assert INTAKE_WINDOW // 2 <= let <= INTAKE_WINDOW
    assert not intake.choked


def test_the_connection_does_not_let_again_what_is_held() -> None:
    intake = Intake()
    streams = [Stream(number, 0) for number in range(4)]
    let = held = 0
    let = INTAKE_WINDOW
    while let >= 16384:
        stream = streams[held // 16384 % 4]
        intake.receive(16384)
        intake.hold(stream, 16384)
        held += 16384
        let += intake.refill() - 16384
    assert held == INTAKE_WINDOW
    assert intake.choked
    intake.release(streams[0])
    assert not streams[0].held
    let += intake.refill()
    assert let == INTAKE_WINDOW // 4
    with pytest.raises(Http2Error) as caught:
        intake.receive(let + 1)
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR


def test_what_little_may_be_sent_is_let_in_time() -> None:
    """However much is held, who sends what is allowed is always allowed something more."""
    intake = Intake()
    holder, flowing = Stream(1, 0), Stream(3, 0)
    most = INTAKE_WINDOW - 40_000
    intake.receive(most)
    intake.hold(holder, most)
    let = INTAKE_WINDOW - most + intake.refill()
    for _ in range(100):
        size = min(let, 16384)
        assert size > 0
        intake.receive(size)
        let += intake.refill() - size
    assert flowing.held == 0
