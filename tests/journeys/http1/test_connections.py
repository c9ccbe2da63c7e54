"""Connections: many requests on one, and what becomes of it when an end is slow, early or gone."""

import pytest

from tests.journeys.apps.scripted import OK, Conversation, ScriptedUpstream
from tests.journeys.clients.raw import RawClient
from tests.journeys.http1.heads import echo_target
from tests.journeys.running import RunningProxy

# One connection, many requests.


def test_connections_are_kept_on_both_sides(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.script = echo_target
    for number in range(5):
        answer = client.ask(f"GET /{number}")
        assert answer.body == b"GET /%d HTTP/1.1|" % number
        assert "connection" not in answer
    assert upstream.connections <= 1


def test_pipelined_requests_are_answered_in_order(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    upstream.script = echo_target
    requests = [
        b"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nGET /",
        b"HEAD /3 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /4 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /6 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    client.send(b"".join(requests))
    assert client.answer().body == b"GET /1 HTTP/1.1|"
    assert client.answer().body == b"POST /2 HTTP/1.1|GET /"
    assert client.answer("HEAD")["content-length"] == str(len("HEAD /3 HTTP/1.1|"))
    assert client.answer().body == b"POST /4 HTTP/1.1|abcde"
    assert client.answer().body == b"pong"
    last = client.answer()
    assert last.body == b"GET /6 HTTP/1.1|"
    assert last["connection"] == "close"
    assert client.rest() == (b"", True)
    assert not [head for head in upstream.heads if b"never" in head]


def test_hundreds_of_pipelined_requests(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.script = echo_target
    pad = "x" * 1000

    def send(first: int) -> None:
        lines = (
            f"GET /{first + each}?{pad} HTTP/1.1\r\nHost: localhost\r\n" for each in range(100)
        )
        client.send("\r\n".join((*lines, "")).encode())

    send(0)
    for first in range(0, 400, 100):
        if first < 300:
            send(first + 100)  # a hundred ahead: more than the proxy takes in
        for number in range(first, first + 100):
            assert client.answer().body == f"GET /{number}?{pad} HTTP/1.1|".encode()


def test_a_request_byte_by_byte(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.script = echo_target
    for byte in (
        b"\r\nPOST /slowly HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"4;ext=1\r\nwell\r\n0\r\nX-Trailer: t\r\n\r\n"
    ):
        client.send(bytes([byte]))
    assert client.answer().body == b"POST /slowly HTTP/1.1|well"
    assert client.ask("GET /after").body == b"GET /after HTTP/1.1|"


def test_an_answer_byte_by_byte(client: RawClient, upstream: ScriptedUpstream) -> None:
    def script(conversation: Conversation) -> None:
        for byte in (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"4;ext=1\r\nwell\r\n0\r\nX-Trailer: t\r\n\r\n"
        ):
            conversation.send(bytes([byte]))

    upstream.script = script
    answer = client.ask("GET /slowly")
    assert (answer.body, answer.trailers) == (b"well", b"X-Trailer: t\r\n")
    assert [each.status for each in answer.interim] == [103]


# Ends that close, die, or speak too early.


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\nuntil the end",
    ],
)
def test_an_upstream_that_closes_costs_the_client_nothing(
    client: RawClient, upstream: ScriptedUpstream, answer: bytes
) -> None:
    upstream.says(answer, close=True)
    for _ in range(3):
        assert client.ask("GET /").body == b"until the end"
    assert len(upstream.heads) == 3


def die_on_reuse(conversation: Conversation) -> None:
    """Close as soon as a second request comes, as a server does whose patience just ended."""
    if conversation.number == 1:
        conversation.send(OK)
    else:
        conversation.close()


def test_a_kept_alive_connection_that_dies_costs_a_get_nothing(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    upstream.says(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    client.ask("GET /last-of-the-others")
    upstream.begin()
    upstream.script = die_on_reuse
    for number in range(4):
        assert client.ask(f"GET /{number}").body == b"ok"
    assert client.ask("PUT /put", "Content-Length: 3", body=b"abc").body == b"ok"
    assert upstream.bodies[-2:] == [b"abc", b"abc"], "idempotent, and its body was kept"


def test_a_post_is_never_sent_twice(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.script = die_on_reuse
    for _ in range(3):
        client.ask("GET /")  # leaves a connection that will die
        upstream.heads.clear()
        answer = client.ask("POST /", "Content-Length: 3", body=b"abc")
        assert answer.status in (200, 502)
        assert len(upstream.heads) == 1
    answer = client.ask("POST /", "Idempotency-Key: 1", "Content-Length: 3", body=b"abc")
    assert answer.status == 200


@pytest.mark.parametrize("framing", ["Content-Length: 5000000", "Transfer-Encoding: chunked"])
def test_an_answer_may_come_before_the_request_is_whole(
    proxy: RunningProxy, upstream: ScriptedUpstream, framing: str
) -> None:
    """Who refuses an upload early is heard, and the connection it came by serves nobody else."""

    def script(conversation: Conversation) -> None:
        if conversation.head.startswith(b"POST "):
            conversation.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
        else:
            conversation.send(OK)

    upstream.on_head = upstream.script = script
    with RawClient(proxy) as client:
        client.send(f"POST /streamed/ HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode())
        client.send(b"1000\r\n" + b"x" * 4096)
        answer = client.answer()
        assert (answer.status, answer.body) == (401, b"no")
        assert answer["connection"] == "close"
        assert client.rest() == (b"", True)
    upstream.on_head = None
    with RawClient(proxy) as client:
        for _ in range(3):
            assert client.ask("GET /streamed/").body == b"ok"
