"""Answers' fields in HPACK, as the `hpack` library reads them."""

import pytest
from hpack import Decoder
from hpack.struct import NeverIndexedHeaderTuple
from hypothesis import given, strategies as st

from proxy.wire import http2_fields
from proxy.wire.http2_fields import encode_head, encode_trailers

NAMES = st.text("ABCabc-!", min_size=1, max_size=300).map(str.encode)
VALUES = st.binary(max_size=600).map(
    lambda raw: bytes(byte for byte in raw if byte not in b"\r\n\0").strip(b" \t")
)


def decoded(section: bytes) -> list[tuple[bytes, bytes]]:
    decoder = Decoder()
    fields = [(bytes(name), bytes(value)) for name, value in decoder.decode(section, raw=True)]
    assert not decoder.header_table.dynamic_entries
    return fields


@given(
    st.integers(100, 999),
    st.lists(st.tuples(NAMES, VALUES), max_size=10),
    st.none() | st.integers(0, 1 << 40),
)
def test_what_is_encoded_is_decoded(
    status: int, fields: list[tuple[bytes, bytes]], length: int | None
) -> None:
    block = b"".join(b"%b: %b\r\n" % field for field in fields)
    expected = [(b":status", b"%d" % status)]
    expected += [(name.lower(), value) for name, value in fields]
    if length is not None:
        expected.append((b"content-length", b"%d" % length))
    assert decoded(encode_head(status, block, length)) == expected
    assert decoded(encode_trailers(block)) == expected[1 : 1 + len(fields)]


@pytest.mark.parametrize("length", [0, 126, 127, 128, 254, 255, 16_511, 16_512, 40_000])
def test_lengths_of_every_size(length: int) -> None:
    value = b"v" * length
    assert decoded(encode_trailers(b"x:%b\r\n" % value)) == [(b"x", value)]


def test_statuses_that_have_an_index_take_one_byte() -> None:
    assert [len(encode_head(status, b"", None)) for status in (200, 204, 404, 500)] == [1] * 4


def test_secrets_are_marked_and_not_remembered() -> None:
    block = b"Set-Cookie: id=secret\r\nSET-COOKIE: id=other\r\nX-Common: y\r\n"
    before = http2_fields._remembered.cache_info().currsize
    section = encode_head(200, block, None)
    assert http2_fields._remembered.cache_info().currsize <= before + 1
    fields = Decoder().decode(section, raw=True)
    marked = [field[0] for field in fields if isinstance(field, NeverIndexedHeaderTuple)]
    assert marked == [b"set-cookie", b"set-cookie"]


def test_what_is_remembered_is_bounded() -> None:
    for number in range(http2_fields._MOST_LINES + 10):
        encode_head(200, b"ETag: %d\r\n" % number, None)
    assert http2_fields._remembered.cache_info().currsize == http2_fields._MOST_LINES
    before = http2_fields._remembered.cache_info().misses
    encode_head(200, b"X: %b\r\n" % (b"y" * 1000), None)
    assert http2_fields._remembered.cache_info().misses == before


def test_lines_that_may_hold_a_secret_are_not_remembered() -> None:
    block = b"Location: https://app.test/?code=%b\r\nSet-Cookie: id=%b\r\n"
    before = http2_fields._remembered.cache_info()
    for secret in (b"one", b"two"):
        encode_head(302, block % (secret, secret), None)
    assert http2_fields._remembered.cache_info() == before
    encode_head(302, b"X-Common: never seen before\r\n", None)
    assert http2_fields._remembered.cache_info() != before
