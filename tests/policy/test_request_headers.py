import pytest

from proxy.policy.part import Part
from proxy.policy.request_headers import request_headers


def test_values_replace_and_none_removes() -> None:
    part = request_headers({"X-Env": "production", "Cookie": None})
    assert part.request_edit is not None
    block = b"x-env: test\r\nCookie: a=b\r\nAccept: */*\r\n"
    assert part.request_edit.apply(block) == b"Accept: */*\r\nX-Env: production\r\n"
    assert part == Part("request_headers", request_edit=part.request_edit)


def test_a_line_break_cannot_get_in() -> None:
    with pytest.raises(ValueError, match="not one header field"):
        request_headers({"X-Env": "a\r\nX-Admin: 1"})
