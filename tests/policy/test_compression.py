import gzip
from collections.abc import Mapping

import pytest

from proxy.exchange.exchange import Exchange
from proxy.message.fields import field_values
from proxy.message.head import ResponseHead
from proxy.policy.compression import NAME, OF_OTHER_BYTES, Compression, compression, type_matcher
from proxy.policy.encoders import BrotliEncoder, GzipEncoder, OpenStreams, ZstdEncoder
from proxy.policy.part import Encoder
from tests.fakes.exchanges import looked_at

ALL = ("zstd", "br", "gzip")
TYPES = ("text/*", "application/json", "application/*+json")
BROWSER = "gzip, deflate, br, zstd"
JSON = {"Content-Type": "application/json"}


def lines(fields: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode("latin-1")


def asked(accepts: str = "gzip", method: str = "GET", **more: str) -> Exchange:
    fields = {name.replace("_", "-"): value for name, value in more.items()}
    return looked_at(block=lines({"Accept-Encoding": accepts, **fields}), method=method)


def answer(fields: Mapping[str, str], length: int | None = 5000, status: int = 200) -> ResponseHead:
    head = ResponseHead(status, "So", lines(fields))
    head.content_length = length
    head.dated = True
    return head


def compressing(codings: tuple[str, ...] = ALL, most_dear: int = 9, most: int = 9) -> Compression:
    return Compression(codings, TYPES, 1024, OpenStreams(most_dear, most))


def encoded(exchange: Exchange, head: ResponseHead) -> tuple[dict[str, str], Encoder]:
    """The fields of an answer that has to be encoded."""
    made, encoder = compressing().encode(exchange, head)
    assert encoder is not None
    assert made is not head
    assert (made.status, made.reason, made.dated) == (head.status, head.reason, head.dated)
    assert made.content_length is None
    return fields_of(made), encoder


def plain(exchange: Exchange, head: ResponseHead) -> ResponseHead:
    """The head of an answer that must not be encoded."""
    before = head.block
    made, encoder = compressing().encode(exchange, head)
    assert encoder is None
    assert head.block == before
    assert made.content_length == head.content_length
    return made


def fields_of(head: ResponseHead) -> dict[str, str]:
    pairs = [line.split(": ", 1) for line in head.block.decode("latin-1").splitlines()]
    found = {name.lower(): value for name, value in pairs}
    assert len(found) == len(pairs), pairs
    return found


def test_an_answer_is_encoded() -> None:
    fields, encoder = encoded(asked(), answer({**JSON, "X-A": "b"}))
    assert fields == {
        "content-type": "application/json",
        "x-a": "b",
        "vary": "Accept-Encoding",
        "content-encoding": "gzip",
    }
    assert gzip.decompress(encoder.encode(b"[1]") + encoder.finish()) == b"[1]"


def test_the_part() -> None:
    part = compression(ALL, TYPES, 1024)
    assert part.name == NAME
    assert part.encode is not None
    assert isinstance(part.encode(asked(), answer(JSON))[1], GzipEncoder)


@pytest.mark.parametrize(
    ("accepts", "codings", "kind"),
    [
        (BROWSER, ALL, ZstdEncoder),
        ("gzip, br", ALL, GzipEncoder),
        ("gzip, br", ("br", "gzip"), GzipEncoder),
        ("br;q=1, gzip;q=0.1", ALL, GzipEncoder),
        ("br", ALL, BrotliEncoder),
        ("*", ("br",), BrotliEncoder),
        (BROWSER, ("gzip", "zstd"), GzipEncoder),
        ("zstd;q=0.5, gzip", ALL, GzipEncoder),
        ("deflate", ALL, None),
        ("identity, gzip;q=0.5", ALL, None),
        ("br;q=0, *;q=0", ALL, None),
        ("br", ("gzip",), None),
    ],
)
def test_which_coding(accepts: str, codings: tuple[str, ...], kind: type[Encoder] | None) -> None:
    encoder = compressing(codings).encode(asked(accepts), answer(JSON))[1]
    assert type(encoder) is (kind or type(None))


@pytest.mark.parametrize("length", [0, 1, 1023])
def test_short_answers_go_out_as_they_are(length: int) -> None:
    head = answer(JSON, length)
    assert plain(asked(), head) is head


@pytest.mark.parametrize("length", [1024, 10**9, None])
def test_long_ones_and_those_of_unknown_length_do_not(length: int | None) -> None:
    encoded(asked(), answer(JSON, length))


@pytest.mark.parametrize("status", [200, 201, 203, 300, 302, 400, 404, 429, 500, 503, 599])
def test_statuses_with_a_body(status: int) -> None:
    encoded(asked(), answer(JSON, status=status))


@pytest.mark.parametrize("status", [100, 103, 204, 205, 206])
def test_statuses_that_are_left_alone(status: int) -> None:
    head = answer(JSON, None, status)
    assert plain(asked(), head) is head


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Content-Type": "image/png"},
        {"Content-Type": "textile/plain"},
        {"Content-Type": "x-text/plain"},
        {"Content-Type": "application/json2"},
        {"Content-Type": ""},
        {"Content-Type": "text/event-stream"},
        {**JSON, "Content-Encoding": "gzip"},
        {**JSON, "content-encoding": "identity, br"},
        {**JSON, "Content-Encoding": "aes128gcm"},
        {**JSON, "Content-Encoding": ""},
        {**JSON, "Content-Range": "bytes 0-1/2"},
        {**JSON, "Content-Range": "bytes */2"},
    ],
)
def test_answers_that_are_nobodys_to_encode(fields: dict[str, str]) -> None:
    head = answer(fields)
    assert plain(asked(BROWSER), head) is head


