"""Who is slow, absent or busy, and how long anybody waits for it."""

import socket
import threading
from contextlib import ExitStack

import pytest

from tests.journeys.apps.scripted import OK, Conversation, ScriptedUpstream
from tests.journeys.clients.raw import CutShortError, RawClient
from tests.journeys.running import PATIENCE, RunningProxy, eventually


def stall(conversation: Conversation) -> None:
    """Say nothing, or not all."""
    if conversation.head.startswith(b"GET /stalls "):
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    elif conversation.head.startswith(b"GET /silent "):
        conversation.read_head()
    elif conversation.head.startswith(b"GET /large "):
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 8_000_000)
    else:
        conversation.send(OK)


BODY = b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello"


SLOW = {
    "nothing": (None, b""),
    "half a head": (408, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A"),
    "half a body": (408, b"POST /" + BODY),
    "half a streamed body": (408, b"POST /streamed/" + BODY),
    "half a body for an answer of ours": (200, b"POST /taken" + BODY),
}


def test_slow_clients_are_told_so(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    upstream.script = stall
    with ExitStack() as stack:
        deaf = stack.enter_context(RawClient(proxy, small=True))
        deaf.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        clients = {name: stack.enter_context(RawClient(proxy)) for name in SLOW}
        idle = stack.enter_context(RawClient(proxy))
        for name, (_, request) in SLOW.items():
            clients[name].send(request)
        assert idle.ask("GET /only-get/").body == b"got"
        for name, (status, _) in SLOW.items():
            if status is not None:
                assert clients[name].answer().status == status, name
            assert clients[name].rest() == (b"", True), name
        assert idle.rest() == (b"", True)
        eventually(lambda: "/large" in proxy.output())
        assert deaf.rest()[1] is False
    assert len(upstream.bodies) == 1, "none but that of the large answer became whole"


def test_slow_upstreams(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    upstream.script = stall
    with RawClient(proxy) as silent, RawClient(proxy) as stalls:
        silent.send(b"GET /silent HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(CutShortError) as cut:
            stalls.ask("GET /stalls")
        assert cut.value.held == b"hello"
        assert silent.answer().status == 504
        assert len(upstream.heads) == 2, "there is no other server to try"
        assert silent.ask("GET /").status == 200, "the client's connection serves on"


def test_nobody_there(client: RawClient) -> None:
    assert client.ask("GET /absent/").status == 502
    assert client.ask("POST /absent/", "Content-Length: 1", body=b"x").status == 502
    assert client.ask("GET /awaited/").status == 503
    assert client.ask("GET /nameless/").status in (502, 503)


def test_nobody_there_until_somebody_is(client: RawClient, proxy: RunningProxy) -> None:
    text = proxy.config.read_text()
    port = int(proxy.environment["ABSENT"])
    assert "hold: 1s" in text
    client.send(b"GET /awaited/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(PATIENCE)
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert client.answer().body == b"ok"


def test_a_full_upstream(
    client: RawClient, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    go_on = threading.Event()

    def script(conversation: Conversation) -> None:
        assert go_on.wait(PATIENCE)
        conversation.send(OK)

    upstream.script = script
    client.send(b"GET /single/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    eventually(lambda: len(upstream.heads) == 1)
    with RawClient(proxy) as second:
        assert second.ask("GET /single/").status == 503
        second.send(b"GET /single/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        go_on.set()
        assert client.answer().status == 200
        assert second.answer().status == 200


def test_a_client_that_leaves_the_queue(
    client: RawClient, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    go_on = threading.Event()

    def script(conversation: Conversation) -> None:
        assert go_on.wait(PATIENCE)
        conversation.send(OK)

    upstream.script = script
    client.send(b"GET /single/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    eventually(lambda: len(upstream.heads) == 1)
    with RawClient(proxy) as leaving, RawClient(proxy) as staying:
        leaving.send(b"GET /single/leaving HTTP/1.1\r\nHost: localhost\r\n\r\n")
        staying.send(b"GET /single/staying HTTP/1.1\r\nHost: localhost\r\n\r\n")
        leaving.close()
        eventually(lambda: "/single/leaving" in proxy.output())
        go_on.set()
        assert client.answer().status == 200
        assert staying.answer().status in (200, 503), "unless it waited too long for the log"
    assert not [head for head in upstream.heads if b"leaving" in head]
