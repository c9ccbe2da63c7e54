"""What the HTTP/2 machine is fed under test: valid frames, and frames that are nearly so."""

from hpack import Encoder
from hypothesis import strategies as st

from proxy.wire import http2_frames as frames
from tests.fuzz.http1_inputs import NASTY

PSEUDO = (b":method", b":scheme", b":authority", b":path")
_NUMBERS = st.sampled_from([1, 3, 5])
_METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PUT"]
_PATHS = ["/", "/a/b?c=d", "//x/y", "/a%2fb", "/?"]
_AUTHORITIES = ["a.example", "[::1]:80", "A.example"]
_ODD_PSEUDO = {
    b":method": ["CONNECT", "TRACE", "get", "G T", ""],
    b":scheme": ["http", "ws", "HTTPS", ""],
    b":authority": ["a@b", "a,b", "a:0", "b.example", ""],
    b":path": ["*", "/%00", "/#x", "http://b/", "/..", "/ HTTP/1.1", "a", ""],
}
_NAMES = ["accept", "cookie", "x-forwarded-for", "x", "x_y", "trailer", "forwarded", "x-y", "proxy",
          "cookie", "via"]  # fmt: skip
_VALUES = ["", "x", "a b", "5", "a=b", "\u00e9", "a\tb", ":", "x" * 90]
_FIELDS = [("te", "trailers"), ("expect", "100-continue"), ("host", "a.example"),
           ("content-length", "5"), ("content-length", "0")]  # fmt: skip
_ODD_FIELDS = [
    ("connection", "close"), ("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("X", "y"),
    (":path", "/"), (":status", "200"), ("keep-alive", "x"), ("te", "gzip"), ("", "x"),
    ("x", " y"), ("x", "y "), ("x:y", "z"), ("content-length", "5, 5"), ("host", "b.example"),
    ("host", ""), ("expect", "more"), ("x", "a\r\nb: c"), ("x\r\ny", "z"), ("x y", "z"),
]  # fmt: skip


def _raw(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), text.encode("latin-1")) for name, text in pairs]


def _with_a_byte(made: tuple[list[tuple[bytes, bytes]], int, bool, int, bytes]) -> object:
    """Put a byte into one name or value."""
    fields, place, in_name, at, nasty = made
    fields = list(fields)
    name, value = fields[place % len(fields)]
    if in_name:
        name = name[:at] + nasty + name[at:]
    else:
        value = value[:at] + nasty + value[at:]
    fields[place % len(fields)] = (name, value)
    return fields


_pseudo = st.tuples(
    st.sampled_from(_METHODS), st.just("https"), st.sampled_from(_AUTHORITIES),
    st.sampled_from(_PATHS),
).map(lambda made: list(zip(PSEUDO, [text.encode() for text in made], strict=True)))  # fmt: skip
_more = st.lists(
    st.tuples(st.sampled_from(_NAMES), st.sampled_from(_VALUES)) | st.sampled_from(_FIELDS),
    max_size=5,
    unique_by=lambda pair: pair[0] if pair in _FIELDS else pair,
).map(_raw)
_good = st.tuples(_pseudo, _more).map(lambda made: made[0] + made[1])
_odd_pseudo = st.tuples(_pseudo, _more, st.sampled_from(PSEUDO), st.integers(0, 9)).map(
    lambda made: (
        [
            (name, _ODD_PSEUDO[name][made[3] % len(_ODD_PSEUDO[name])].encode())
            if name == made[2]
            else (name, value)
            for name, value in made[0]
        ]
        + made[1]
    )
)
_odd_field = st.tuples(_good, st.sampled_from(_ODD_FIELDS), st.integers(0, 9)).map(
    lambda made: made[0][: made[2]] + _raw([made[1]]) + made[0][made[2] :]
)
_lacking = st.tuples(_good, st.integers(0, 3)).map(
    lambda made: made[0][: made[1]] + made[0][made[1] + 1 :]
)
_damaged = st.tuples(
    _good, st.integers(0, 8), st.booleans(), st.integers(0, 12), st.sampled_from(NASTY)
).map(_with_a_byte)

field_lists: st.SearchStrategy[list[tuple[bytes, bytes]]] = st.one_of(
    _good, _good, _odd_pseudo, _odd_field, _lacking, _damaged, _good.flatmap(st.permutations)
)
"""Fields of requests, of which some are malformed, and some must not be served."""

_sections = st.one_of(
    field_lists.map(lambda fields: bytes(Encoder().encode(fields))), st.binary(max_size=40)
)
_flags = st.sampled_from([0, 1, 4, 5, 5, 5, 8, 0x2D, 0xFF])
_longs = st.sampled_from([1, 65_535]) | st.sampled_from([0, 2**31 - 1, 2**32 - 1])
_small = st.integers(1, 70_000)


def _long(value: int) -> bytes:
    return value.to_bytes(4)


def _settings(pairs: list[tuple[int, int]]) -> bytes:
    return b"".join(name.to_bytes(2) + _long(value) for name, value in pairs)


_well_formed = st.one_of(
    st.tuples(st.just(frames.HEADERS), st.sampled_from([4, 5, 5]), _NUMBERS, _sections),
    st.tuples(st.just(frames.HEADERS), st.sampled_from([4, 5, 5]), _NUMBERS, _sections),
    st.tuples(st.just(frames.DATA), st.sampled_from([0, 0, 1]), _NUMBERS, st.binary(max_size=300)),
    st.tuples(st.just(frames.RST_STREAM), st.just(0), _NUMBERS, _longs.map(_long)),
    st.tuples(st.just(frames.WINDOW_UPDATE), st.just(0), _NUMBERS | st.just(0), _small.map(_long)),
    st.tuples(
        st.just(frames.SETTINGS), st.just(0), st.just(0),
        st.lists(st.tuples(st.sampled_from([1, 3, 4, 6, 8]), _small), max_size=3).map(_settings),
    ),
    st.tuples(st.just(frames.PING), st.sampled_from([0, 1]), st.just(0), st.just(bytes(8))),
    st.tuples(st.just(frames.PRIORITY), st.just(0), _NUMBERS, st.just(bytes(5))),
    st.tuples(st.integers(10, 12), _flags, _NUMBERS, st.binary(max_size=20)),
)  # fmt: skip
_any = st.one_of(
    st.tuples(st.integers(0, 12), _flags, st.integers(0, 9), st.binary(max_size=20)),
    st.tuples(st.just(frames.CONTINUATION), _flags, _NUMBERS, _sections),
    st.tuples(st.just(frames.WINDOW_UPDATE), st.just(0), st.integers(0, 9), _longs.map(_long)),
    st.tuples(
        st.just(frames.SETTINGS), st.sampled_from([0, 1]), st.just(0),
        st.lists(st.tuples(st.integers(0, 9), _longs), max_size=3).map(_settings),
    ),
)  # fmt: skip


_opening = st.lists(_good.map(lambda fields: bytes(Encoder().encode(fields))), max_size=3).map(
    lambda made: b"".join(
        frames.headers(2 * place + 1, section, end=bool(place % 2))
        for place, section in enumerate(made)
    )
)
_frames = st.one_of(*[_well_formed] * 15, _any).map(lambda made: frames.frame(*made))

conversations = st.tuples(
    st.sampled_from([b"", *[frames.settings({})] * 9]),
    _opening,
    st.lists(_frames, max_size=12).map(b"".join),
    st.sampled_from([b"", b"", b"\0\0\5"]),
).map(lambda made: frames.PREFACE + b"".join(made))
"""What a client may say, most of it legal."""
