"""Connections, sockets, reloads and clients that leave."""

import json
import threading
from pathlib import Path

import pytest

from tests.journeys.apps.scripted import Conversation, scripted
from tests.journeys.clients.asking import Client, Load, ask, trusting
from tests.journeys.clients.raw import RawClient
from tests.journeys.forward_auth.deciding import (
    CONFIG,
    GOOD,
    config,
    verdict,
)
from tests.journeys.running import PATIENCE, RunningProxy, StartProxy, eventually
from tests.journeys.upstreams.server import (
    Gate,
    Upstream,
    Upstreams,
)


def entries(proxy: RunningProxy) -> list[dict[str, object]]:
    """Return what the access log holds by now."""
    log = proxy.config.parent / "access.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines]


def entry(proxy: RunningProxy, number: int = 1) -> dict[str, object]:
    """Wait for a line of the access log."""
    return eventually(lambda: entries(proxy)[number - 1 : number])[0]


def test_one_connection_carries_many_questions(
    proxy: RunningProxy, app: Upstream, auth: Upstream
) -> None:
    for _ in range(20):
        with Client(proxy.https_port, tls=trusting(proxy.ca_file)) as client:
            for _ in range(5):
                assert client.ask("/", fields=GOOD).status == 200
    assert (len(auth.requests), auth.connections) == (100, 1)
    assert (len(app.requests), app.connections) == (100, 1)


def test_a_connection_that_the_server_closed_is_replaced(
    start_proxy: StartProxy, tmp_path: Path, app: Upstream, upstreams: Upstreams
) -> None:
    auth = upstreams(verdict, idle=0.2)
    proxy = start_proxy(config(app, auth), tmp_path)
    for _ in range(4):
        assert ask(proxy.http_port, "/", fields=GOOD).status == 200
        eventually(lambda: not auth._open)
    assert auth.connections == 4


def test_over_a_unix_socket(
    start_proxy: StartProxy, tmp_path: Path, app: Upstream, upstreams: Upstreams
) -> None:
    auth = upstreams(verdict, unix=str(tmp_path / "auth.sock"))
    text = (
        CONFIG.replace("APP", app.url).replace("AUTH/", f"{auth.url}:/").replace("AUTH", auth.url)
    )
    proxy = start_proxy(text, tmp_path)
    assert ask(proxy.http_port, "/", fields=GOOD).status == 200
    assert auth.requests[0].get("host") == "localhost"
    assert ask(proxy.http_port, "/").status == 302


def test_reloads_disturb_nobody(
    proxy: RunningProxy, app: Upstream, auth: Upstream, upstreams: Upstreams
) -> None:
    other = upstreams(verdict)
    texts = [config(app, auth), config(app, other)]
    context = trusting(proxy.ca_file)
    body = b"x" * 20_000

    def once(client: Client) -> object:
        return client.ask("/", method="POST", fields=GOOD, body=body)

    with Load(lambda: Client(proxy.https_port, tls=context), once) as load:  # type: ignore[arg-type]
        for text in [*texts[::-1], *texts[::-1]]:
            load.wait_for(30)
            assert proxy.reload(text).returncode == 0
        load.wait_for(30)
    assert load.failures == []
    assert auth.requests
    assert other.requests
    assert {len(request.body) for request in app.requests} == {len(body)}


def test_a_reload_while_the_server_thinks(
    proxy: RunningProxy, app: Upstream, auth: Upstream, upstreams: Upstreams
) -> None:
    gate = Gate("fine")
    auth.handler = gate
    with RawClient(proxy) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
        assert gate.asked.wait(PATIENCE)
        assert proxy.reload(config(upstreams(), upstreams(verdict))).returncode == 0
        gate.may_answer.set()
        assert client.answer().status == 200
    assert app.requests[0].body == b"hello"


def test_the_log_knows_the_user(proxy: RunningProxy) -> None:
    assert ask(proxy.http_port, "/", fields=GOOD).status == 200
    found = entry(proxy)
    assert (found["status"], found["user"]) == (200, "alice")


@pytest.mark.parametrize("body", ["", "hello", "hel"], ids=["no body", "a body", "half a body"])
def test_a_client_that_leaves_takes_its_question_along(
    start_proxy: StartProxy, tmp_path: Path, app: Upstream, body: str
) -> None:
    asked, left = threading.Event(), threading.Event()

    def waits(conversation: Conversation) -> None:
        asked.set()
        if not conversation.receive():
            left.set()

    with scripted() as auth:
        auth.script = waits
        text = CONFIG.replace("AUTH", f"http://127.0.0.1:{auth.port}").replace("APP", app.url)
        proxy = start_proxy(text.replace("timeout: 2s", "timeout: 1h"), tmp_path)
        with RawClient(proxy) as client:
            length = "Content-Length: 5\r\n" if body else ""
            client.send(f"POST / HTTP/1.1\r\nHost: localhost\r\n{length}\r\n{body}".encode())
            assert asked.wait(PATIENCE)
        assert left.wait(PATIENCE)
        assert entry(proxy)["status"] == 499
        # Its connection is gone, and the next client has one of its own.
        auth.says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert ask(proxy.http_port, "/").status == 200
        assert auth.connections == 2
    assert len(app.requests) == 1
