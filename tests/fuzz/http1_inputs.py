"""What HTTP/1.1 machines are fed under test: valid messages, and messages that are nearly so.

A message is put together from parts of which a few are wrong, and then perhaps damaged in one or
two places, so that most of what is made lies close to the border of the grammar, on either side.
"""

import itertools

from hypothesis import strategies as st

from proxy.message.hop_by_hop import REQUEST_FIELDS

# Bytes that matter to somebody's parser.
NASTY = [
    b"\r", b"\n", b"\r\n", b"\x00", b"\x01", b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\x80", b"\xff",
    b" ", b"\t", b":", b";", b",", b"_", b"#", b"%", b"/", b"\\", b"*", b"0", b"5", b"+", b"-",
    b"@", b"x", b"A",
]  # fmt: skip

_METHODS = ["GET"] * 8 + ["HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "TRACE", "get",
            "M-SEARCH", "PRI", "G(T", "", "A" * 33]  # fmt: skip
_TARGETS = [
    *["/"] * 8, "/a/b?c=d", "/a%2Fb", "//a", "/.", "/?", "/a?#b", "/#", "/é", "/a b", "/a\\b", "*",
    "http://example.com/x", "HTTPS://[::1]:8443?q", "http://a@b/", "http://", "example.com:443",
    "/%", "/%00", "/" + "a" * 70, "",
]  # fmt: skip
_GOOD_TARGETS = ["/", "/a/b?c=d", "/a%2Fb", "//a", "/.a", "/?"]
_VERSIONS = ["HTTP/1.1"] * 16 + ["HTTP/1.0", "HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "http/1.1", ""]
_ORDINARY = ["Accept", "Cookie", "User-Agent", "Accept-Language", "X-Hop", "X_Odd", "Hosted",
             "X-Forwarded-Ssl", "X-Forwarded", "Te-x", "Connection-x", "x",
             "!#$%&'*+-.^`|~0", "", "X Y", "É"]  # fmt: skip
_VALUES = {
    "host": ["example.com", "EXAMPLE.com:8080", "[::1]:80", "a b", "", "a,b", "é", "a:99999",
             "a@b"],
    "connection": ["keep-alive", "Keep-Alive", "close", "upgrade", "close, X-Hop", "te", "x y", "",
                   "accept", "keep-alive,upgrade", "cookie , accept"],
    "content-length": ["0", "5", "05", "+5", "5,5", "5 5", "", "0x5", "999999999999999999",
                       "9999999999999999999", "-1"],
    "transfer-encoding": ["chunked", "Chunked", "gzip, chunked", "identity", "", "chunked, chunked",
                          "chunked;a"],
    "upgrade": ["websocket", "WebSocket", "h2c", ""],
    "expect": ["100-continue", "100-Continue", "x", ""],
    "te": ["trailers", "gzip, trailers", "x-trailers"],
    "keep-alive": ["timeout=5", "max=3, timeout=7"],
    "x-accel-buffering": ["no", "yes"],
    "content-type": ["text/event-stream", "text/html"],
    "cache-control": ["no-transform", "public"],
}  # fmt: skip
_ANY_VALUE = ["", "a", "a b", "a\tb", "timeout=5", "\xe9", "a: b", "x" * 60, "192.0.2.1"]
_SPACES = ["", " ", " ", " ", "  ", "\t", " \t "]
_COLONS = [":"] * 60 + [" :", "", "::", ":\r\n "]
_ENDS = ["\r\n"] * 120 + ["\n", "\r", "\r\r\n"]

_RESPONSE_FIELDS = (
    "content-length", "content-length", "transfer-encoding", "connection", "keep-alive",
    "upgrade", "x-accel-buffering", "content-type", "cache-control", "date", "te",
)  # fmt: skip


@st.composite
def _good_field(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    name = draw(st.sampled_from([*_ORDINARY[:5], *names]))
    value = _VALUES.get(name.lower(), _ANY_VALUE)[0]
    name = draw(st.sampled_from([str.lower, str.title, str.upper]))(name)
    return f"{name}:{draw(st.sampled_from(_SPACES))}{value}"


@st.composite
def _field(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    if draw(st.integers(0, 9)) < 6:
        name = draw(st.sampled_from(_ORDINARY))
    else:
        name = draw(st.sampled_from(names))
    values = _VALUES.get(name.lower(), _ANY_VALUE)
    # The first value is a good one, and told more often.
    value = values[0] if draw(st.integers(0, 2)) else draw(st.sampled_from(values))
    name = draw(st.sampled_from([str.lower, str.title, str.upper]))(name) if name else name
    before, after = draw(st.sampled_from(_SPACES)), draw(st.sampled_from(_SPACES[:3]))
    return f"{name}{draw(st.sampled_from(_COLONS))}{before}{value}{after}"


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Bytes changed in up to two places; half the time in none."""
    raw = draw(whole)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        at = draw(st.integers(0, len(raw)))
        gone = draw(st.integers(0, 2))
        raw = raw[:at] + draw(st.sampled_from([b"", *NASTY])) + raw[at + gone :]
    return raw


@st.composite
def _good_head(draw: st.DrawFn, first: str, must: list[str], names: tuple[str, ...]) -> bytes:
    fields = draw(
        st.lists(_good_field(names), max_size=5, unique_by=lambda line: line[:12].lower())
    )
    return "".join(f"{line}\r\n" for line in [first, *must, *fields]).encode("latin-1")


@st.composite
def _head(draw: st.DrawFn, first: str, must: list[str], names: tuple[str, ...]) -> bytes:
    fields = [*must, *draw(st.lists(_field(names), max_size=6))]
    if draw(st.integers(0, 3)) == 0:
        fields = draw(st.permutations(fields))
    lines = [first, *fields]
    ends = [draw(st.sampled_from(_ENDS)) for _ in lines]
    return "".join(line + end for line, end in zip(lines, ends, strict=True)).encode("latin-1")


def _ended(raw: bytes) -> bytes:
    """Cut or fill up to what a machine takes for one whole head."""
    return raw.partition(b"\r\n\r\n")[0].removesuffix(b"\r\n") + b"\r\n\r\n"


@st.composite
def _request_head(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        method, target = draw(st.sampled_from(_METHODS[:10])), draw(st.sampled_from(_GOOD_TARGETS))
        names = tuple(name for name in REQUEST_FIELDS if name not in {"host", "transfer-encoding"})
        return draw(_good_head(f"{method} {target} HTTP/1.1", ["Host: example.com"], names))
    method, target = draw(st.sampled_from(_METHODS)), draw(st.sampled_from(_TARGETS))
    version = draw(st.sampled_from(_VERSIONS))
    must = ["Host: example.com"] * draw(st.sampled_from([1, 1, 1, 1, 1, 0, 2]))
    return draw(_head(f"{method} {target} {version}", must, REQUEST_FIELDS))


@st.composite
def _response_head(draw: st.DrawFn) -> bytes:
    version = draw(st.sampled_from(_VERSIONS))
    status = draw(st.sampled_from(["200", "200", "204", "304", "100", "404", "999", "099", "20"]))
    reason = draw(st.sampled_from([" OK", " Not Found", " ", "", " \xe9t\xe9", "  x\t"]))
    return draw(_head(f"{version} {status}{reason}", [], _RESPONSE_FIELDS))


request_heads = damaged(_request_head()).map(_ended)
response_heads = damaged(_response_head()).map(_ended)

_sizes = st.sampled_from(["%x", "%X", "0%x", "%08x", "%x ", "%x;a", '%x ; b="c"', "%016x", "%09x"])
_rare_sizes = st.sampled_from(["%017x", "0x%x", " %x", "%x a", "+%x", "%x;\x01", "%x;\xe9", ""])
_trailer = st.sampled_from(
    ["ETag: a", "x: ", "Content-Length: 5", "X_Y: a", "X-Forwarded-For: a", "Host: b", " folded",
     "No-Colon", "Space : a", "Digest:\tb ", "Connection: close"]
)  # fmt: skip


@st.composite
def _chunked(draw: st.DrawFn) -> bytes:
    pieces = []
    for data in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=5)):
        kind = draw(_sizes) if draw(st.integers(0, 15)) else draw(_rare_sizes)
        size = (kind % len(data)).encode("latin-1") if "%" in kind else kind.encode()
        pieces.append(size + b"\r\n" + data + b"\r\n")
    last = draw(st.sampled_from(["0", "0", "000", "0;a", "0 "]))
    trailers = draw(st.lists(_trailer, max_size=3)) if draw(st.booleans()) else []
    end = "".join(f"{line}\r\n" for line in [last, *trailers]) + "\r\n"
    return b"".join(pieces) + end.encode("latin-1")


chunked_bodies = damaged(_chunked())


@st.composite
def _request(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["none", "length", "chunked", "any"]))
    target = draw(st.sampled_from(["/", "/a?b", "/x"]))
    if kind == "none":
        return f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    if kind == "length":
        body = draw(st.binary(max_size=30))
        head = f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body
    if kind == "chunked":
        head = f"POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head.encode() + draw(_chunked())
    return draw(request_heads)


@st.composite
def _answer(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["length", "chunked", "close", "any"]))
    if kind == "length":
        body = draw(st.binary(max_size=30))
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    if kind == "chunked":
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + draw(_chunked())
    if kind == "close":
        return b"HTTP/1.1 200 OK\r\n\r\n" + draw(st.binary(max_size=30))
    return draw(response_heads)


requests = damaged(st.lists(_request(), min_size=1, max_size=4).map(b"".join))
answers = damaged(st.lists(_answer(), min_size=1, max_size=3).map(b"".join))


@st.composite
def cuts(draw: st.DrawFn, length: int) -> list[int]:
    """Where to cut so many bytes into pieces."""
    return sorted(draw(st.lists(st.integers(0, length), max_size=8)))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut `data`; no piece is empty."""
    borders = [0, *places, len(data)]
    found = [data[begin:end] for begin, end in itertools.pairwise(borders)]
    return [piece for piece in found if piece]
