import pytest

from proxy.errors import BadResponseError
from proxy.wire.http2_answer import Answer, Field, request_fields, trailer_fields

HEAD = (
    b"POST /a?b HTTP/1.1\r\nHost: a.test:8\r\nX-Thing:  one two \r\nVia: 1.1 pyproxy\r\n"
    b"X-Request-ID: 7\r\n"
)


def answer(
    *fields: Field, status: bytes = b"200", ended: bool = False, head: bool = False
) -> Answer:
    made = Answer(head_request=head)
    made.read_head([(b":status", status), *fields], ended=ended)
    return made


def read(*fields: Field, ended: bool = False) -> bytes:
    return Answer(head_request=False).read_head([(b":status", b"200"), *fields], ended=ended).block


def test_a_head_of_ours_in_http2() -> None:
    raw = HEAD + b"Transfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n\r\n"
    assert request_fields(raw, b"http") == [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/a?b"),
        (b":authority", b"a.test:8"),
        (b"x-thing", b"one two"),
        (b"via", b"1.1 pyproxy"),
        (b"x-request-id", b"7"),
        (b"te", b"trailers"),
    ]


def test_an_upgrade_is_not_asked_for() -> None:
    raw = HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    names = {name for name, _ in request_fields(raw, b"https")}
    assert not names & {b"connection", b"upgrade"}


def test_without_a_host_there_is_no_authority() -> None:
    names = [name for name, _ in request_fields(b"GET / HTTP/1.1\r\nHost: \r\n\r\n", b"http")]
    assert names == [b":method", b":scheme", b":path"]


def test_trailers_of_ours() -> None:
    assert trailer_fields(b"X-Sum: 1\r\nY:2\r\n") == [(b"x-sum", b"1"), (b"y", b"2")]
    assert trailer_fields(b"") == []


def test_a_head() -> None:
    made = Answer(head_request=False)
    head = made.read_head(
        [(b":status", b"404"), (b"x-a", b" 1 "), (b"content-length", b"5"), (b"date", b"now")],
        ended=False,
    )
    assert (head.status, head.reason, head.content_length) == (404, "Not Found", 5)
    assert (head.block, head.dated) == (b"x-a: 1\r\ndate: now\r\n", True)
    assert not head.streaming


def test_orders_to_the_proxy_go_no_further() -> None:
    made = Answer(head_request=False)
    fields = [(b":status", b"200"), (b"x-accel-buffering", b"no"), (b"x", b"y")]
    head = made.read_head(fields, ended=False)
    assert (head.block, head.streaming) == (b"x: y\r\n", True)


@pytest.mark.parametrize("kind", [b"application/grpc", b"application/grpc+proto"])
def test_grpc_streams(kind: bytes) -> None:
    made = Answer(head_request=False)
    head = made.read_head([(b":status", b"200"), (b"content-type", kind)], ended=True)
    assert head.streaming
    assert head.content_length is None  # trailers alone stay that


def test_an_answer_without_a_body_says_so() -> None:
    head = Answer(head_request=False).read_head([(b":status", b"302")], ended=True)
    assert head.content_length == 0


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_an_answer_that_never_has_a_body_says_nothing_of_it(status: bytes) -> None:
    head = Answer(head_request=False).read_head([(b":status", status)], ended=True)
    assert head.content_length is None


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"x", b"y")],
        [(b"x", b"y"), (b":status", b"200")],
        [(b":status", b"20")],
        [(b":status", b"2000")],
        [(b":status", b"099")],
        [(b":status", b"2\xb20")],
        [(b":status", b"200"), (b":status", b"200")],
        [(b":status", b"200"), (b":path", b"/")],
        [(b":status", b"101")],
    ],
)
def test_no_status_or_more_than_that(fields: list[Field]) -> None:
    with pytest.raises(BadResponseError):
        Answer(head_request=False).read_head(fields, ended=False)


@pytest.mark.parametrize(
    "field",
    [
        (b"x", b"a\r\nset-cookie: b"), (b"x", b"a\nb"), (b"x", b"a\rb"), (b"x", b"a\0b"),
        (b"x", b"\x7f"), (b"x\r\ny", b"a"), (b"x y", b"a"), (b"x:", b"a"), (b"", b"a"),
        (b"X", b"a"), (b"x\xe9", b"a"), (b"connection", b"close"), (b"keep-alive", b"timeout=5"),
        (b"transfer-encoding", b"chunked"), (b"upgrade", b"h2c"), (b"proxy-connection", b"x"),
        (b"content-length", b"+1"), (b"content-length", b""), (b"content-length", b"1, 1"),
    ],
)  # fmt: skip
def test_fields_that_no_answer_may_have(field: Field) -> None:
    with pytest.raises(BadResponseError):
        read(field)
    if field[0] != b"content-length":
        made = answer()
        made.trailers = [field]
        with pytest.raises(BadResponseError):
            made.end()


def test_a_length_said_twice() -> None:
    with pytest.raises(BadResponseError):
        read((b"content-length", b"1"), (b"content-length", b"1"))


def test_values_outside_ascii_pass() -> None:
    assert read((b"x", b"\xc3\xa9\t")) == b"x: \xc3\xa9\r\n"


def test_interim_heads_and_too_many_of_them() -> None:
    made = Answer(head_request=False)
    for _ in range(16):
        assert made.read_head([(b":status", b"103"), (b"link", b"</a>")], ended=False).status == 103
    with pytest.raises(BadResponseError):
        made.read_head([(b":status", b"103")], ended=False)


def test_a_body_of_the_length_that_was_said() -> None:
    made = answer((b"content-length", b"3"))
    made.read_body(b"ab")
    made.read_body(b"")
    made.read_body(b"c")
    assert made.end() == b""


def test_a_body_that_is_too_long() -> None:
    made = answer((b"content-length", b"3"))
    with pytest.raises(BadResponseError):
        made.read_body(b"abcd")


def test_a_body_that_is_too_short() -> None:
    made = answer((b"content-length", b"3"))
    made.read_body(b"ab")
    with pytest.raises(BadResponseError):
        made.end()
    with pytest.raises(BadResponseError):
        answer((b"content-length", b"3"), ended=True)


@pytest.mark.parametrize(("status", "head"), [(b"200", True), (b"204", False), (b"304", False)])
def test_a_body_where_there_must_be_none(status: bytes, head: bool) -> None:  # noqa: FBT001
    made = answer((b"content-length", b"3"), status=status, head=head)
    made.read_body(b"")
    assert made.end() == b""
    with pytest.raises(BadResponseError):
        made.read_body(b"abc")


def test_what_comes_before_the_head() -> None:
    with pytest.raises(BadResponseError):
        Answer(head_request=False).read_body(b"x")
    with pytest.raises(BadResponseError):
        Answer(head_request=False).end()


def test_trailers() -> None:
    made = answer()
    made.trailers = [(b"grpc-status", b"0"), (b"grpc-message", b""), (b"content-type", b"x")]
    assert made.end() == b"grpc-status: 0\r\ngrpc-message: \r\n"
