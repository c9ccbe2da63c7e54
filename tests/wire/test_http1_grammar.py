"""The fast grammar: what it says of a head, and that h11 reads what it accepts the same way."""

import pytest
from hypothesis import event, given

from proxy.errors import BadRequestError, BadResponseError
from proxy.message.head import RequestHead
from proxy.message.hop_by_hop import REQUEST_FIELDS
from proxy.wire import http1_grammar
from proxy.wire.http1_grammar import (
    apply_connection,
    interpret_request,
    match_request,
    match_response,
)
from tests.fuzz.h11_reading import h11_request, h11_response, same_request, same_response
from tests.fuzz.http1_inputs import request_heads, response_heads
from tests.wire.script import attributes


def request(*lines: str, first: str = "GET / HTTP/1.1", host: str = "Host: a\r\n") -> bytes:
    return (first + "\r\n" + host + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode(
        "latin-1"
    )


def read(*lines: str, first: str = "GET / HTTP/1.1") -> RequestHead:
    head = match_request(request(*lines, first=first))
    assert head is not None
    return head


def answer(*lines: str, first: str = "HTTP/1.1 200 OK") -> bytes:
    return (first + "\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode("latin-1")


# Properties.


def outcome(raw: bytes, *, usual: bool) -> object:
    """What one of the two fast ways says of a head: its attributes, or the refusal's status."""
    try:
        if usual:
            found = http1_grammar._USUAL.fullmatch(raw)
            assert found is not None
            return attributes(http1_grammar._usual_head(*found.groups()))
        found = http1_grammar._REQUEST.fullmatch(raw)
        assert found is not None, "the usual way reads what the grammar does not cover"
        method, target = found[1].decode(), found[2].decode()
        return attributes(interpret_request(method, target, "HTTP/1.1", raw, found.start(3)))
    except BadRequestError as error:
        return error.status, error.detail


@given(request_heads)
def test_the_usual_way_and_the_general_way_agree(raw: bytes) -> None:
    if http1_grammar._USUAL.fullmatch(raw) is None:
        return
    event("usual")
    assert outcome(raw, usual=True) == outcome(raw, usual=False)


@given(request_heads)
def test_h11_reads_every_request_that_is_accepted_in_the_same_way(raw: bytes) -> None:
    try:
        head = match_request(raw)
    except BadRequestError as error:
        event(f"refused with {error.status}")
        return
    if head is None:
        event("left to the fallback")
        return
    event("accepted")
    read = h11_request(raw)
    assert read is not None
    assert head.target.encode() == read.target
    hosts = [value for name, value in read.headers if name == b"host"]
    assert hosts == [head.authority.encode()]
    same_request(head, read)


@given(response_heads)
def test_h11_reads_every_answer_that_is_accepted_in_the_same_way(raw: bytes) -> None:
    try:
        head = match_response(raw)
    except BadResponseError:
        event("refused")
        return
    if head is None:
        event("left to the fallback")
        return
    event("accepted")
    read = h11_response(raw)
    assert read is not None
    same_response(head, read)


# What the fields of a request mean.


@pytest.mark.parametrize("name", sorted(set(REQUEST_FIELDS).difference({"host", "connection"})))
def test_fields_that_are_acted_on_are_cut_in_any_case(name: str) -> None:
    value = {"content-length": "0", "transfer-encoding": "chunked", "expect": "100-continue"}
    for spelt in (name, name.upper(), name.title()):
        head = read("A: 1", f"{spelt}: {value.get(name, 'x')}", "B: 2")
        assert head.block == b"A: 1\r\nB: 2\r\n"


@pytest.mark.parametrize("name", REQUEST_FIELDS)
def test_names_that_only_begin_or_end_like_them_are_kept(name: str) -> None:
    longer = f"{name}-x".replace("x-forwarded-*-x", "x-forwarded")
    head = read(f"{longer}: 1", f"x-{name}: 2")
    assert head.block == f"{longer}: 1\r\nx-{name}: 2\r\n".encode()


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-Ssl", "X-Forwarded-Scheme", "x-forwarded-", "X-FORWARDED-Client-Cert",
     "X-Forwarded-For-x", "X-Client-IP", "True-Client-IP", "X-Cluster-Client-IP", "X-Original-URL",
     "X-Rewrite-URL", "Front-End-Https", "X-Url-Scheme", "X-Scheme", "Client-Cert",
     "Client-Cert-Chain"],
)  # fmt: skip
def test_whatever_tells_of_the_client_is_kept_apart(name: str) -> None:
    head = read("A: 1", f"{name}: x", "B: 2")
    assert head.block == b"A: 1\r\nB: 2\r\n"
    assert head.forwarding == f"{name.lower()}: x\r\n".encode()


def test_forwarding_fields_are_kept_apart_in_their_order() -> None:
    head = read("X-Forwarded-For: a", "A: 1", "Forwarded:  for=b", "x-forwarded-FOR: c")
    assert head.forwarding == (b"x-forwarded-for: a\r\nforwarded: for=b\r\nx-forwarded-for: c\r\n")
    assert head.block == b"A: 1\r\n"


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [
        ([], True),
        (["Connection: keep-alive"], True),
        (["Connection: close"], False),
        (["connection:CLOSE"], False),
        (["Connection: keep-alive, close"], False),
        (["Connection: keep-alive", "Connection: close"], False),
        (["Connection: ,, close ,"], False),
        (["Connection: closed"], True),
    ],
)
def test_keep_alive(lines: list[str], keep_alive: bool) -> None:  # noqa: FBT001 - a column
    assert read(*lines).keep_alive is keep_alive


