"""Heads read by h11 behind the guard: as the fast grammar reads them, and canonical afterwards."""

import contextlib
import re
import time

import pytest
from hypothesis import event, given

from proxy.errors import BadRequestError, BadResponseError
from proxy.message.head import RequestHead, ResponseHead
from proxy.wire.http1_fallback import read_request, read_response
from proxy.wire.http1_grammar import match_request, match_response
from tests.fuzz.h11_reading import fields_of, h11_request, h11_response, same_request, same_response
from tests.fuzz.http1_inputs import request_heads, response_heads
from tests.wire.script import attributes


def request(*lines: str, first: str = "GET / HTTP/1.1", host: str = "Host: a\r\n") -> bytes:
    text = first + "\r\n" + host + "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return text.encode("latin-1")


def answer(*lines: str, first: str = "HTTP/1.1 200 OK") -> bytes:
    return (first + "\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode("latin-1")


def refused(raw: bytes) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        read_request(raw)
    return caught.value


def same(ours: RequestHead | ResponseHead, theirs: RequestHead | ResponseHead) -> None:
    """Assert that two heads say the same, but for white space around values."""
    first, second = attributes(ours), attributes(theirs)
    for each in (first, second):
        block = each.pop("block")
        assert isinstance(block, bytes)
        each["fields"] = fields_of(block)
    assert first == second


# Properties.


@given(request_heads)
def test_what_the_fast_grammar_accepts_is_read_the_same_way_here(raw: bytes) -> None:
    try:
        fast = match_request(raw)
    except BadRequestError:
        event("refused")
        refused(raw)
        return
    if fast is not None:
        event("accepted")
        same(fast, read_request(raw))


@given(request_heads)
def test_what_is_accepted_is_written_in_the_strict_grammar(raw: bytes) -> None:
    try:
        head = read_request(raw)
    except BadRequestError as error:
        event(f"refused with {error.status}")
        return
    event("accepted")
    read = h11_request(raw)
    assert read is not None
    same_request(head, read)
    block = head.block + head.forwarding
    again = match_request(b"GET / HTTP/1.1\r\nHost: a\r\n" + block + b"\r\n")
    assert again is not None
    assert again.block == head.block
    assert again.forwarding == head.forwarding
    if head.target != "*":
        line = f"GET {head.target} HTTP/1.1\r\nHost: {head.authority or 'a'}\r\n\r\n"
        again = match_request(line.encode())
        assert again is not None
        assert again.path == head.path
        assert again.host == head.host or not head.authority


@given(response_heads)
def test_answers_the_fast_grammar_accepts_are_read_the_same_way_here(raw: bytes) -> None:
    try:
        fast = match_response(raw)
    except BadResponseError:
        event("refused")
        with pytest.raises(BadResponseError):
            read_response(raw)
        return
    if fast is not None:
        event("accepted")
        same(fast, read_response(raw))


@given(response_heads)
def test_answers_accepted_here_are_read_by_h11_the_same_way(raw: bytes) -> None:
    try:
        head = read_response(raw)
    except BadResponseError:
        event("refused")
        return
    event("accepted")
    read = h11_response(raw)
    assert read is not None
    same_response(head, read)
    assert b"\r" not in head.block.replace(b"\r\n", b"")
    assert b"\n" not in head.block.replace(b"\r\n", b"")
    assert b"\x00" not in head.block


# What only this half reads.


def test_names_with_underscores_are_dropped_before_anything_is_believed() -> None:
    head = read_request(
        request("Content_Length: 5", "X_Forwarded_For: 1", "A: 1", "Transfer_Encoding: chunked")
    )
    assert head.block == b"A: 1\r\n"
    assert head.forwarding == b""
    assert not head.has_body


def test_an_underscore_does_not_make_a_host() -> None:
    assert refused(request("H_ost: a", host="")).status == 400


@pytest.mark.parametrize(
    ("target", "written", "authority"),
    [
        ("http://b.example", "/", "b.example"),
        ("http://b.example/", "/", "b.example"),
        ("HTTP://b.example:8080/c?d", "/c?d", "b.example:8080"),
        ("https://[::1]?d", "/?d", "[::1]"),
        ("http://b.example//c", "//c", "b.example"),
    ],
)
def test_absolute_form(target: str, written: str, authority: str) -> None:
    head = read_request(request("A: 1", first=f"GET {target} HTTP/1.1"))
    assert (head.target, head.authority) == (written, authority)
    assert head.block == b"A: 1\r\n"


def test_absolute_form_without_path_asks_for_options_of_the_server() -> None:
    assert read_request(request(first="OPTIONS http://a HTTP/1.1")).target == "*"
    assert read_request(request(first="OPTIONS http://a/ HTTP/1.1")).target == "/"


@pytest.mark.parametrize(
    "target",
    ["http://a@b/", "http://", "http:///a", "ftp://a/", "http://a/#b", "http://a:0/", "a", "a:80",
     "http://a%62/", "//", "*/", "/#", "http:/a", "http://a b/"],
)  # fmt: skip
def test_targets_that_are_refused(target: str) -> None:
    if target == "//":
        assert read_request(request(first="M-SEARCH // HTTP/1.1")).path == "/"
    else:
        assert refused(request(first=f"GET {target} HTTP/1.1")).status == 400


def test_a_host_that_is_ignored_must_be_one() -> None:
    assert refused(request(first="GET http://a/ HTTP/1.1", host="Host: a/b\r\n")).status == 400
    assert refused(request(first="GET http://a/ HTTP/1.1", host="")).status == 400
    assert refused(request("Host: a", first="GET http://a/ HTTP/1.1")).status == 400


def test_old_clients() -> None:
    head = read_request(request("Connection: keep-alive", first="GET / HTTP/1.0", host=""))
    assert (head.version, head.authority, head.keep_alive) == ("HTTP/1.0", "", True)
    assert not read_request(request(first="GET / HTTP/1.0")).keep_alive
    chunked = request("Transfer-Encoding: chunked", first="POST / HTTP/1.0")
    assert refused(chunked).status == 400


def test_an_old_client_expects_nothing() -> None:
    for value in ("100-continue", "something"):
        head = read_request(
            request(f"Expect: {value}", "Content-Length: 1", first="POST / HTTP/1.0")
        )
        assert not head.expect_continue


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/0.9", 505),
        ("GET /", 400),
        ("connect a:1 HTTP/1.1", 400),
        ("CONNECT a:1 HTTP/1.1", 501),
        ("CONNECT a:1 HTTP/1.0", 501),
        ("TRACE * HTTP/1.1", 501),
        ("X" * 33 + " / HTTP/1.1", 400),
        ("get / HTTP/1.1", 400),
        ("POSt / HTTP/1.1", 400),
        ("m-search * HTTP/1.0", 400),
    ],
)
def test_first_lines_that_are_refused(first: str, status: int) -> None:
    assert refused(request(first=first)).status == status


