"""A server that gives no answer lets nobody in."""

import asyncio
import threading

import pytest

from tests.journeys.clients.asking import ask
from tests.journeys.forward_auth.deciding import (
    GOOD,
    saying,
    verdict,
)
from tests.journeys.running import PATIENCE, RunningProxy
from tests.journeys.upstreams.server import (
    Handler,
    Request,
    Upstream,
    answer,
    hang_up,
)


async def silent(_request: Request, _client: asyncio.StreamWriter) -> None:
    await asyncio.sleep(PATIENCE)


async def dripping(_request: Request, client: asyncio.StreamWriter) -> None:
    client.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(200):
        client.write(b"x")
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("handler", "status"),
    [
        (hang_up, 502),
        (saying(b"SSH-2.0-OpenSSH_9\r\n"), 502),
        (saying(b"HTTP/1.1 200 OK\nRemote-User: alice\n\n"), 502),
        (saying(answer("", "200 OK", "Content-Length: 2")), 502),
        (saying(answer(b"x" * (65 * 1024))), 502),
        (saying(answer("", "200 OK", "X-Long: " + "x" * 70_000)), 502),
        (saying(answer("Traceback", "500 Oops", "Remote-User: alice")), 502),
        (saying(answer("", "304 Not Modified")), 502),
        (saying(answer("Traceback", "503 Later", "Retry-After: 7")), 503),
        (saying(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n"), 502),
        (silent, 504),
        (dripping, 504),
    ],
)  # fmt: skip
def test_no_answer_lets_nobody_in(
    proxy: RunningProxy, app: Upstream, auth: Upstream, handler: Handler, status: int
) -> None:
    auth.handler = handler
    found = ask(proxy.http_port, "/", method="POST", fields=GOOD, body=b"x" * 100_000)
    assert found.status == status
    assert "Traceback" not in found.text
    assert found.get("retry-after") == ("7" if status == 503 else "")
    assert app.requests == []
    # A question is a GET, so one that was hung up on may be asked again; no more than that.
    assert len(auth.requests) <= 2
    auth.handler = verdict
    assert ask(proxy.http_port, "/", fields=GOOD).status == 200


def test_a_server_that_is_down_lets_nobody_in_until_it_is_back(
    proxy: RunningProxy, app: Upstream, auth: Upstream
) -> None:
    assert ask(proxy.http_port, "/", fields=GOOD).status == 200
    auth.kill()
    assert ask(proxy.http_port, "/", fields=GOOD).status == 503
    assert ask(proxy.http_port, "/open/").status == 200
    assert len(app.requests) == 2
    auth.start()
    assert ask(proxy.http_port, "/", fields=GOOD).status == 200
    assert "no server can be reached" in proxy.log()


def test_a_server_that_restarts_is_waited_for(
    proxy: RunningProxy, app: Upstream, auth: Upstream
) -> None:
    assert ask(proxy.http_port, "/", fields=GOOD).status == 200
    auth.kill()
    threading.Timer(0.5, auth.start).start()
    assert ask(proxy.http_port, "/", fields=GOOD).status == 200
    assert len(app.requests) == 2
