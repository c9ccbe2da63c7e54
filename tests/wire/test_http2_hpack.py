"""Our reading half of HPACK beside the library's."""

import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import event, given, strategies as st

from proxy.wire.http2_hpack import (
    TABLE_SIZE,
    Field,
    SectionDecoder,
    SectionError,
    SectionTooLargeError,
    unfold,
)

huffman = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
NAMES = st.sampled_from([b":path", b"cookie", b"x", b"accept", b"etag"]) | st.binary(max_size=20)
FIELDS = st.lists(
    st.tuples(NAMES, st.binary(max_size=200) | st.just(b"y" * 1500), st.booleans()), max_size=12
)
# Sections byte by byte, most of them close to well-formed.
LITERALS = st.tuples(
    st.sampled_from([b"\x00", b"\x10", b"\x40"]), st.binary(max_size=5), st.binary(max_size=5)
).map(lambda made: made[0] + bytes((len(made[1]),)) + made[1] + bytes((len(made[2]),)) + made[2])
PARTS = st.one_of(
    LITERALS,
    LITERALS,
    st.integers(0x80, 0xFF).map(lambda byte: bytes((byte,))),
    st.integers(0xBE, 0xC8).map(lambda byte: bytes((byte,))),
    st.sampled_from([b"\x20", b"\x3f\xe1\x1f", b"\x3f\xe2\x1f", b"\x3f\x09", b"\xff\x80\x00"]),
    st.tuples(st.integers(0x41, 0x7F), st.binary(max_size=6)).map(
        lambda made: bytes((made[0], 0x80 | len(made[1]))) + made[1]
    ),
    st.binary(max_size=4),
)
SECTIONS = st.lists(st.lists(PARTS, max_size=6).map(b"".join), max_size=6)


def library() -> Decoder:
    return Decoder(max_header_list_size=20_000)


def read_by(decoder: Decoder, section: bytes) -> list[Field] | None:
    try:
        return [(bytes(name), bytes(value)) for name, value in decoder.decode(section, raw=True)]
    except HPACKError:
        return None


STRICTER = ("a new size of the table out of place", "an integer without end")
"""Where we refuse what the library takes."""


def ours(decoder: SectionDecoder, section: bytes) -> tuple[list[Field] | None, str]:
    try:
        return decoder.decode(section), ""
    except SectionError as error:
        return None, str(error)


@given(st.lists(st.tuples(FIELDS, st.sampled_from([None, None, 0, 100, TABLE_SIZE])), max_size=8))
def test_what_the_library_writes_is_read(
    sections: list[tuple[list[tuple[bytes, bytes, bool]], int | None]],
) -> None:
    encoder, decoder = Encoder(), SectionDecoder(1 << 20)
    for number, (fields, size) in enumerate(sections):
        if size is not None:
            encoder.header_table_size = size
        section = bytes(encoder.encode(fields, huffman=bool(number % 2)))
        assert decoder.decode(section) == [(name, value) for name, value, _ in fields]


@given(SECTIONS)
def test_what_is_read_is_what_the_library_reads(sections: list[bytes]) -> None:
    other, decoder = library(), SectionDecoder(20_000)
    for section in sections:
        expected = read_by(other, section)
        fields, refused = ours(decoder, section)
        if fields is None:
            event(refused)
            assert expected is None or refused in STRICTER
            return
        event("read")
        assert fields == expected
        assert decoder._entries[::-1] == list(other.header_table.dynamic_entries)
        assert decoder._size == other.header_table._current_size <= decoder._table_size


@given(st.binary(max_size=60))
def test_whatever_is_folded_is_unfolded(data: bytes) -> None:
    assert unfold(huffman.encode(data)) == data


@given(st.binary(max_size=8))
def test_noise_is_unfolded_as_the_library_does(data: bytes) -> None:
    section = b"\x00\x00" + bytes((0x80 | len(data),)) + data
    expected = read_by(library(), section)
    try:
        assert expected == [(b"", unfold(data))]
    except SectionError:
        assert expected is None


@pytest.mark.parametrize(
    "section",
    [
        b"\x80", b"\xff", b"\xff\xff\xff\xff\xff\x7f", b"\xbe", b"\x00", b"\x00\x01", b"\x00\x01x",
        b"\x00\x01x\x02y", b"\x0f", b"\x3f\xe2\x1f", b"\x20\x20\x20", b"\x82\x20", b"\x7f\xff",
        b"\x00\x00\x81\xfe", b"\x00\x00\x84\xff\xff\xff\xff", b"\x00\x00\x82\x1f\xff",
        b"\x00\x01x\x7f\xff\xff\xff\x07",
    ],
)  # fmt: skip
def test_broken_sections(section: bytes) -> None:
    with pytest.raises(SectionError):
        SectionDecoder(1000).decode(section)


def test_what_unfolds_to_too_much() -> None:
    decoder = SectionDecoder(1000)
    decoder.decode(b"\x40\x01x\x7f\x49" + b"y" * 200)
    assert len(decoder.decode(b"\xbe" * 4)) == 4
    with pytest.raises(SectionTooLargeError):
        decoder.decode(b"\xbe" * 5)


def test_an_entry_too_large_for_the_table_empties_it() -> None:
    decoder = SectionDecoder(100_000)
    decoder.decode(b"\x40\x01x\x01y")
    assert decoder.decode(b"\x40\x01x\x7f\x81\x3f" + b"y" * 8192)[0][0] == b"x"
    with pytest.raises(SectionError):
        decoder.decode(b"\xbe")


def test_changes_are_counted() -> None:
    decoder = SectionDecoder(1000)
    counts = []
    for section in (b"\x82", b"\x00\x01x\x01y", b"\x40\x01x\x01y", b"\xbe", b"\x20", b"\x82"):
        decoder.decode(section)
        counts.append(decoder.changes)
    assert counts == [0, 0, 1, 1, 2, 2]
