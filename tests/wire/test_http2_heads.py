"""Field sections: decoding, bounds, and a memory that must not lie."""

import pytest
from hpack import Encoder
from hypothesis import given, strategies as st

from proxy.errors import BadRequestError
from proxy.message.head import HeadLimits
from proxy.wire.http2_events import Http2Error
from proxy.wire.http2_heads import _MEMO_ENTRIES, HeadReader
from proxy.wire.http2_request import MalformedError, read_fields
from tests.fakes.http2_peer import GET, asking

PLAIN = bytes((0x82, 0x87, 0x84)) + b"\x01\x09localhost"
ADDS = b"\x40\x01x\x01"  # and a byte of a value
USES = PLAIN + b"\xbe"  # the newest entry


def block(reader: HeadReader, section: bytes) -> bytes:
    return reader.request(section, ended=True).block


def test_what_was_remembered_is_forgotten_when_trailers_change_the_table() -> None:
    reader = HeadReader(HeadLimits())
    assert block(reader, PLAIN + ADDS + b"1") == b"x: 1\r\n"
    assert [block(reader, USES) for _ in range(3)] == [b"x: 1\r\n"] * 3
    assert reader.fields(ADDS + b"2") == [(b"x", b"2")]
    assert block(reader, USES) == b"x: 2\r\n"


def test_a_new_size_in_trailers_changes_the_table_as_well() -> None:
    reader = HeadReader(HeadLimits())
    block(reader, PLAIN + ADDS + b"1")
    assert [block(reader, USES) for _ in range(3)] == [b"x: 1\r\n"] * 3
    reader.fields(b"\x20")
    with pytest.raises(Http2Error):
        block(reader, USES)


def test_a_size_that_is_set_and_set_back_empties_the_table() -> None:
    reader = HeadReader(HeadLimits())
    block(reader, PLAIN + ADDS + b"1")
    for _ in range(3):
        block(reader, USES)
    assert block(reader, b"\x20\x3f\xe1\x1f" + PLAIN) == b""
    with pytest.raises(Http2Error):
        block(reader, USES)
    with pytest.raises(Http2Error):  # 4097 is more than was agreed
        HeadReader(HeadLimits()).fields(b"\x3f\xe2\x1f")


def test_with_and_without_a_body_are_two_things() -> None:
    reader = HeadReader(HeadLimits())
    heads = [reader.request(PLAIN, ended=ended) for ended in (True, False) * 3]
    assert [head.has_body for head in heads] == [False, True] * 3
    assert heads[4] is heads[2]
    assert heads[5] is heads[3]


def test_the_memory_is_bounded() -> None:
    reader = HeadReader(HeadLimits())
    for number in range(100):
        section = PLAIN + b"\x00\x01x\x02%02d" % number
        for _ in range(3):
            block(reader, section)
    assert 0 < len(reader._memo) <= _MEMO_ENTRIES
    assert len(reader._seen) <= _MEMO_ENTRIES
    reader.forget()
    assert not reader._memo
    assert not reader._seen


def test_lines_of_fields_are_remembered_until_it_idles() -> None:
    reader = HeadReader(HeadLimits())
    for number in range(200):
        section = PLAIN + b"\x00\x01x\x03%03d" % number + b"\x00\x06accept\x03*/*"
        assert block(reader, section) == b"x: %03d\r\naccept: */*\r\n" % number
        assert (b"accept", b"*/*") in reader._known
    assert len(reader._known) <= 64
    with pytest.raises(MalformedError):  # a known field is a field that comes before a pseudo one
        block(reader, b"\x00\x06accept\x03*/*" + PLAIN)
    reader.forget()
    assert not reader._known


def test_what_is_long_is_not_remembered() -> None:
    reader = HeadReader(HeadLimits())
    long = PLAIN + b"\x00\x01x\x7f\x81\x0f" + b"y" * 2048
    block(reader, PLAIN + b"\x40\x01x\x7f\x81\x0f" + b"y" * 2048)
    unfolds = PLAIN + b"\xbe" * 3
    for _ in range(3):
        block(reader, long)
        block(reader, unfolds)
    assert not reader._memo


def test_crumbs_of_cookies_count_as_one_field() -> None:
    reader = HeadReader(HeadLimits(fields=10))
    encoder = Encoder()
    crumbs = [("cookie", f"c{number}=1") for number in range(60)]
    others = [(f"x-{number}", "1") for number in range(9)]
    section = bytes(encoder.encode([*GET, *others, *crumbs]))
    assert reader.request(section, ended=True).block.count(b"; ") == 59
    section = bytes(encoder.encode([*GET, *others, ("x", "1"), *crumbs]))
    with pytest.raises(BadRequestError) as caught:
        reader.request(section, ended=True)
    assert caught.value.status == 431


def test_secrets_of_broken_sections_are_not_told() -> None:
    with pytest.raises(Http2Error) as caught:
        HeadReader(HeadLimits()).fields(b"\x00\x06cookie\x7fsecret")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


NAMES = st.sampled_from(["x", "y", "cookie", "accept-language"])
REQUESTS = st.lists(
    st.tuples(
        st.dictionaries(NAMES, st.sampled_from(["1", "2", "a" * 50, "b" * 1500])),
        st.booleans(),  # with trailers behind it
        st.sampled_from([None, None, None, 0, 100, 4096]),
    ),
    max_size=40,
)


@given(REQUESTS, st.sampled_from([4096, 200]))
def test_the_memory_never_lies(
    requests: list[tuple[dict[str, str], bool, int | None]], size: int
) -> None:
    """What is read with a memory is what is read without one, whatever the encoder does."""
    encoder = Encoder()
    encoder.header_table_size = size
    reader = HeadReader(HeadLimits())
    for fields, trailed, resize in requests:
        if resize is not None:
            encoder.header_table_size = resize
        wanted = asking("/", **{name.replace("-", "_"): text for name, text in fields.items()})
        raw = [(name.encode(), text.encode()) for name, text in wanted]
        expected = read_fields(raw, ended=True)
        head = reader.request(bytes(encoder.encode(wanted)), ended=True)
        assert (head.block, head.authority) == (expected.block, expected.authority)
        if trailed:
            trailers = [("x-sum", f"{len(fields)}")]
            told = reader.fields(bytes(encoder.encode(trailers)))
            assert [(name.decode(), text.decode()) for name, text in told] == trailers
