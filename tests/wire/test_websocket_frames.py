from wsproto.frame_protocol import FrameProtocol, Opcode

from proxy.wire.websocket_frames import CloseReason, close_frame, ping_frame
from tests.fakes.websocket_frames import closing, frame, read_masked


def test_a_close_frame_for_a_client() -> None:
    made = close_frame(CloseReason.GOING_AWAY, "going", masked=False)
    assert made == closing(1001, "going")


def test_a_close_frame_for_a_server_is_masked_each_time_by_another_key() -> None:
    made = {close_frame(CloseReason.INTERNAL_ERROR, "lost", masked=True) for _ in range(8)}
    assert len(made) > 1
    assert {read_masked(one) for one in made} == {(8, (1011).to_bytes(2) + b"lost")}


def test_a_reason_has_room_for_123_bytes() -> None:
    made = close_frame(CloseReason.GOING_AWAY, "\u00e4" * 100, masked=False)
    assert made == closing(1001, "\u00e4" * 61)


def test_a_ping() -> None:
    assert ping_frame(b"12345678", masked=False) == frame(9, b"12345678")
    assert read_masked(ping_frame(b"12345678", masked=True)) == (9, b"12345678")


def test_the_frames_of_these_tests_are_what_others_write() -> None:
    for size in (0, 125, 126, 65_535, 65_536):
        for fin in (True, False):
            theirs = FrameProtocol(client=False, extensions=[]).send_data(bytes(size), fin=fin)
            assert frame(Opcode.BINARY, bytes(size), fin=fin) == theirs
