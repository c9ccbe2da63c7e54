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


def test_a_head_with_other_fields_is_the_same_otherwise() -> None:
    head = ResponseHead(206, "Partly", b"A: b\r\n")
    values = {
        "content_length": 5, "chunked": True, "keep_alive": False, "keep_alive_timeout": 2.0,
        "upgrade": "x", "streaming": True, "dated": True,
    }  # fmt: skip
    for name, value in values.items():
        setattr(head, name, value)
    head.prepared = object()
    other = head.with_block(b"C: d\r\n")
    assert {name: getattr(other, name) for name in ResponseHead.__slots__} == {
        **values, "status": 206, "reason": "Partly", "block": b"C: d\r\n", "prepared": None,
    }  # fmt: skip
    assert head.block == b"A: b\r\n"
    defaults = ResponseHead(206, "Partly")
    assert not [name for name, value in values.items() if getattr(defaults, name) == value], (
        "each value has to differ from the default"
    )
