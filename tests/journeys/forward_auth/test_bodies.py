"""What a client sends waits until the decision, and then arrives."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.journeys.apps.running import uvicorn
from tests.journeys.apps.scripted import Conversation, scripted
from tests.journeys.clients.curl import curl
from tests.journeys.clients.raw import RawClient, tls_context
from tests.journeys.forward_auth.deciding import CONFIG, GOOD, MB, YES, saying, with_app
from tests.journeys.running import PATIENCE, RunningProxy, StartProxy
from tests.journeys.upstreams.server import (
    Gate,
    Upstream,
    answer,
)
from tests.journeys.websocket.opening import SWITCHED, handshake


def pieces(body: bytes) -> Iterator[bytes]:
    for begin in range(0, len(body), 70_000):
        yield body[begin : begin + 70_000]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_whole_after_the_wait(
    proxy: RunningProxy, app: Upstream, auth: Upstream, *, chunked: bool
) -> None:
    gate = Gate("fine")
    auth.handler = gate
    body = bytes(range(256)) * (MB // 256)
    threading.Timer(0.3, gate.may_answer.set).start()
    found = httpx.post(
        f"https://localhost:{proxy.https_port}/up",
        content=pieces(body) if chunked else body,
        verify=tls_context(proxy.ca_file),
        timeout=PATIENCE,
        trust_env=False,
    )
    assert found.status_code == 200
    assert app.requests[0].body == body
    assert auth.requests[0].body == b""


def test_a_small_body_that_came_with_its_head_arrives(
    proxy: RunningProxy, app: Upstream, auth: Upstream
) -> None:
    gate = Gate("fine")
    auth.handler = gate
    with RawClient(proxy) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
        assert gate.asked.wait(PATIENCE)
        client.send(b"GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n")  # pipelined behind it
        gate.may_answer.set()
        assert client.answer().status == 200
        assert client.answer().status == 200
    assert app.requests[0].body == b"hello"
    assert app.targets() == ["/", "/next"]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_client_that_asks_first_is_told_after_the_decision(
    proxy: RunningProxy, app: Upstream, auth: Upstream, *, allowed: bool
) -> None:
    body = bytes(range(256)) * (MB // 256)
    auth.handler = saying(YES if allowed else answer("no", "403 Forbidden"))
    done = curl(
        proxy, "/up", "--data-binary", "@-", "-H", "Expect: 100-continue", "-H",
        "Content-Type: application/octet-stream", "--http1.1", "--expect100-timeout", "20",
        data=body,
    )  # fmt: skip
    assert done.code == 0, done.errors
    if allowed:
        assert "100 Continue" in done.head
        assert app.requests[0].body == body
        assert app.requests[0].get("remote-user") == "alice"
    else:
        assert "100 Continue" not in done.head
        assert done.head.startswith("HTTP/1.1 403")
        assert (done.body, app.requests) == (b"no", [])
    assert auth.requests[0].all("expect") == []


def test_a_websocket_opens_after_the_wait(
    start_proxy: StartProxy, tmp_path: Path, auth: Upstream
) -> None:
    with uvicorn(tmp_path) as server:
        text = CONFIG.replace("APP", f"http://127.0.0.1:{server.port}").replace("AUTH", auth.url)
        proxy = start_proxy(text, tmp_path)
        with connect(
            f"wss://localhost:{proxy.https_port}/ws/told",
            ssl=tls_context(proxy.ca_file),
            additional_headers={**GOOD, "Remote-User": "root"},
            proxy=None,
        ) as client:
            headers = json.loads(client.recv())["headers"]
            assert [value for name, value in headers if name == "remote-user"] == ["alice"]
            client.send("echo")
            assert client.recv() == "echo"
    (asked,) = auth.requests
    assert (asked.all("upgrade"), asked.all("connection")) == ([], [])


def test_bytes_that_come_with_a_handshake_wait_too(proxy: RunningProxy, auth: Upstream) -> None:
    def script(conversation: Conversation) -> None:
        conversation.send(SWITCHED)
        conversation.send(b"<" + conversation.receive() + b">")
        conversation.close()

    with scripted() as app:
        app.script = script
        with_app(proxy, f"http://127.0.0.1:{app.port}")
        gate = Gate("fine")
        auth.handler = gate
        with RawClient(proxy) as client:
            client.send(handshake("/") + b"early")
            assert gate.asked.wait(PATIENCE)
            assert app.heads == []
            gate.may_answer.set()
            assert client.answer().status == 101
            assert client.read(7) == b"<early>"


def test_a_websocket_that_is_not_let_in(proxy: RunningProxy, app: Upstream) -> None:
    with RawClient(proxy) as client:
        client.send(handshake("/"))
        assert client.answer().status == 302
    assert app.requests == []
