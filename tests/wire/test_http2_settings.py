import pytest

from proxy.message.head import HeadLimits
from proxy.wire import http2_frames as frames
from proxy.wire.http2_events import Http2Error
from proxy.wire.http2_frames import ErrorCode
from proxy.wire.http2_settings import MOST_STREAMS, ClientSettings, own_settings


def payload(*settings: tuple[int, int]) -> bytes:
    return b"".join(frames.settings({name: value})[9:] for name, value in settings)


def test_ours() -> None:
    told = dict(frames.read_settings(own_settings(HeadLimits(size=5000))[9:]))
    assert told == {
        frames.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
        frames.MAX_HEADER_LIST_SIZE: 5000,
        frames.ENABLE_CONNECT_PROTOCOL: 1,
        frames.NO_RFC7540_PRIORITIES: 1,
    }


def test_windows_grow_and_shrink() -> None:
    settings = ClientSettings()
    window = frames.INITIAL_WINDOW_SIZE
    assert settings.take(payload((window, 65_535 + 10))) == 10
    assert settings.take(payload((window, 5), (99, 7), (window, 0))) == -65_545
    assert settings.take(b"") == 0
    assert settings.initial_window == 0


def test_a_new_size_of_the_table_is_noted() -> None:
    settings = ClientSettings()
    settings.take(payload((frames.HEADER_TABLE_SIZE, 0)))
    assert settings.shrink_table


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (b"12345", ErrorCode.FRAME_SIZE_ERROR),
        (payload((frames.INITIAL_WINDOW_SIZE, 2**31)), ErrorCode.FLOW_CONTROL_ERROR),
        (payload((frames.MAX_FRAME_SIZE, 16383)), ErrorCode.PROTOCOL_ERROR),
        (payload((frames.MAX_FRAME_SIZE, 1 << 24)), ErrorCode.PROTOCOL_ERROR),
        (payload((frames.ENABLE_PUSH, 2)), ErrorCode.PROTOCOL_ERROR),
        (payload(*[(frames.INITIAL_WINDOW_SIZE, 1)] * 33), ErrorCode.ENHANCE_YOUR_CALM),
    ],
)
def test_what_nobody_may_set(wrong: bytes, code: ErrorCode) -> None:
    with pytest.raises(Http2Error) as caught:
        ClientSettings().take(wrong)
    assert caught.value.code is code
