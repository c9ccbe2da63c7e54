"""From bytes to frames, in whatever pieces they come."""

import pytest

from proxy.wire import http2_frames as frames
from proxy.wire.http2_events import Http2Error
from proxy.wire.http2_frames import ErrorCode
from proxy.wire.http2_framing import Frame, FrameReader, unpadded

HELLO = frames.PREFACE + frames.settings({})
PING = frames.frame(frames.PING, 0, 0, b"12345678")


def read(*pieces: bytes, longest: int = 1000) -> list[Frame]:
    reader = FrameReader(longest)
    return [frame for piece in (HELLO, *pieces) for frame in reader.receive(piece)][1:]


def refused(*pieces: bytes, longest: int = 1000) -> ErrorCode:
    with pytest.raises(Http2Error) as caught:
        read(*pieces, longest=longest)
    return caught.value.code


def test_byte_by_byte_and_at_once() -> None:
    data = (
        PING
        + frames.frame(frames.DATA, frames.END_STREAM, 1, b"hello")
        + frames.headers(0x80000003, b"section", end=True, frame_size=3)  # the high bit is nobody's
        + frames.frame(0x77, 5, 9, b"?")
    )
    expected = [
        (frames.PING, 0, 0, b"12345678"),
        (frames.DATA, 1, 1, b"hello"),
        (frames.HEADERS, frames.END_STREAM, 3, b"section"),
        (0x77, 5, 9, b"?"),
    ]
    assert read(data) == expected
    assert read(*[bytes((byte,)) for byte in data]) == expected


def test_it_says_when_it_is_midway() -> None:
    reader = FrameReader(1000)
    for piece, midway in [
        (b"", True), (HELLO[:30], True), (HELLO[30:], False), (PING[:5], True), (PING[5:], False),
        (frames.frame(frames.HEADERS, 0, 1, b""), True),
        (frames.frame(frames.CONTINUATION, 4, 1, b""), False),
    ]:  # fmt: skip
        list(reader.receive(piece))
        assert reader.midway is midway


@pytest.mark.parametrize("cut", range(len(HELLO) - 9 + 1))
def test_a_wrong_preface_is_refused_at_its_first_wrong_byte(cut: int) -> None:
    reader = FrameReader(1000)
    wrong = bytearray(HELLO)
    list(reader.receive(bytes(wrong[:cut])))
    wrong[cut] ^= 0x20
    if cut < len(frames.PREFACE):
        with pytest.raises(Http2Error, match="preface"):
            list(reader.receive(bytes(wrong[cut : cut + 1])))


def test_a_section_is_bounded_in_frames_and_in_bytes() -> None:
    begun = frames.frame(frames.HEADERS, 0, 1, b"x")
    crumb = frames.frame(frames.CONTINUATION, 0, 1, b"")
    assert read(begun, crumb * 15) == []
    assert refused(begun, crumb * 16) is ErrorCode.ENHANCE_YOUR_CALM
    piece = frames.frame(frames.CONTINUATION, 0, 1, bytes(500))
    assert read(begun, piece) == []
    assert refused(begun, piece * 2) is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "between", [PING, frames.frame(frames.DATA, 0, 1, b""), frames.headers(1, b"", end=True)]
)
def test_nothing_comes_in_between(between: bytes) -> None:
    begun = frames.frame(frames.HEADERS, 0, 1, b"")
    assert refused(begun, between) is ErrorCode.PROTOCOL_ERROR


def test_the_largest_frame() -> None:
    assert len(read(frames.frame(frames.DATA, 0, 1, bytes(16384)))[0][3]) == 16384
    assert refused(frames.frame_header(16385, frames.DATA, 0, 1)) is ErrorCode.FRAME_SIZE_ERROR


def test_padding() -> None:
    assert unpadded(0, b"\5hello") == b"\5hello"
    assert unpadded(frames.PADDED, b"\0hello") == b"hello"
    assert unpadded(frames.PADDED, b"\2hello12") == b"hello"
    assert unpadded(frames.PADDED, b"\5hello") == b""
    for payload in (b"", b"\6hello", b"\1"):
        with pytest.raises(Http2Error):
            unpadded(frames.PADDED, payload)
