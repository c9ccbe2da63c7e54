import pytest

from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.policy.cache_headers import cache_age, cache_word
from proxy.policy.part import Part, Shape
from tests.policy.asking import asking

NOON = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT, as in RFC 9110
AGED = b"Cache-Control: max-age=60\r\nExpires: Sun, 06 Nov 1994 08:50:37 GMT\r\n"


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def shape_of(part: Part) -> Shape:
    assert part.shape is not None
    return part.shape


def aged(age: int = 60, *, immutable: bool = False) -> Shape:
    return shape_of(cache_age(age, Clock(), immutable=immutable))


def block_of(shape: Shape, block: bytes, exchange: Exchange | None = None) -> bytes:
    return shape(exchange or asking("/"), ResponseHead(200, "OK", block)).block


def test_an_age() -> None:
    assert block_of(aged(), b"ETag: x\r\n") == b"ETag: x\r\n" + AGED
    assert block_of(aged(31536000), b"") == (
        b"Cache-Control: max-age=31536000\r\nExpires: Mon, 06 Nov 1995 08:49:37 GMT\r\n"
    )


def test_an_age_of_what_not_everybody_may_have() -> None:
    shape = shape_of(cache_age(60, Clock(), immutable=True, private=True))
    assert block_of(shape, b"Expires: 0\r\n") == b"Cache-Control: private, max-age=60\r\n"
    hashed = block_of(shape, b"", asking("/main.3f2a1b9c.js"))
    assert hashed == b"Cache-Control: private, max-age=60, immutable\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"Cache-Control: max-age=5\r\n",
        b"cache-control: public, max-age=0, must-revalidate\r\nExpires: 0\r\n",
        b"CACHE-CONTROL: s-maxage=5\r\nCache-Control: immutable\r\n",
        b"Expires: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
        b"Pragma: no-cache\r\nCache-Control: max-age=1\r\n",
        b"Pragma: x\r\n",
        b"Cache-Control: x-no-store, no-cachet, private-ish\r\n",
        b"Cache-Control:\r\n",
    ],
)
def test_what_an_answer_says_of_its_age_is_replaced(said: bytes) -> None:
    assert block_of(aged(), b"A: b\r\n" + said + b"C: d\r\n") == b"A: b\r\nC: d\r\n" + AGED


@pytest.mark.parametrize(
    "said",
    [
        b"Cache-Control: no-store\r\n",
        b"cache-control: max-age=0, No-Cache, must-revalidate\r\n",
        b"Cache-Control: private\r\n",
        b'Cache-Control: private="X-User"\r\n',
        b'Cache-Control: no-cache = "Set-Cookie"\r\n',
        b"Cache-Control: public\r\nCache-Control: max-age=1 ,\tno-store \r\n",
        b"Pragma: no-cache\r\n",
        b"Expires: 0\r\nCache-Control: no-store\r\nPragma: no-cache\r\n",
    ],
)
def test_an_answer_that_must_not_be_kept_goes_out_as_it_is(said: bytes) -> None:
    head = ResponseHead(200, "OK", b"A: b\r\n" + said)
    assert aged(immutable=True)(asking("/a.3f2a1b9c.js"), head) is head


def test_an_answer_with_a_cookie_is_for_one_client_alone() -> None:
    block = b"set-cookie: a=b\r\nExpires: 0\r\n"
    assert block_of(aged(), block) == b"set-cookie: a=b\r\nCache-Control: private, max-age=60\r\n"


@pytest.mark.parametrize("word", ["", "max-age=3, "])
def test_no_transform_stays(word: str) -> None:
    block = f"Cache-Control: {word}No-Transform\r\n".encode()
    assert block_of(aged(), block).startswith(b"Cache-Control: max-age=60, no-transform\r\nExp")
    assert block_of(shape_of(cache_word("no-store")), block) == (
        b"Cache-Control: no-store, no-transform\r\n"
    )


@pytest.mark.parametrize(
    ("status", "method", "is_aged"),
    [
        (200, "GET", True),
        (200, "HEAD", True),
        (206, "GET", True),
        (304, "GET", True),
        (301, "GET", True),
        (308, "GET", True),
        (302, "GET", False),
        (303, "GET", False),
        (307, "GET", False),
        (204, "GET", False),
        (404, "GET", False),
        (416, "GET", False),
        (500, "GET", False),
        (200, "POST", False),
        (200, "OPTIONS", False),
        (200, "QUERY", False),
    ],
)
def test_which_answers_have_an_age(status: int, method: str, *, is_aged: bool) -> None:
    head = ResponseHead(status, "x", b"Cache-Control: max-age=1\r\n")
    shaped = aged()(asking("/", method=method), head)
    assert (shaped is not head) is is_aged
    assert head.block == b"Cache-Control: max-age=1\r\n", "heads are never changed"


