import pytest
from hypothesis import given, strategies as st

from proxy.message.ranges import ByteRange, multipart, parse_ranges, unsatisfied


def spans(value: str, size: int = 1000) -> list[tuple[int, int]] | None:
    found = parse_ranges(value, size)
    return None if found is None else [(one.first, one.end) for one in found]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-", [(500, 1000)]),
        ("bytes=-1", [(999, 1000)]),
        ("bytes=-5000", [(0, 1000)]),
        ("bytes=0-", [(0, 1000)]),
        ("bytes=990-5000", [(990, 1000)]),
        ("bytes=0-" + "9" * 5000, [(0, 1000)]),
        ("bytes=00000-00001", [(0, 2)]),
        ("BYTES=1-2", [(1, 3)]),
        ("bytes= 1-2 ,\t500-501 ", [(1, 3), (500, 502)]),
        ("bytes=,1-2,,500-501,", [(1, 3), (500, 502)]),
        ("bytes=500-501,1-2", [(500, 502), (1, 3)]),
        ("bytes=1-2,5000-", [(1, 3)]),
    ],
)
def test_parts_are_read(value: str, expected: list[tuple[int, int]]) -> None:
    assert spans(value) == expected


@pytest.mark.parametrize("value", ["bytes=1000-", "bytes=5000-6000", "bytes=-0", "bytes=2000-,-0"])
def test_parts_behind_the_end_are_none(value: str) -> None:
    assert spans(value) == []


@pytest.mark.parametrize(
    "value",
    [
        "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=5-2", "bytes=1-2,x", "bytes=a-b",
        "bytes=1-2-3", "bytes=+1-2", "bytes=1.5-2", "bytes=\u0661-\u0662", "bytes=1 - 2",
        "lines=1-2",
        "bytes 0-5", "bytes=--5", "bytes=" + ",".join(["0-1"] * 33), "bytes=" + "1-2," * 10000,
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_ignored(value: str) -> None:
    assert spans(value) is None


def test_of_an_empty_body_there_is_no_part() -> None:
    assert spans("bytes=0-", 0) == []
    assert spans("bytes=0-0", 0) == []
    assert spans("bytes=-5", 0) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-99,50-149", [(0, 150)]),
        ("bytes=0-99,100-149", [(0, 150)]),
        ("bytes=0-9,90-99", [(0, 100)]),  # a part's head is longer than what is between
        ("bytes=0-9,91-99", [(0, 10), (91, 100)]),
        ("bytes=500-,0-9,900-999", [(500, 1000), (0, 10)]),
        ("bytes=600-700,0-9,500-650", [(500, 701), (0, 10)]),
        ("bytes=" + ",".join(["0-"] * 32), [(0, 1000)]),
        ("bytes=0-,5-,10-,-1,-2", [(0, 1000)]),
    ],
)
def test_parts_that_overlap_are_one(value: str, expected: list[tuple[int, int]]) -> None:
    assert spans(value) == expected


_number = st.integers(0, 1200)
_one = st.one_of(
    st.builds("{}-{}".format, _number, _number),
    st.builds("{}-".format, _number),
    st.builds("-{}".format, _number),
)


@given(st.lists(_one, min_size=1, max_size=34), st.integers(0, 1000))
def test_an_answer_is_never_longer_than_the_body(specs: list[str], size: int) -> None:
    found = parse_ranges("bytes=" + ",".join(specs), size)
    if found is None:
        return
    covered: set[int] = set()
    for one in found:
        assert 0 <= one.first < one.end <= size
        assert covered.isdisjoint(range(one.first, one.end))
        covered.update(range(one.first, one.end))
    wanted: set[int] = set()
    for spec in specs:
        first, _, last = spec.partition("-")
        if not first:
            wanted.update(range(max(0, size - int(last)), size))
        else:
            wanted.update(range(int(first), min(size, int(last) + 1) if last else size))
    assert wanted <= covered


def test_a_part_says_where_it_is() -> None:
    assert ByteRange(2, 5).content_range(10) == b"Content-Range: bytes 2-4/10\r\n"
    assert ByteRange(2, 5).size == 3
    assert unsatisfied(10) == b"Content-Range: bytes */10\r\n"


def test_several_parts_are_one_body() -> None:
    body = b"0123456789"
    several = multipart((ByteRange(7, 9), ByteRange(0, 2)), 10, "text/plain", "xyz")
    assert several.content_type == "multipart/byteranges; boundary=xyz"
    whole = b"".join(lead + body[part.first : part.end] for lead, part in several.parts)
    whole += several.closing
    assert whole == (
        b"\r\n--xyz\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-8/10\r\n\r\n78"
        b"\r\n--xyz\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
        b"\r\n--xyz--\r\n"
    )
    assert several.size == len(whole)
