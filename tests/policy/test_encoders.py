import argparse
import gzip
import sys
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import brotli
import pytest
from hypothesis import given, strategies as st

from proxy.policy.encoders import CODINGS, OpenStreams, compress_once
from proxy.policy.part import Encoder

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"".join(b'{"id": %d, "name": "customer %d"},' % (n, n * 7919 % 1000) for n in range(40000))


PROSE = Path(argparse.__file__).read_bytes()


def streams(most_dear: int = 3, most: int = 4) -> OpenStreams:
    return OpenStreams(most_dear, most)


def opened(coding: str, room: OpenStreams) -> Encoder:
    encoder = room.open(coding)
    assert encoder is not None
    return encoder


def decoder(coding: str) -> Callable[[bytes], bytes]:
    """A client's decoder, which takes what comes as it comes."""
    if coding == "br":
        return drained(brotli.Decompressor().process)
    if coding == "zstd":
        return zstd.ZstdDecompressor().decompress
    return zlib.decompressobj(31).decompress


def drained(process: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Ask until nothing more comes: the library gives no more at once than its buffer holds."""

    def decode(data: bytes) -> bytes:
        whole = process(data)
        while more := process(b""):
            whole += more
        return whole

    return decode


def decoded(coding: str, data: bytes) -> bytes:
    if coding == "br":
        whole: bytes = brotli.decompress(data)
        return whole
    return zstd.decompress(data) if coding == "zstd" else gzip.decompress(data)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(places)]


bodies = st.binary(max_size=3000) | st.builds(slice, st.integers(0, 100), st.integers(0, 400_000))
"""Small ones of any bytes, and pieces of TEXT."""


@pytest.mark.parametrize("coding", CODINGS)
@given(bodies, st.lists(st.integers(0, 400_000), max_size=6), st.lists(st.booleans(), max_size=7))
def test_any_split_with_any_flushes_comes_back(
    coding: str, body: bytes | slice, cuts: list[int], flushes: list[bool]
) -> None:
    body = TEXT[body] if isinstance(body, slice) else body
    room = streams()
    encoder = opened(coding, room)
    client = decoder(coding)
    sent, seen, given_so_far = b"", b"", b""
    for number, piece in enumerate(pieces(body, cuts)):
        out = encoder.encode(piece)
        given_so_far += piece
        flushed = number < len(flushes) and flushes[number]
        if flushed:
            out += encoder.flush()
        sent += out
        seen += client(out) if out else b""
        if flushed:
            assert seen == given_so_far
    rest = encoder.finish()
    assert seen + client(rest) == body
    assert decoded(coding, sent + rest) == body
    assert (room.all, room.dear) == (0, 0)


@pytest.mark.parametrize("coding", CODINGS)
def test_many_small_flushes(coding: str) -> None:
    """What an application sends in drips is read drip by drip."""
    encoder = opened(coding, streams())
    client = decoder(coding)
    for number in range(500):
        drip = b"line %d\n" % number
        assert client(encoder.encode(drip) + encoder.flush()) == drip
    assert client(encoder.finish()) == b""


@pytest.mark.parametrize("coding", CODINGS)
def test_nothing_to_flush_is_nothing_to_send(coding: str) -> None:
    encoder = opened(coding, streams())
    assert encoder.flush() == b""
    out = encoder.encode(b"abc") + encoder.flush()
    assert encoder.flush() == encoder.flush() == b""
    assert decoded(coding, out + encoder.finish()) == b"abc"


@pytest.mark.parametrize("coding", CODINGS)
def test_bodies_one_after_the_other_have_nothing_of_each_other(coding: str) -> None:
    """The compressors are used again, also by a body after one that was cut short."""
    room = streams()
    alone = opened(coding, room)
    first = alone.encode(TEXT[:5000]) + alone.finish()
    cut_short = opened(coding, room)
    cut_short.encode(TEXT[:70000])
    cut_short.flush()
    del cut_short
    for _ in range(8):
        encoder = opened(coding, room)
        assert encoder.encode(TEXT[:5000]) + encoder.finish() == first


@pytest.mark.parametrize("coding", CODINGS)
def test_bodies_at_the_same_time_do_not_mix(coding: str) -> None:
    room = streams(most_dear=10, most=10)
    encoders = [opened(coding, room) for _ in range(10)]
    sent = [b""] * 10
    for begin in range(0, 9000, 3000):
        for number, encoder in enumerate(encoders):
            sent[number] += encoder.encode(TEXT[begin + number : begin + number + 3000])
    for number, encoder in enumerate(encoders):
        whole = decoded(coding, sent[number] + encoder.finish())
        assert whole == b"".join(TEXT[b + number : b + number + 3000] for b in (0, 3000, 6000))


def test_there_is_room_for_so_many() -> None:
    room = streams(most_dear=2, most=3)
    held = [opened("zstd", room), opened("br", room)]
    assert room.open("zstd") is None
    assert room.open("br") is None
    held.append(opened("gzip", room))
    assert room.open("gzip") is None
    held[0].finish()
    assert (room.all, room.dear) == (2, 1)
    held.append(opened("br", room))
    assert room.open("gzip") is None


@pytest.mark.parametrize("coding", CODINGS)
def test_an_encoder_that_is_dropped_makes_room_once(coding: str) -> None:
    room = streams(most_dear=1, most=1)
    encoder = opened(coding, room)
    encoder.encode(TEXT[:100])
    del encoder
    assert (room.all, room.dear) == (0, 0)
    finished = opened(coding, room)
    finished.finish()
    del finished
    assert (room.all, room.dear) == (0, 0)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("body", [b"", b"x", PROSE], ids=["nothing", "a byte", "much"])
def test_at_once(coding: str, body: bytes) -> None:
    encoded = compress_once(coding, body)
    assert decoded(coding, encoded) == body
    assert compress_once(coding, body) == encoded
    if len(body) > 1000:
        passing = opened(coding, streams())
        assert len(encoded) < len(passing.encode(body) + passing.finish())


def test_a_coding_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="deflate"):
        compress_once("deflate", b"")


@pytest.mark.parametrize("data", [TEXT, TEXT[:1000]])
def test_what_zstd_asks_of_clients_is_small(data: bytes) -> None:
    """RFC 9659: at most 8 MB."""
    encoder = opened("zstd", streams())
    passing = encoder.encode(data[:500]) + encoder.encode(data[500:]) + encoder.finish()
    small: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 17}
    assert zstd.ZstdDecompressor(options=small).decompress(passing) == data
    at_rest: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}
    assert zstd.ZstdDecompressor(options=at_rest).decompress(compress_once("zstd", data)) == data