def test_what_h11_would_mend_is_refused() -> None:
    """h11 reads one Content-Length where there are two, or a list, that say the same."""
    for lines in (
        ["X_Odd: 1", "Content-Length: 5", "Content-Length: 5"],
        ["X_Odd: 1", "content-length: 5, 5"],
    ):
        assert h11_request(request(*lines)) is not None
        assert refused(request(*lines)).status == 400


def test_no_refusal_repeats_what_was_sent() -> None:
    for raw in (request("Cookie: s3cret", "Cookie s3cret"), request("Cookie: s3cret\x01")):
        assert "s3cret" not in refused(raw).detail
    with pytest.raises(BadResponseError) as caught:
        read_response(answer("Set-Cookie s3cret"))
    assert "s3cret" not in caught.value.detail


@pytest.mark.parametrize(
    "lines",
    [
        ["a:" + " " * 31_000 + "\x0b"],
        ["a:" + " " * 15_000 + "b" + " " * 15_000 + "\x0c"],
        ["X_Odd: 1", "a" * 31_000],
        ["X_Odd: 1", "a:" + " b" * 15_000],
        ["X_Odd: 1", "Connection: " + "a" * 30_000],
        ["X_Odd: 1", "Connection: " + ",".join(letter * 1900 for letter in "abcdefghijklmnop")],
        ["X_Odd: 1", *["Connection: close"] * 1_500],
        ["X_Odd: 1", "Connection: " + "," * 30_000],
    ],
)
def test_no_head_takes_long(lines: list[str]) -> None:
    """The slowest took 2.6 s before the guard: what is ruled out is the square of 31,000."""
    raw = request(*lines)
    assert len(raw) < 33_000
    begin = time.process_time()
    with contextlib.suppress(BadRequestError):
        read_request(raw)
    assert time.process_time() - begin < 0.1


def test_names_in_connection_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """An expression compiled for a client's names would stay in the cache of `re`."""

    def compiled(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(re, "compile", compiled)
    head = read_request(request("X_Odd: 1", "Connection: X-A", "X-A: 1", "X-B: 2"))
    assert head.block == b"X-B: 2\r\n"


# Answers.


def test_control_bytes_in_an_answer_are_its_own_affair() -> None:
    head = read_response(answer("X: \x01", "X_Y: 1", "Content-Length: 3", "Connection: close"))
    assert head.block == b"X: \x01\r\nX_Y: 1\r\n"
    assert head.content_length == 3
    assert not head.keep_alive
    old = read_response(answer("X: \x01", first="HTTP/1.0 200 OK"))
    assert not old.keep_alive


def test_an_odd_answer_may_switch_protocols() -> None:
    raw = answer(
        "X: \x01", "Upgrade: WebSocket", "Connection: upgrade", first="HTTP/1.1 101 Switching"
    )
    assert read_response(raw).upgrade == "websocket"


@pytest.mark.parametrize(
    "raw",
    [
        answer("X: \x00"),
        answer("X: \x0b"),
        answer("X: a", " b"),
        answer("X: a\nY: b"),
        answer("X: a\rY: b"),
        answer("X : a"),
        answer("X"),
        answer(first="HTTP/2.0 200 OK"),
        answer(first="HTTP/1.1 000 OK"),
        answer(first="HTTP/1.1 OK"),
        b"\r\n\r\n",
        answer("X: \x01", "Content-Length: 5", "Content-Length: 5"),
        answer("X: \x01", "Content-Length: 5, 5"),
        answer("X: \x01", "Content-Length: 5", "Transfer-Encoding: chunked"),
        answer("X: \x01", "Transfer-Encoding: chunked", first="HTTP/1.0 200 OK"),
        answer("X: \x01", "Connection: a b"),
    ],
)
def test_answers_that_are_refused(raw: bytes) -> None:
    with pytest.raises(BadResponseError) as caught:
        read_response(raw)
    assert caught.value.status == 502


def test_half_a_head_is_never_given_to_it_but_would_be_refused() -> None:
    assert refused(b"GET / HTTP/1.1\r\n").status == 400
    with pytest.raises(BadResponseError):
        read_response(b"HTTP/1.1 200 OK\r\n")
