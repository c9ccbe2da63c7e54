"""Chunked bodies: read as h11 reads them, whatever the pieces, and within bounds."""

from collections import deque

import h11
import pytest
from hypothesis import event, given, strategies as st

from proxy.errors import BadRequestError, BadResponseError
from proxy.wire.events import END, MessageEnd
from proxy.wire.http1_body import ChunkedBody, chunk, last_chunk
from tests.fuzz.h11_reading import fields_of
from tests.fuzz.http1_inputs import chunked_bodies, cut, cuts
from tests.wire.script import pieces

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
Reading = tuple[bytes, MessageEnd | None, bytes] | str


def decode(parts: list[bytes]) -> Reading:
    """The body, its end and what follows; or "refused"."""
    body = ChunkedBody(BadRequestError)
    found = b""
    for number, part in enumerate(parts):
        try:
            data, end = body.receive(part)
        except BadRequestError:
            return "refused"
        found += data
        if end is not None:
            return found, end, body.rest + b"".join(parts[number + 1 :])
    return found, None, b""


def h11_decode(data: bytes) -> tuple[bytes, h11.EndOfMessage, bytes] | None:
    machine = h11.Connection(h11.SERVER)
    machine.receive_data(HEAD + data)
    found = b""
    try:
        while True:
            said = machine.next_event()
            if isinstance(said, h11.Data):
                found += said.data
            elif isinstance(said, h11.EndOfMessage):
                return found, said, machine.trailing_data[0]
            elif not isinstance(said, h11.Request):
                return None
    except h11.RemoteProtocolError:
        return None


@given(chunked_bodies)
def test_h11_reads_every_body_that_is_accepted_in_the_same_way(data: bytes) -> None:
    ours = decode([data])
    if isinstance(ours, str) or ours[1] is None or b" ;" in data:
        # White space before an extension (BWS) is for us to take (RFC 9112, 7.1.1); h11 does not.
        event("refused" if isinstance(ours, str) else "unfinished")
        return
    event("accepted")
    theirs = h11_decode(data)
    assert theirs is not None
    assert (ours[0], ours[2]) == (theirs[0], theirs[2])
    trailers = [(name.lower(), value) for name, value in fields_of(ours[1].trailers)]
    assert [each for each in theirs[1].headers if each in trailers] == trailers


@given(chunked_bodies.flatmap(lambda data: st.tuples(st.just(data), cuts(len(data)))))
def test_pieces_do_not_matter(made: tuple[bytes, list[int]]) -> None:
    data, places = made
    whole = decode([data])
    event(str(type(whole)))
    assert decode(cut(data, places)) == whole
    assert decode(pieces(data, 1)) == whole


@pytest.mark.parametrize(
    "data",
    [
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nrest",
        b'5;a="b"\r\nhello\r\n06 \r\n world\r\n00;c\r\nETag: e\r\nX: \r\n\r\nrest',
    ],
)
def test_every_border_may_be_cut_anywhere(data: bytes) -> None:
    whole = decode([data])
    assert whole[0] == b"hello world"
    assert whole[2] == b"rest"
    for first in range(len(data)):
        for second in range(first, len(data)):
            assert decode(cut(data, [first, second])) == whole


@given(st.lists(st.binary(min_size=1, max_size=100)), st.integers(1, 50))
def test_what_is_framed_is_read_again(bodies: list[bytes], size: int) -> None:
    data = b"".join(map(chunk, bodies)) + last_chunk(b"ETag: a\r\n") + b"rest"
    expected = (b"".join(bodies), MessageEnd(b"ETag: a\r\n"), b"rest")
    assert decode(pieces(data, size)) == expected


def test_ends() -> None:
    assert last_chunk(b"") == b"0\r\n\r\n"
    assert decode([b"0\r\n\r\n"]) == (b"", END, b"")
    assert decode([b"0\r\nA: b\r\n\r\nX"]) == (b"", MessageEnd(b"A: b\r\n"), b"X")
    assert decode([b"0\r\nContent-Length: 5\r\n\r\n"]) == (b"", END, b"")