def test_fields_that_connection_names_are_cut() -> None:
    head = read("Connection: X-A, close", "x-a: 1", "X-B: 2", "X-A: 3", "X-Ab: 4")
    assert head.block == b"X-B: 2\r\nX-Ab: 4\r\n"


def test_connection_may_name_fields_only_up_to_a_number() -> None:
    sixteen = ",".join(f"x{number}" for number in range(16)).encode()
    assert len(apply_connection(sixteen, b"")[0]) == 16
    with pytest.raises(BadRequestError):
        apply_connection(sixteen + b",y", b"")


@pytest.mark.parametrize(
    ("lines", "trailers"),
    [
        (["TE: trailers"], True),
        (["TE: gzip;q=0.5, Trailers"], True),
        (["TE: trailers", "TE: gzip"], True),
        (["TE: x-trailers"], False),
        ([], False),
    ],
)
def test_te(lines: list[str], trailers: bool) -> None:  # noqa: FBT001 - a column of the table
    assert read(*lines).te_trailers is trailers


def test_continue_is_expected_only_where_there_is_a_body() -> None:
    assert read("Content-Length: 1", "Expect: 100-Continue").expect_continue
    assert not read("Content-Length: 0", "Expect: 100-continue").expect_continue
    assert not read("Expect: 100-continue").expect_continue


def test_methods_are_told_by_their_case() -> None:
    assert read(first="QUERY / HTTP/1.1").method == "QUERY"
    assert match_request(request(first="get / HTTP/1.1")) is None


def test_heads_that_are_not_covered_are_not_refused() -> None:
    for raw in (
        request(first="GET / HTTP/1.0"),
        request(first="GET http://a/ HTTP/1.1"),
        request(first="OPTIONS * HTTP/1.1"),
        request("X_Y: 1"),
        request() + b"\r\n",
    ):
        assert match_request(raw) is None


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request("Host: b"), 400),
        (request(host=""), 400),
        (request("Content-Length: 1", "Content-Length: 1"), 400),
        (request("Content-Length: x"), 400),
        (request("Content-Length: 1", "Transfer-Encoding: chunked"), 400),
        (request("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400),
        (request("Transfer-Encoding: gzip"), 501),
        (request("Expect: x"), 417),
        (request("Connection: a b"), 400),
        (request(first="TRACE / HTTP/1.1"), 501),
        (request("Accept: a", "X-Real-Ip: a", first="CONNECT / HTTP/1.1"), 501),
        (request(first="GET /%00 HTTP/1.1"), 400),
    ],
)
def test_refusals(raw: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        match_request(raw)
    assert caught.value.status == status


def test_asterisk_needs_options() -> None:
    raw = b"\nHost: a\r\n\r\n"
    assert interpret_request("OPTIONS", "*", "HTTP/1.1", raw, 1).path == "*"
    with pytest.raises(BadRequestError):
        interpret_request("GET", "*", "HTTP/1.1", raw, 1)


# What the fields of an answer mean.


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("Keep-Alive: timeout=5, max=100", 5.0),
        ("Keep-Alive: max=100,timeout=75", 75.0),
        ("Keep-Alive: xtimeout=5", None),
        ("Keep-Alive: timeout=x", None),
        ("Server: x", None),
    ],
)
def test_how_long_an_upstream_keeps_a_connection(line: str, seconds: float | None) -> None:
    head = match_response(answer(line))
    assert head is not None
    assert head.keep_alive_timeout == seconds


@pytest.mark.parametrize(
    ("line", "streaming"),
    [
        ("Content-Type: text/event-stream; charset=utf-8", True),
        ("content-type:TEXT/EVENT-STREAM", True),
        ("X-Accel-Buffering: no", True),
        ("X-Accel-Buffering: yes", False),
        ("Cache-Control: public, No-Transform", True),
        ("X: text/event-stream, no-transform", False),
        ("Content-Type: text/html", False),
    ],
)
def test_what_must_not_be_held_back(line: str, streaming: bool) -> None:  # noqa: FBT001 - a column
    head = match_response(answer(line))
    assert head is not None
    assert head.streaming is streaming


@pytest.mark.parametrize(
    ("first", "lines", "keep_alive"),
    [
        ("HTTP/1.1 200 OK", [], True),
        ("HTTP/1.1 200 OK", ["Connection: close"], False),
        ("HTTP/1.1 200 OK", ["Connection: keep-alive", "Connection: close"], False),
        ("HTTP/1.1 200 OK", ["Connection: upgrade"], True),
        ("HTTP/1.0 200 OK", [], False),
        ("HTTP/1.0 200 OK", ["Connection: keep-alive"], True),
        ("HTTP/1.0 200 OK", ["Connection: Keep-Alive"], True),
    ],
)
def test_whether_an_upstream_can_be_used_again(
    first: str,
    lines: list[str],
    keep_alive: bool,  # noqa: FBT001 - a column of the table
) -> None:
    head = match_response(answer(*lines, first=first))
    assert head is not None
    assert head.keep_alive is keep_alive


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 1", "Content-Length: 1"],
        ["Content-Length: 1,1"],
        ["Content-Length: 1", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip"],
        ["Connection: a b"],
    ],
)
def test_answers_that_are_refused(lines: list[str]) -> None:
    with pytest.raises(BadResponseError) as caught:
        match_response(answer(*lines))
    assert caught.value.status == 502


def test_an_old_server_sends_no_chunks() -> None:
    with pytest.raises(BadResponseError):
        match_response(answer("Transfer-Encoding: chunked", first="HTTP/1.0 200 OK"))
