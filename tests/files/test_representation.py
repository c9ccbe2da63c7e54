import pytest

from proxy.errors import BadRequestError
from proxy.files.finding import Signature
from proxy.files.representation import Reply, Representation, reply, validators
from proxy.message.conditional import Validators
from proxy.message.head import RequestHead
from proxy.message.ranges import ByteRange

NOW = 1_800_000_000.0
OLD = Signature(1, 2, 1000, 1_700_000_000_123_456_789, 1_700_000_500_000_000_000)


def of(**changes: int) -> Signature:
    return OLD._replace(**changes)


def test_a_tag_is_made_of_time_and_size() -> None:
    found = validators(OLD, "", NOW)
    assert found == Validators('"17979cfe3d85cd15-3e8"', 1_700_000_000, settled=True)
    assert validators(of(device=7, inode=8, ctime_ns=9), "", NOW) == found  # on another machine


@pytest.mark.parametrize("other", [of(size=1001), of(mtime_ns=OLD.mtime_ns + 1)])
def test_another_size_or_time_is_another_tag(other: Signature) -> None:
    assert validators(other, "", NOW).etag != validators(OLD, "", NOW).etag


def test_another_coding_is_another_tag() -> None:
    tags = {validators(OLD, coding, NOW).etag for coding in ("", "br", "gzip", "zstd")}
    assert len(tags) == 4
    assert '"17979cfe3d85cd15-3e8-br"' in tags


@pytest.mark.parametrize(
    ("age", "settled"), [(0.0, False), (1.9, False), (2.0, True), (100.0, True), (-5.0, False)]
)
def test_what_just_changed_may_change_again_unseen(age: float, settled: bool) -> None:  # noqa: FBT001 - a column of the table
    now = OLD.mtime_ns / 1e9 + age
    found = validators(OLD, "", now)
    assert found.settled is settled
    assert found.etag.startswith('"' if settled else 'W/"')


def test_a_time_to_come_is_not_told() -> None:
    assert validators(OLD, "", 1_699_999_999.0).modified is None


@pytest.mark.parametrize("seconds", [0, 1, 315532800])
def test_a_time_from_the_dawn_of_time_tells_nothing(seconds: int) -> None:
    """Builders of images set all files to one time; what is in them changes nevertheless."""
    built = of(mtime_ns=seconds * 10**9)
    found = validators(built, "", NOW)
    assert found.modified is None
    assert found.settled
    deployed_again = built._replace(ctime_ns=OLD.ctime_ns + 1)
    assert validators(deployed_again, "", NOW).etag != found.etag


SETTLED = validators(OLD, "", NOW)


def form(coding: str = "", *, size: int = 1000, vary: bool = False) -> Representation:
    return Representation("text/plain", size, SETTLED, coding, vary=vary)


def asked(*lines: str, method: str = "GET", of: Representation | None = None) -> Reply:
    request = RequestHead(method, "/", "HTTP/1.1")
    request.block = "".join(f"{line}\r\n" for line in lines).encode()
    return reply(request, of or form(), NOW)


def test_a_whole_file() -> None:
    head, pieces = asked()
    assert (head.status, head.content_length) == (200, 1000)
    assert head.block == (
        b"Content-Type: text/plain\r\n"
        b"Accept-Ranges: bytes\r\n"
        b"Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
        b'ETag: "17979cfe3d85cd15-3e8"\r\n'
    )
    assert list(pieces) == [ByteRange(0, 1000)]


def test_a_file_without_a_time_does_not_tell_one() -> None:
    found = validators(of(mtime_ns=0), "", NOW)
    head, _ = asked(of=Representation("text/plain", 10, found, vary=False))
    assert b"Last-Modified" not in head.block
    assert b'ETag: "0-3e8-' in head.block


def test_a_neighbour_says_what_it_is() -> None:
    head, _ = asked(of=form("br", vary=True))
    assert b"Content-Encoding: br\r\n" in head.block
    assert b"Vary: Accept-Encoding\r\n" in head.block


def test_an_empty_file_has_no_pieces() -> None:
    head, pieces = asked(of=form(size=0))
    assert (head.status, head.content_length, list(pieces)) == (200, 0, [])


@pytest.mark.parametrize(
    "line",
    [f"If-None-Match: {SETTLED.etag}", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"],
)
def test_what_the_client_has_is_not_sent(line: str) -> None:
    for method in ("GET", "HEAD"):
        head, pieces = asked(line, "Range: bytes=0-1", method=method, of=form(vary=True))
        assert (head.status, head.content_length, list(pieces)) == (304, None, [])
        assert head.block == (  # RFC 9110, 15.4.5
            b"Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
            b'ETag: "17979cfe3d85cd15-3e8"\r\n'
            b"Vary: Accept-Encoding\r\n"
        )


def test_a_precondition_fails() -> None:
    with pytest.raises(BadRequestError) as caught:
        asked('If-Match: "other"')
    assert caught.value.status == 412


def test_a_part() -> None:
    head, pieces = asked("Range: bytes=10-19")
    assert (head.status, head.content_length) == (206, 10)
    assert b"Content-Range: bytes 10-19/1000\r\n" in head.block
    assert b"Content-Type: text/plain\r\n" in head.block
    assert list(pieces) == [ByteRange(10, 20)]


def test_several_parts() -> None:
    head, pieces = asked("Range: bytes=10-19,500-509")
    assert head.status == 206
    assert b"Content-Type: multipart/byteranges; boundary=" in head.block
    assert b"Content-Range" not in head.block
    lengths = [len(one) if isinstance(one, bytes) else one.size for one in pieces]
    assert sum(lengths) == head.content_length
    assert [one for one in pieces if isinstance(one, ByteRange)] == [(10, 20), (500, 510)]


def test_boundaries_differ() -> None:
    assert (
        asked("Range: bytes=0-1,500-501").head.block != asked("Range: bytes=0-1,500-501").head.block
    )


def test_no_such_part() -> None:
    with pytest.raises(BadRequestError) as caught:
        asked("Range: bytes=1000-")
    assert caught.value.status == 416
    assert caught.value.fields == b"Content-Range: bytes */1000\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        ("Range: bytes=0-1", 'If-Range: "other"'),
        ("Range: bytes=0-1", "Range: bytes=3-4"),
        ("Range: lines=0-1",),
        ("Range: bytes=5-1",),
        ('If-None-Match: "other"',),
    ],
)  # fmt: skip
def test_otherwise_all_of_it(lines: tuple[str, ...]) -> None:
    head, pieces = asked(*lines)
    assert head.status == 200
    assert list(pieces) == [ByteRange(0, 1000)]


def test_head_knows_no_parts() -> None:
    head, _ = asked("Range: bytes=0-1", method="HEAD")
    assert (head.status, head.content_length) == (200, 1000)


def test_a_part_is_continued_by_its_tag() -> None:
    assert asked("Range: bytes=990-", f"If-Range: {SETTLED.etag}").head.status == 206