@pytest.mark.parametrize(
    "name",
    ["content-length", "Host", "X-Forwarded-For", "X_Y", "COOKIE", "Te", "proxy", "Connection",
     "Set-Cookie", "Trailer"],
)  # fmt: skip
def test_trailers_that_must_not_be_are_dropped(name: str) -> None:
    data = f"0\r\nA: 1\r\n{name}: 2\r\nB: 3\r\n\r\n".encode()
    assert decode([data]) == (b"", MessageEnd(b"A: 1\r\nB: 3\r\n"), b"")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"x\r\n",
        b"+1\r\n",
        b"-1\r\n",
        b"0x1\r\n",
        b" 1\r\n",
        b"1_0\r\n",
        b"\xd9\xa1\r\n",
        b"1\n",
        b"1\ra",
        b"1 a\r\n",
        b";a\r\n",
        b"1;\x00\r\n",
        b"1;a\rb\r\n",
        b"1;a\n\r\n",
        b"00000000000000001\r\n",
        b"10000000000000000\r\n",
        b"1\r\nab",
        b"1\r\na\n",
        b"1\r\na\rb",
        b"1\r\na\r\n\r\n",
        b"1\r\na1\r\n",
        b"0\n\n",
        b"0\r\n\n",
        b"0\r\nA: b\n",
        b"0\r\n A: b\r\n\r\n",
        b"0\r\nA\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\n: b\r\n\r\n",
        b"0\r\nA: b\r\n c\r\n\r\n",
        b"0\r\nA: b\rc\r\n\r\n",
        b"0\r\nA: \x00\r\n\r\n",
        b"0\r\nA: \x7f\r\n\r\n",
    ],
)
@pytest.mark.parametrize("error", [BadRequestError, BadResponseError])
def test_refusals(data: bytes, error: type[BadRequestError | BadResponseError]) -> None:
    """A line's fault is seen when the line has ended, however it ends and however it comes."""
    line = data if data.endswith(b"\n") else data + b"\r\n"
    for size in (0, 1, 3):
        body = ChunkedBody(error)
        with pytest.raises(error):
            deque(map(body.receive, pieces(line, size)))


@pytest.mark.parametrize("data", [b"x", b"1x", b"1\x00", b"0" * 17, b"\0", b"1\r\nx\rX"])
def test_what_cannot_become_a_chunk_is_not_waited_for(data: bytes) -> None:
    assert decode([data]) == "refused"


@pytest.mark.parametrize("data", [b"", b"1", b"0" * 16, b"1 ", b"1;a", b"1\r", b"1 \r"])
def test_half_a_line_is_waited_for(data: bytes) -> None:
    assert decode([data]) == (b"", None, b"")


def test_huge_sizes_are_numbers_like_others() -> None:
    body = ChunkedBody(BadRequestError)
    assert body.receive(b"FFFFFFFFFFFFFFFF\r\nabc") == (b"abc", None)
    assert body.receive(b"x" * 65536) == (b"x" * 65536, None)


def held(body: ChunkedBody) -> int:
    return len(body._buffer)


def drip(data: bytes) -> int:
    """Feed bytes one at a time until they are refused; return the most that was held."""
    body = ChunkedBody(BadRequestError)
    most = 0
    for part in pieces(data, 1):
        try:
            body.receive(part)
        except BadRequestError:
            return most
        most = max(most, held(body))
    pytest.fail("not refused")


def test_a_line_may_have_so_many_bytes() -> None:
    assert decode([b"1;" + b"a" * 4092 + b"\r\nx"]) == (b"x", None, b"")
    assert decode([b"1;" + b"a" * 4093 + b"\r\nx"]) == "refused"
    assert drip(b"1;" + b"a" * 5000) <= 4096


def test_extensions_may_have_so_many_bytes_in_all() -> None:
    small = b"1;" + b"a" * 1000 + b"\r\nx\r\n"
    assert decode([small * 16])[0] == b"x" * 16
    assert decode([small * 17]) == "refused"
    large = b"200;" + b"a" * 1000 + b"\r\n" + b"x" * 512 + b"\r\n"
    assert decode([large * 100])[0] == b"x" * 51200


def test_trailers_may_have_so_many_bytes() -> None:
    line = b"A: " + b"b" * 1019 + b"\r\n"
    assert decode([b"0\r\n" + line * 16 + b"\r\n"]) == (b"", MessageEnd(line * 16), b"")
    assert decode([b"0\r\n" + line * 16 + b"B:\r\n\r\n"]) == "refused"
    assert drip(b"0\r\n" + line * 17) <= 16 * 1024
    assert decode([b"0\r\n" + line * 17]) == "refused"


def test_trailers_may_be_so_many() -> None:
    assert decode([b"0\r\n" + b"A: b\r\n" * 100 + b"\r\n"])[1] == MessageEnd(b"A: b\r\n" * 100)
    assert decode([b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n"]) == "refused"