PAGE = b"content-type: Text/HTML; charset=utf-8\r\n"


@pytest.mark.parametrize(
    ("path", "block", "is_aged"),
    [
        ("/index-BxY12abc.js", PAGE, False),
        ("/app.css", PAGE, False),
        ("/logo.svg", b"Content-Type: application/xhtml+xml\r\n", False),
        ("/app.js", b"Content-Type: text/javascript\r\n", True),
        ("/app.js", b"", True),
        ("/", PAGE, True),
        ("/about.html", PAGE, True),
        ("/v1.2/page", PAGE, True),
        ("/app.js/", PAGE, True),
    ],
)
@pytest.mark.parametrize("immutable", [False, True])
def test_a_page_in_the_place_of_a_part_of_one_has_no_age(
    path: str, block: bytes, *, is_aged: bool, immutable: bool
) -> None:
    shape = aged(immutable=immutable)
    head = ResponseHead(200, "OK", block)
    shape(asking("/elsewhere"), head)
    assert (shape(asking(path), head) is not head) is is_aged


@pytest.mark.parametrize(
    ("path", "immutable", "said"),
    [
        ("/main.3f2a1b9c.js", True, True),
        ("/main.js", True, False),
        ("/main.3f2a1b9c.js", False, False),
        ("/main.3f2a1b9c.js?v=1", True, True),
        ("/main.js?v=main.3f2a1b9c.js", True, False),
    ],
)
def test_immutable_where_the_name_carries_a_hash(path: str, *, immutable: bool, said: bool) -> None:
    block = block_of(aged(immutable=immutable), b"", asking(path))
    assert block.startswith(
        b"Cache-Control: max-age=60, immutable\r\nExpires: "
        if said
        else b"Cache-Control: max-age=60\r\nExpires: "
    )


def test_one_head_gives_one_head_for_a_second() -> None:
    clock = Clock()
    shape = shape_of(cache_age(60, clock, immutable=True))
    one, other = ResponseHead(200, "OK"), ResponseHead(200, "OK")
    plain, hashed = asking("/a.js"), asking("/a.3f2a1b9c.js")
    first = shape(plain, one)
    assert shape(plain, one) is first
    assert shape(plain, other) is not first
    assert shape(hashed, one) is not first
    assert shape(hashed, one) is shape(hashed, one)
    clock.now += 0.2
    assert shape(plain, one) is first
    clock.now += 1
    assert shape(plain, one) is not first
    assert b" 08:50:38 " in shape(plain, one).block


@pytest.mark.parametrize("part", [cache_age(60, Clock()), cache_word("no-store")])
def test_what_is_remembered_is_bounded(part: Part) -> None:
    shape = shape_of(part)
    exchange = asking("/")
    heads = [ResponseHead(200, "OK", b"A: %d\r\n" % number) for number in range(1000)]
    shaped = [shape(exchange, head) for head in heads]
    assert [head.block[:9] for head in shaped] == [(head.block + b"Cache-")[:9] for head in heads]
    known = [shape(exchange, head) is made for head, made in zip(heads, shaped, strict=True)]
    assert sum(known) <= 64


def test_large_heads_are_not_remembered() -> None:
    shape = aged()
    head = ResponseHead(200, "OK", b"A: b\r\n" * 1000)
    assert shape(asking("/"), head) is not shape(asking("/"), head)


@pytest.mark.parametrize("status", [200, 302, 404, 500])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_words_are_said_of_every_answer(status: int, method: str) -> None:
    block = b"Cache-Control: max-age=9, public\r\nExpires: x\r\nPragma: y\r\nA: b\r\n"
    for word in ("no-store", "no-cache"):
        shape = shape_of(cache_word("no-store" if word == "no-store" else "no-cache"))
        head = ResponseHead(status, "x", block)
        shaped = shape(asking("/", method=method), head)
        assert shaped.block == f"A: b\r\nCache-Control: {word}\r\n".encode()
        assert shape(asking("/"), head) is shaped


@pytest.mark.parametrize(
    ("said", "no_store", "no_cache"),
    [
        (b"Cache-Control: no-store\r\n", b"no-store", b"no-store"),
        (b"Cache-Control: no-cache\r\n", b"no-store", b"no-cache"),
        (b"Cache-Control: private, max-age=5\r\n", b"no-store", b"private, no-cache"),
        (b"Set-Cookie: a=b\r\n", b"no-store", b"private, no-cache"),
        (b"", b"no-store", b"no-cache"),
    ],
)
def test_a_weaker_word_takes_no_stronger_one_away(
    said: bytes, no_store: bytes, no_cache: bytes
) -> None:
    line = b"Cache-Control: %b\r\n"
    assert block_of(shape_of(cache_word("no-store")), said).endswith(line % no_store)
    assert block_of(shape_of(cache_word("no-cache")), said).endswith(line % no_cache)
