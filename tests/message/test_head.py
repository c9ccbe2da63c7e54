import pytest

from proxy.message.head import RequestHead, ResponseHead


@pytest.mark.parametrize(
    ("length", "chunked", "expected"),
    [(None, False, False), (0, False, False), (1, False, True), (None, True, True)],
)
def test_has_body(length: int | None, *, chunked: bool, expected: bool) -> None:
    head = RequestHead("POST", "/", "HTTP/1.1")
    head.content_length = length
    head.chunked = chunked
    assert head.has_body is expected


def test_heads_take_no_other_attributes() -> None:
    for head in (RequestHead("GET", "/", "HTTP/1.1"), ResponseHead(200, "OK")):
        with pytest.raises(AttributeError):
            head.surprise = 1  # type: ignore[union-attr]


def test_what_a_head_shows_of_itself_has_no_field() -> None:
    request = RequestHead("GET", "/a?b", "HTTP/2.0")
    request.authority = "h"
    request.block = b"Cookie: secret\r\n"
    assert repr(request) == "<RequestHead GET h/a?b HTTP/2.0>"
    assert repr(ResponseHead(204, "No Content", b"Set-Cookie: secret\r\n")) == (
        "<ResponseHead 204 No Content>"
    )
