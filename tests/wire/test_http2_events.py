import pytest

from proxy.wire.http2_events import BodyReceived, Http2Error, WindowGrew
from proxy.wire.http2_frames import ErrorCode


def test_an_error_has_a_code_for_the_client_and_a_text_for_the_log() -> None:
    with pytest.raises(Http2Error, match="too many") as caught:
        raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many of them")
    assert (caught.value.code, caught.value.detail) == (11, "too many of them")


def test_events_are_equal_by_what_they_say() -> None:
    assert WindowGrew() == WindowGrew()
    assert BodyReceived(1, [b"x"]) != BodyReceived(3, [b"x"])
