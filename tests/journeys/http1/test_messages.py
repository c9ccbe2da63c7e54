"""Messages as they pass: heads and bodies to the byte, 1xx, answers without a body."""

import threading

import pytest

from tests.journeys.apps.scripted import OK, Conversation, ScriptedUpstream
from tests.journeys.clients.raw import RawClient
from tests.journeys.http1.heads import fields_of, request_line
from tests.journeys.running import PATIENCE

# What is sent on, to the byte.


def test_the_rest_of_a_head_is_sent_on_as_it_came(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    target = "/a/..b/.c/%2e%2E.../%2F//c;p=1/~!$&'()*+,=:@?q=%zz&[]|^`{}\"<>\\"
    answer = client.ask(
        f"GET {target}",
        "aCCept:  */*",
        "X-Empty:",
        "X-Text: a\tb \xe9",
        "Cookie: a=1",
        "Cookie: b=2",
    )
    assert answer.status == 200
    (head,) = upstream.heads
    assert request_line(head) == f"GET {target} HTTP/1.1"
    assert (
        b"\r\naCCept:  */*\r\nX-Empty:\r\nX-Text: a\tb \xe9\r\nCookie: a=1\r\nCookie: b=2\r\n"
        in head
    )


def test_the_rest_of_an_answers_head_is_passed_as_it_came(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    upstream.says(
        b"HTTP/1.1 299 Quite \xe9 fine\r\nX_Under: 1\r\nSet-Cookie: a=1\r\nX-Empty:\r\n"
        b"Set-Cookie: b=2\r\nDate: yesterday\r\nServer: me\r\nContent-Length: 0\r\n\r\n"
    )
    answer = client.ask("GET /")
    assert answer.line == "HTTP/1.1 299 Quite \xe9 fine"
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert answer["x_under"] == "1"
    assert answer["x-empty"] == ""
    assert answer["date"] == "yesterday"
    assert answer["server"] == "me"


def test_an_answers_fields_of_the_hop_stay_here(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    upstream.says(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Upgrade: h2c\r\nProxy-Connection: x\r\nContent-Length: 2\r\n\r\nok"
    )
    answer = client.ask("GET /")
    for name in ("connection", "x-hop", "keep-alive", "upgrade", "proxy-connection"):
        assert name not in answer
    assert client.ask("GET /").body == b"ok"


def test_a_chunked_request_is_given_a_length(client: RawClient, upstream: ScriptedUpstream) -> None:
    body = b"5\r\nhello\r\n1;a=b\r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: t\r\n\r\n"
    client.ask("POST /", "trailer: X-Trailer", "Transfer-Encoding: chunked", "X-A: b", body=body)
    assert upstream.bodies == [b"hello world"]
    found = fields_of(upstream.heads[0])
    assert found["content-length"] == "11"
    assert found["x-a"] == "b"
    assert "transfer-encoding" not in found
    assert "trailer" not in found, "there is none in a body with a length"


def test_a_chunked_request_is_streamed_where_nothing_is_buffered(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    client.send(
        b"POST /streamed/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Trailer: X-Trailer\r\n\r\n5;a=b\r\nhello\r\n"
    )
    client.send(b"6\r\n world\r\n0\r\nX-Trailer: t\r\nContent-Length: 3\r\nX_Bad: 1\r\n\r\n")
    assert client.answer().status == 200
    found = fields_of(upstream.heads[0])
    assert found["transfer-encoding"] == "chunked"
    assert found["trailer"] == "X-Trailer"
    assert "content-length" not in found
    (body,) = upstream.bodies
    assert body.endswith(b"\r\n0\r\nX-Trailer: t\r\n\r\n")
    assert b"a=b" not in body
    assert client.ask("GET /streamed/").status == 200


def test_trailers_of_an_answer_pass(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.says(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n"
        b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-Checksum: 1\r\nSet-Cookie: a=1\r\n\r\n"
    )
    answer = client.ask("GET /", "TE: trailers", "Connection: TE")
    assert answer.body == b"hello world"
    assert answer.trailers == b"X-Checksum: 1\r\n"
    found = fields_of(upstream.heads[0])
    assert (found["te"], found["connection"].lower()) == ("trailers", "te")
    assert client.ask("GET /").body == b"hello world"


# 1xx.


@pytest.mark.parametrize("path", ["/", "/streamed/"])
@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_client_that_expects_100_is_told_to_go_on(
    client: RawClient, upstream: ScriptedUpstream, path: str, framing: str
) -> None:
    upstream.says(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"
    client.send(head.encode())
    assert client.head().status == 100
    client.send(b"hello" if "Length" in framing else b"5\r\nhello\r\n0\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.interim) == (200, [])
    assert b"hello" in upstream.bodies[0]
    assert "expect" not in fields_of(upstream.heads[0])


def test_a_client_that_expects_100_is_refused_before_its_body(client: RawClient) -> None:
    answer = client.ask("POST /nowhere", "Expect: 100-continue", "Content-Length: 5", host="other")
    assert answer.status == 421
    assert not answer.interim


def test_early_hints_pass_before_the_answer(client: RawClient, upstream: ScriptedUpstream) -> None:
    arrived = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        assert arrived.wait(PATIENCE)
        conversation.send(b"HTTP/1.1 102 Processing\r\n\r\n" + OK)

    upstream.script = script
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    hints = client.head()
    arrived.set()
    assert hints.status == 103
    assert hints["link"] == "</a.css>; rel=preload"
    answer = client.answer()
    assert answer.body == b"ok"
    assert [each.status for each in answer.interim] == [102]


def test_a_client_of_http_1_0_gets_no_interim_answer(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    upstream.says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    client.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.interim, answer.body) == (200, [], b"ok")


# Answers without a body.


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("POST", b"HTTP/1.1 201 Created\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_answers_without_a_body(
    client: RawClient, upstream: ScriptedUpstream, method: str, head: bytes
) -> None:
    upstream.says(head)
    answer = client.ask(f"{method} /")
    assert answer.body == b""
    assert str(answer.status).encode() == head.split(b" ")[1]
    if b"Content-Length: 5" in head:
        assert answer["content-length"] == "5"
    if answer.status == 204:
        assert "content-length" not in answer
        assert "transfer-encoding" not in answer
    upstream.says(OK)
    assert client.ask("GET /").body == b"ok"