def test_streams_are_left_alone() -> None:
    head = answer(JSON, None)
    head.streaming = True
    assert plain(asked(), head) is head
    head.status = 304
    assert plain(asked(), head) is head


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc-web+proto"])
def test_grpc_has_codings_of_its_own(kind: str) -> None:
    encode = Compression(ALL, ("application/*",), 1).encode
    assert encode(asked(), answer({"Content-Type": kind}))[1] is None
    assert encode(asked(), answer({"Content-Type": "application/xml"}))[1] is not None


def old() -> Exchange:
    exchange = asked()
    exchange.head.version = "HTTP/1.0"
    return exchange


@pytest.mark.parametrize(
    "exchange",
    [
        looked_at(),
        asked("identity"),
        asked(Range="bytes=0-99"),
        asked(range="bytes=-5", If_Range='"abc"'),
        asked(Cache_Control="max-age=0, No-Transform"),
        old(),
    ],
    ids=["silent", "identity", "range", "if-range", "no-transform", "HTTP/1.0"],
)
def test_clients_that_get_no_coding_are_told_that_others_do(exchange: Exchange) -> None:
    told = {**JSON, "ETag": '"abc"', "Accept-Ranges": "bytes", "Repr-Digest": "sha-256=:YQ==:"}
    made = plain(exchange, answer(told))
    assert made.block == lines({**told, "Vary": "Accept-Encoding"})
    assert made.dated


def test_if_range_alone_is_no_range() -> None:
    encoded(asked(If_Range='"abc"', X_Range="bytes=0-1"), answer(JSON))


@pytest.mark.parametrize(
    ("vary", "merged"),
    [
        ("Cookie", "Cookie, Accept-Encoding"),
        ("Origin, Cookie", "Origin, Cookie, Accept-Encoding"),
        ("accept-encoding", "accept-encoding"),
        ("Cookie,Accept-Encoding , Origin", "Cookie,Accept-Encoding , Origin"),
        ("*", "*"),
        ("", "Accept-Encoding"),
        ("Accept-Encoding-Not", "Accept-Encoding-Not, Accept-Encoding"),
    ],
)
def test_vary(vary: str, merged: str) -> None:
    told = {**JSON, "vary": vary, "A": "b"}
    for accepts in ("gzip", "identity"):
        made, _ = compressing().encode(asked(accepts), answer(told))
        assert fields_of(made)["vary"] == merged
        assert fields_of(made)["a"] == "b"


def test_several_vary_fields_become_one() -> None:
    head = answer({})
    head.block = b"Vary: Cookie\r\n" + lines(JSON) + b"vary:Origin \r\n"
    fields, _ = encoded(asked(), head)
    assert fields["vary"].replace(" ,", ",") == "Cookie, Origin, Accept-Encoding"
    head.block += b"Vary: Accept-Encoding\r\n"
    assert plain(asked("identity"), head) is head


@pytest.mark.parametrize(
    ("tag", "weak"),
    [
        ('"abc"', 'W/"abc"'),
        ('W/"abc"', 'W/"abc"'),
        ('""', 'W/""'),
        ("abc", None),
        ('w/"abc"', None),
        ("", None),
    ],
)
def test_etag(tag: str, weak: str | None) -> None:
    fields, _ = encoded(asked(), answer({"etag": tag, **JSON, "X-ETag": '"z"'}))
    assert fields.get("etag") == weak
    assert fields["x-etag"] == '"z"'
    made = plain(asked(""), answer({"etag": tag, **JSON}))
    assert fields_of(made)["etag"] == tag


def test_what_is_true_of_other_bytes_goes() -> None:
    wrong = {
        "Accept-Ranges": "bytes",
        "content-md5": "x",
        "Digest": "sha-256=x",
        "Content-Digest": "sha-256=:x:",
        "Repr-Digest": "sha-256=:x:",
        "Content-Encoding": "identity",
    }
    right = {"Last-Modified": "then", "Unencoded-Digest": "sha-256=:x:", "Want-Digest": "x"}
    fields, _ = encoded(asked(), answer({**wrong, **JSON, **right}))
    assert fields == {
        "content-type": "application/json",
        "content-encoding": "gzip",
        "vary": "Accept-Encoding",
        **{name.lower(): value for name, value in right.items()},
    }
    assert OF_OTHER_BYTES.apply(lines({**wrong, "Server-Timing": "a"})) == b"Server-Timing: a\r\n"


