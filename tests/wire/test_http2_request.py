"""What an HTTP/2 request means in HTTP/1.1's terms; the machine's test has what is malformed."""

import pytest

from proxy.errors import BadRequestError
from proxy.message.head import RequestHead
from proxy.wire.http2_hpack import Field
from proxy.wire.http2_request import MalformedError, read_fields, read_trailers

GET = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"a.example"),
    (b":path", b"/"),
]


def read(
    *more: Field,
    ended: bool = True,
    method: bytes = b"GET",
    scheme: bytes = b"https",
    authority: bytes = b"a.example",
    path: bytes = b"/",
) -> RequestHead:
    """Read a request."""
    values = (method, scheme, authority, path)
    fields = [(name, value) for (name, _), value in zip(GET, values, strict=True)]
    return read_fields([*fields, *more], ended=ended)


def test_a_request() -> None:
    head = read((b"accept", b"*/*"), (b"x", b""), path=b"/a?b")
    assert (head.method, head.target, head.path) == ("GET", "/a?b", "/a")
    assert (head.host, head.authority, head.version) == ("a.example", "a.example", "HTTP/2.0")
    assert head.block == b"accept: */*\r\nx: \r\n"
    assert not head.has_body


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_in_every_place(byte: int) -> None:
    """A value with a line break or a target with a space gets nowhere near a line."""
    one = bytes((byte,))
    usual = [value for _, value in GET]
    for place in range(4):
        values = usual.copy()
        values[place] = values[place][:2] + one + values[place][2:]
        method, scheme, authority, path = values
        try:
            head = read(method=method, scheme=scheme, authority=authority, path=path)
        except (MalformedError, BadRequestError):
            continue
        assert "!" <= chr(byte) <= "~"
        assert (head.method.encode(), head.target.encode()) == (method, path)
        assert head.authority.encode() == authority
        assert (head.block, scheme) == (b"", b"https")
    for field in ((b"x%bx" % one, b"y"), (b"x", b"y%by" % one)):
        try:
            head = read(field)
        except MalformedError:
            continue
        assert head.block in (b"%b: %b\r\n" % field, b"")
        assert byte not in b"\r\n\0"
        assert bool(head.block) is (b"_" not in field[0])


@pytest.mark.parametrize(
    "path",
    [b"http://b.example/", b"//b.example/", b"/ HTTP/1.1\r\nX: y", b"*", b"/%00", b"/#x", b""],
)
def test_odd_targets(path: bytes) -> None:
    if path == b"//b.example/":
        assert (read(path=path).path, read(path=path).host) == ("/b.example/", "a.example")
        return
    with pytest.raises((MalformedError, BadRequestError)):
        read(path=path)


def test_asterisk() -> None:
    assert read(method=b"OPTIONS", path=b"*").target == "*"


@pytest.mark.parametrize(
    "authority", [b"", b"user@a.example", b"a.example:0", b"a b", b"a/b", b"["]
)
def test_odd_authorities(authority: bytes) -> None:
    with pytest.raises((MalformedError, BadRequestError)):
        read(authority=authority)


@pytest.mark.parametrize("host", [b"", b"b.example", b"a.example:443"])
def test_a_host_that_says_something_else(host: bytes) -> None:
    with pytest.raises(MalformedError):
        read((b"host", host))
    assert read((b"host", b"A.EXAMPLE")).block == b""


def test_an_empty_host_is_a_field_all_the_same() -> None:
    with pytest.raises(MalformedError):
        read_fields([(b"host", b""), *GET], ended=True)
    with pytest.raises(MalformedError):
        read((b"host", b""), (b"host", b"a.example"))
    with pytest.raises(MalformedError):
        read_fields([GET[0], GET[1], GET[3], (b"host", b"")], ended=True)


def test_bodies() -> None:
    unknown = read(ended=False)
    assert (unknown.chunked, unknown.content_length) == (True, None)
    known = read((b"content-length", b"5"), ended=False)
    assert (known.chunked, known.content_length) == (False, 5)
    empty = read((b"content-length", b"0"))
    assert (empty.has_body, empty.content_length) == (False, 0)
    for wrong in (b"5, 5", b"+5", b"0x5", b" 5", b"5 ", b"", b"9" * 19):
        with pytest.raises(MalformedError):
            read((b"content-length", wrong), ended=False)


def test_an_expectation_is_one_only_with_a_body() -> None:
    expect = (b"expect", b"100-Continue")
    assert read(expect, ended=False).expect_continue
    assert read(expect, (b"content-length", b"5"), ended=False).expect_continue
    assert not read(expect).expect_continue
    assert read(expect, ended=False).block == b""
    with pytest.raises(BadRequestError):
        read((b"expect", b"100-continued"), ended=False)


def test_te() -> None:
    assert read((b"te", b"Trailers")).te_trailers
    assert read((b"te", b"trailers")).block == b""
    with pytest.raises(MalformedError):
        read((b"te", b"trailers, gzip"))


def test_forwarding_fields_are_apart() -> None:
    head = read((b"x-forwarded-for", b"1"), (b"x_forwarded_for", b"2"), (b"forwarded", b"for=3"))
    assert head.block == b""
    assert head.forwarding == b"x-forwarded-for: 1\r\nforwarded: for=3\r\n"


def test_trailers() -> None:
    fields = [(b"checksum", b"7"), (b"content-length", b"5"), (b"x_y", b"1"), (b"host", b"b")]
    assert read_trailers(fields) == b"checksum: 7\r\n"
    for field in (
        (b":path", b"/"), (b"Upper", b"1"), (b"x", b"a\r\nb: c"), (b"connection", b"close"),
        (b"transfer-encoding", b"chunked"),
    ):  # fmt: skip
        with pytest.raises(MalformedError):
            read_trailers([field])
