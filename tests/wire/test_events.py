"""What machines tell beside heads and bytes."""

from proxy.wire.events import END, PAUSED, MessageEnd


def test_an_end_is_told_apart_by_its_trailers() -> None:
    assert MessageEnd() == END
    assert MessageEnd(b"A: b\r\n") == MessageEnd(b"A: b\r\n")
    assert MessageEnd(b"A: b\r\n") != END
    assert END != b""
    assert len({MessageEnd(), END, MessageEnd(b"A: b\r\n")}) == 2


def test_events_say_what_they_are() -> None:
    assert repr(MessageEnd(b"A: b\r\n")) == "MessageEnd(b'A: b\\r\\n')"
    assert PAUSED.value == "paused"
