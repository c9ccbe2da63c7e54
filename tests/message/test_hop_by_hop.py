import pytest

from proxy.message.hop_by_hop import (
    FORWARDING,
    REQUEST_FIELDS,
    RESPONSE_FIELDS,
    forwardable_trailers,
    is_forwarding,
)


def test_names_are_written_once_and_in_lower_case() -> None:
    for names in (REQUEST_FIELDS, RESPONSE_FIELDS):
        assert len(set(names)) == len(names)
        assert all(name == name.lower() for name in names)


@pytest.mark.parametrize(
    "name", ["connection", "keep-alive", "te", "transfer-encoding", "upgrade", "proxy-connection"]
)
def test_what_belongs_to_one_connection(name: str) -> None:
    """RFC 9110, 7.6.1."""
    assert name in REQUEST_FIELDS
    assert name in RESPONSE_FIELDS


def test_what_tells_of_the_client() -> None:
    for name in (*FORWARDING, "x-forwarded-for", "x-forwarded-anything"):
        assert is_forwarding(name.encode())
    for name in ("x-forwarded", "forwarded-x", "x-client", "client-certificate", "via"):
        assert not is_forwarding(name.encode())


def test_trailers_that_may_be_forwarded() -> None:
    block = b"grpc-status: 0\r\nX-Checksum: abc: def\r\nETag: x\r\n"
    assert forwardable_trailers(block) == block
    assert forwardable_trailers(b"") == b""


@pytest.mark.parametrize(
    "name",
    [*FORWARDING, "X-Forwarded-User", "X-Client-IP", "Host", "Content-Length",
     "TRANSFER-ENCODING", "authorization", "Cookie", "Content-Type", "trailer",
     "x_forwarded_for", "X_Own"],
)  # fmt: skip
def test_trailers_that_must_not(name: str) -> None:
    line = name.encode() + b": spoofed\r\n"
    assert forwardable_trailers(b"X-A: 1\r\n" + line + b"X-B: 2\r\n") == b"X-A: 1\r\nX-B: 2\r\n"
