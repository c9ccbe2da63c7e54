"""Upstreams that break the rules."""

import threading

import pytest

from tests.journeys.apps.scripted import OK, Conversation, ScriptedUpstream
from tests.journeys.clients.curl import curl
from tests.journeys.clients.raw import CutShortError, RawClient
from tests.journeys.running import PATIENCE, RunningProxy, eventually


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 99 What\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"ICY 200 OK\r\n\r\n",
    ],
    ids=lambda answer: answer[:60].decode("latin-1"),
)
def test_bad_answers(client: RawClient, upstream: ScriptedUpstream, answer: bytes) -> None:
    upstream.says(answer, close=True)
    assert client.ask("POST /", "Content-Length: 1", body=b"x").status == 502
    assert len(upstream.heads) == 1, "a POST is not sent twice"
    upstream.begin()
    assert client.ask("GET /").body == b"ok"


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("begun", "came"),
    [
        (b"Content-Length: 10\r\n\r\nhello", b"hello"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"5\r\nhello\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo", b"7\r\nhellowo\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", b"5\r\nhello\r\n"),
    ],
)
def test_an_answer_cut_short_is_cut_short_for_the_client(
    proxy: RunningProxy, upstream: ScriptedUpstream, begun: bytes, came: bytes, *, reset: bool
) -> None:
    passed_on = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\n" + begun)
        assert not reset or passed_on.wait(PATIENCE)
        if reset:
            conversation.reset()
        else:
            conversation.close()

    upstream.script = script
    for path in ("/", "/streamed/"):
        passed_on.clear()
        with RawClient(proxy) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.head().status == 200
            passed_on.set()
            body, clean = client.rest()
            assert not clean
            assert (
                came.startswith(body) if reset else body.replace(b"2\r\nwo\r\n", b"") in came + body
            )
            assert b"0\r\n" not in body
    upstream.begin()
    with RawClient(proxy) as client:
        assert client.ask("GET /").body == b"ok"


@pytest.mark.needs("curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
@pytest.mark.parametrize(
    "begun",
    [
        b"Content-Length: 10\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_curl_notices_an_answer_cut_short(
    proxy: RunningProxy, upstream: ScriptedUpstream, begun: bytes, version: str
) -> None:
    upstream.says(b"HTTP/1.1 200 OK\r\n" + begun, close=True)
    assert curl(proxy, "/", version).code in (18, 56)


def test_a_reset_is_no_end_of_an_answer(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    passed_on = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        assert passed_on.wait(PATIENCE)
        conversation.reset()

    upstream.script = script
    with RawClient(proxy) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.head()
        passed_on.set()
        with pytest.raises(CutShortError):
            client._chunks()


@pytest.mark.parametrize("goodbye", [True, False])
def test_the_end_of_an_answer_over_tls_needs_a_goodbye(
    client: RawClient, secure: ScriptedUpstream, *, goodbye: bool
) -> None:
    """RFC 9112, 9.8: an answer that ends with its connection is whole after close_notify alone."""

    def script(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        if goodbye:
            conversation.close()
        else:
            conversation.close_without_goodbye()

    secure.script = script
    if goodbye:
        assert client.ask("GET /secure/").body == b"hello"
    else:
        with pytest.raises(CutShortError):
            client.ask("GET /secure/")


def test_an_upstream_that_cannot_be_verified(
    client: RawClient, proxy: RunningProxy, secure: ScriptedUpstream
) -> None:
    assert client.ask("GET /secure/").body == b"ok"
    assert client.ask("GET /distrusted/").status == 502
    assert len(secure.heads) == 1
    eventually(lambda: "/distrusted/" in proxy.log())
    (line,) = [line for line in proxy.log().splitlines() if "/distrusted/" in line]
    assert "certificate" in line, "the operator is told why"


@pytest.mark.parametrize("path", ["/", "/streamed/"])
@pytest.mark.parametrize(
    "answer",
    [
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 204 No Content\r\n\r\npoison",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + OK,
    ],
)
def test_bytes_after_an_answer_poison_nobody(
    proxy: RunningProxy, upstream: ScriptedUpstream, answer: bytes, path: str
) -> None:
    upstream.says(answer)
    with RawClient(proxy) as first, RawClient(proxy) as second:
        assert b"poison" not in first.ask(f"GET {path}").body
        upstream.begin()
        upstream.says(OK.replace(b"ok", b"me"))
        assert second.ask(f"GET {path}").body == b"me"
        assert first.ask(f"GET {path}").body == b"me"


def test_a_body_in_answer_to_head_poisons_nobody(
    proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    upstream.says(OK)
    with RawClient(proxy) as first, RawClient(proxy) as second:
        for _ in range(3):
            assert first.ask("HEAD /").status == 200
            assert second.ask("GET /").body == b"ok"
            assert first.ask("GET /").body == b"ok"


def test_bytes_that_nobody_asked_for_poison_nobody(
    proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    more = threading.Event()
    sent = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.send(OK)
        if conversation.head.startswith(b"GET /first "):
            assert more.wait(PATIENCE)
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            assert conversation.receive() == b"", "the proxy hangs up on it"
            sent.set()

    upstream.script = script
    with RawClient(proxy) as client:
        assert client.ask("GET /first").body == b"ok"
        more.set()
        assert sent.wait(PATIENCE)
        assert client.ask("GET /second").body == b"ok"