@pytest.mark.parametrize("length", [5000, None])
def test_head_gets_the_head_that_get_gets(length: int | None) -> None:
    head = answer({**JSON, "ETag": '"a"'}, length)
    got, encoder = compressing().encode(asked(BROWSER), head)
    headed, none = compressing().encode(asked(BROWSER, "HEAD"), head)
    assert encoder is not None
    assert none is None
    assert headed.block == got.block
    assert headed.content_length is None


def test_head_takes_no_room() -> None:
    part = compressing(most=1)
    for _ in range(3):
        assert b"gzip" in part.encode(asked(method="HEAD"), answer(JSON))[0].block


@pytest.mark.parametrize(
    ("accepts", "had", "tag", "told"),
    [
        ("gzip", 'W/"abc"', '"abc"', 'W/"abc"'),
        ("gzip", '"x", W/"abc"', '"abc"', 'W/"abc"'),
        ("gzip", '"abc"', '"abc"', '"abc"'),
        ("gzip", 'W/"abcd"', '"abc"', '"abc"'),
        ("identity", 'W/"abc"', '"abc"', '"abc"'),
        ("gzip", 'W/"abc"', 'W/"abc"', 'W/"abc"'),
        ("gzip", "*", '"abc"', '"abc"'),
    ],
)
def test_not_modified_speaks_of_what_the_client_has(
    accepts: str, had: str, tag: str, told: str
) -> None:
    head = answer({"ETag": tag, "Vary": "Cookie"}, 7000, 304)
    made = plain(asked(accepts, If_None_Match=had), head)
    assert fields_of(made) == {"etag": told, "vary": "Cookie, Accept-Encoding"}


@pytest.mark.parametrize(
    "more", [{"Content-Type": "image/png"}, {"Content-Encoding": "br"}, {"Vary": "*"}]
)
def test_not_modified_of_what_is_never_encoded(more: dict[str, str]) -> None:
    head = answer({"ETag": '"abc"', **more}, None, 304)
    assert plain(asked(If_None_Match='"abc"'), head) is head


def test_not_modified_tells_a_length_however_short() -> None:
    head = answer({"ETag": '"abc"'}, 0, 304)
    assert fields_of(plain(asked(If_None_Match='W/"abc"'), head))["etag"] == 'W/"abc"'


def test_a_head_that_repeats_stays_one_object() -> None:
    """What a connection has made ready for a head is kept with it."""
    part = compressing()
    first, _ = part.encode(asked(""), answer(JSON))
    assert part.encode(asked(""), answer(JSON))[0] is first
    other, _ = part.encode(asked(""), answer(JSON, 6000))
    assert (other.content_length, first.content_length) == (6000, 5000)
    assert part.encode(asked(""), answer(JSON, 6000, 404))[0].status == 404


def test_encoded_heads_are_never_shared() -> None:
    part = compressing()
    head = answer(JSON)
    first, second = (part.encode(asked(), head)[0] for _ in range(2))
    first.content_length = 1
    assert second.content_length is None


def test_any_number_of_heads() -> None:
    part = compressing()
    for number in range(300):
        own = {"X-Number": str(number)}
        assert fields_of(part.encode(asked(""), answer({**JSON, **own}))[0]) == {
            "content-type": "application/json",
            "x-number": str(number),
            "vary": "Accept-Encoding",
        }
    assert len(part._plans) <= 64
    part.encode(asked(), answer({**JSON, "X-Long": "x" * 5000}))
    assert sum(map(len, part._plans)) < 64 * 2048


def test_where_there_is_no_room_the_next_coding_does() -> None:
    part = compressing(most_dear=1, most=2)
    held = [part.encode(asked(BROWSER), answer(JSON)) for _ in range(3)]
    kinds = [field_values(head.block, "content-encoding") for head, _ in held]
    assert kinds == [["zstd"], ["gzip"], []]
    assert field_values(held[2][0].block, "vary") == ["Accept-Encoding"]
    assert held[2][0].content_length == 5000


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("text/*", "text/html", True),
        ("text/*", "TEXT/HTML ; charset=utf-8", True),
        ("text/*", "text/html;charset=utf-8", True),
        ("text/*", "context/html", False),
        ("text/*", "text/html, image/png", False),
        ("application/*+json", "application/problem+json", True),
        ("application/*+json", "application/json", False),
        ("application/*+json", "application/ld+json5", False),
        ("application/vnd.api+json", "application/vndxapi+json", False),
        ("*", "image/png", True),
        ("*", "", True),
    ],
)
def test_type_patterns(pattern: str, value: str, *, matches: bool) -> None:
    assert type_matcher(("x/y", pattern))(value.encode()) is matches
