"""Frames, as another implementation (`hyperframe`, of the h2 library) reads them."""

import pytest
from hyperframe import frame as other

from proxy.wire import http2_frames as frames


def parsed(data: bytes) -> list[other.Frame]:
    found = []
    while data:
        frame, length = other.Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        found.append(frame)
        data = data[9 + length :]
    return found


def test_settings() -> None:
    made = frames.settings({frames.MAX_CONCURRENT_STREAMS: 128, frames.INITIAL_WINDOW_SIZE: 7})
    (frame,) = parsed(made)
    assert isinstance(frame, other.SettingsFrame)
    assert frame.settings == {3: 128, 4: 7}
    assert frames.read_settings(made[9:]) == [(3, 128), (4, 7)]
    assert "ACK" in parsed(frames.SETTINGS_ACK)[0].flags


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("size", [0, 99, 100, 101, 200, 250])
def test_sections_of_every_length(size: int, end: bool) -> None:  # noqa: FBT001 - a parameter
    section = bytes(range(size))
    found = parsed(frames.headers(5, section, end=end, frame_size=100))
    assert b"".join(frame.data for frame in found) == section  # type: ignore[attr-defined]
    assert [type(frame) for frame in found[1:]] == [other.ContinuationFrame] * (len(found) - 1)
    assert ["END_HEADERS" in frame.flags for frame in found] == [False] * (len(found) - 1) + [True]
    assert ("END_STREAM" in found[0].flags) is end
    assert all(frame.stream_id == 5 and len(frame.data) <= 100 for frame in found)  # type: ignore[attr-defined]


def test_short_frames() -> None:
    made = (
        frames.rst_stream(3, frames.ErrorCode.CANCEL)
        + frames.window_update(0, 2**31 - 1)
        + frames.goaway(7, frames.ErrorCode.ENHANCE_YOUR_CALM, b"why")
        + frames.frame_header(70_000, frames.DATA, frames.END_STREAM, 9)
    )
    reset, window, goaway = parsed(made[:-9])
    assert isinstance(reset, other.RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (3, 8)
    assert isinstance(window, other.WindowUpdateFrame)
    assert (window.stream_id, window.window_increment) == (0, 2**31 - 1)
    assert isinstance(goaway, other.GoAwayFrame)
    assert (goaway.last_stream_id, goaway.error_code, goaway.additional_data) == (7, 11, b"why")
    last, length = other.Frame.parse_frame_header(memoryview(made[-9:]))
    assert (length, last.stream_id, "END_STREAM" in last.flags) == (70_000, 9, True)
