"""WebSockets of uvicorn and Daphne."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection

from tests.journeys.apps.running import proxying, uvicorn
from tests.journeys.apps.sockets import FLOOD
from tests.journeys.clients.raw import RawClient
from tests.journeys.running import PATIENCE, RunningProxy, children_of, eventually
from tests.journeys.websocket.opening import CONFIG, handshake, opened, sockets

SILENCE = 5.5

# One connection is silent while the others run: that is all this module waits.


@pytest.fixture(scope="module", autouse=True)
def silent(proxy: RunningProxy) -> Iterator[dict[str, tuple[ClientConnection, float]]]:
    with ExitStack() as stack:
        yield {
            name: (stack.enter_context(opened(proxy, f"/{name}/ws/echo")), time.monotonic())
            for name in ("uvicorn", "daphne")
        }


def test_echo(proxy: RunningProxy, server: str) -> None:
    noise = random.Random(6455)
    with opened(proxy, f"/{server}/ws/echo") as socket:
        for text in ("a", "\u00e4\U0001f600", "long " * 20_000):
            socket.send(text)
            assert socket.recv(PATIENCE) == text
        for size in (1, 125, 126, 65_535, 65_536, 1_000_000):
            data = noise.randbytes(size)
            socket.send(data)
            assert socket.recv(PATIENCE) == data
        assert socket.ping().wait(PATIENCE)


def test_messages_in_fragments(proxy: RunningProxy, server: str) -> None:
    with opened(proxy, f"/{server}/ws/echo") as socket:
        socket.send(["one ", "two ", "three"])
        assert socket.recv(PATIENCE) == "one two three"


def test_many_messages_at_once(proxy: RunningProxy, server: str) -> None:
    with opened(proxy, f"/{server}/ws/echo") as socket:
        messages = [f"{number} " * 50 for number in range(500)]

        def send() -> None:
            for each in messages:
                socket.send(each)

        sender = threading.Thread(target=send)
        sender.start()
        assert [socket.recv(PATIENCE) for _ in messages] == messages
        sender.join()


def test_the_server_speaks_first_and_is_told_of_the_client(
    proxy: RunningProxy, server: str
) -> None:
    headers = {"Cookie": "sessionid=abc", "X-Forwarded-For": "6.6.6.6", "Authorization": "Bearer x"}
    with opened(proxy, f"/{server}/ws/told", origin="https://localhost", headers=headers) as socket:
        told = json.loads(socket.recv(PATIENCE))
    found = dict(told["headers"])
    assert len(found) == len(told["headers"])
    assert told["path"] == "/ws/told"
    assert found["host"] == f"localhost:{proxy.https_port}"
    assert found["origin"] == "https://localhost"
    assert found["cookie"] == "sessionid=abc"
    assert found["authorization"] == "Bearer x"
    assert found["x-forwarded-for"] == found["x-real-ip"] == "127.0.0.1"
    assert found["x-forwarded-proto"] == "https"
    assert found["upgrade"].lower() == "websocket"
    assert found["connection"].lower() == "upgrade"
    assert found["sec-websocket-version"] == "13"


def test_compression_is_agreed_on_by_the_ends(proxy: RunningProxy) -> None:
    with opened(proxy, "/uvicorn/ws/echo") as socket:
        assert socket.response is not None
        assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
        text = "compressible " * 100_000
        socket.send(text)
        assert socket.recv(PATIENCE) == text
    with opened(proxy, "/uvicorn/ws/echo", compression=None) as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


def test_subprotocols(proxy: RunningProxy, server: str) -> None:
    with opened(proxy, f"/{server}/ws/echo", subprotocols=["chat.v1", "chat.v2"]) as socket:
        assert socket.subprotocol == "chat.v2"
    with opened(proxy, f"/{server}/ws/echo") as socket:
        assert socket.subprotocol is None


def test_a_refused_handshake_is_passed_on(proxy: RunningProxy, server: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(proxy, f"/{server}/ws/refused")
    response = refused.value.response
    assert response.status_code == 403
    assert response.headers["Strict-Transport-Security"] == "max-age=63072000"


def test_a_path_without_a_websocket_is_passed_on(proxy: RunningProxy) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(proxy, "/uvicorn/echo")
    assert refused.value.response.status_code in (403, 404)
    with pytest.raises(InvalidStatus) as refused:
        opened(proxy, "/nowhere")
    assert refused.value.response.status_code == 404


# The end.


def test_the_client_closes(proxy: RunningProxy) -> None:
    before = len(sockets(proxy).ended)
    with opened(proxy, "/uvicorn/ws/echo") as socket:
        socket.close(4001, "bye")
        assert socket.protocol.close_rcvd is not None
        assert socket.protocol.close_rcvd.code == 4001
    assert eventually(lambda: sockets(proxy).ended[before:]) == [("/ws/echo", 4001)]


def test_the_server_closes(proxy: RunningProxy, server: str) -> None:
    with opened(proxy, f"/{server}/ws/farewell") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4002
        assert closed.value.rcvd.reason == (
            "" if server == "daphne" else "enough"
        )  # which drops it


def test_a_client_that_vanishes(proxy: RunningProxy) -> None:
    before = len(sockets(proxy).ended)
    with RawClient(proxy) as client:
        client.send(handshake("/uvicorn/ws/echo"))
        assert client.answer().status == 101
    ((path, code),) = eventually(lambda: sockets(proxy).ended[before:])
    assert path == "/ws/echo"
    assert code == CloseCode.GOING_AWAY


def test_an_upstream_that_is_killed(tmp_path: Path) -> None:
    with (
        uvicorn(tmp_path) as server,
        proxying(CONFIG, tmp_path, UVICORN=server.port, DAPHNE=1, SCRIPTED=1) as own,
        opened(own, "/uvicorn/ws/echo") as socket,
    ):
        socket.send("there?")
        assert socket.recv(PATIENCE) == "there?"
        server.kill()
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == CloseCode.INTERNAL_ERROR


def test_a_route_may_limit_silence(proxy: RunningProxy) -> None:
    with opened(proxy, "/brief/ws/echo") as socket:
        for _ in range(4):
            time.sleep(0.4)
            socket.send("here")
            assert socket.recv(PATIENCE) == "here"
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)


# Back-pressure.


def test_a_client_that_does_not_read_stops_the_server(proxy: RunningProxy) -> None:
    memory = {pid: anonymous(pid) for pid in children_of(proxy.pid)}
    with opened(proxy, "/uvicorn/ws/flood", compression=None) as socket:
        assert socket.recv(PATIENCE) == (0).to_bytes(8, "big") * 8192
        sent = [0, 1, 2, 3]
        while len(set(sent)) > 1:  # until nobody takes any more
            sent = [*sent[1:], sockets(proxy).flood]
        assert sent[0] < FLOOD, "the application waits"
        for number in range(1, FLOOD):
            assert socket.recv(PATIENCE) == number.to_bytes(8, "big") * 8192
    grown = {pid: anonymous(pid) - before for pid, before in memory.items()}
    assert max(grown.values()) < 2 * 1024 * 1024


def anonymous(pid: int) -> int:
    """The memory of a process that is its own, in bytes."""
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123 - a file of the kernel
        (line,) = [line for line in status if line.startswith("RssAnon:")]
    return int(line.split()[1]) * 1024


def test_a_long_silence_ends_nothing(
    silent: dict[str, tuple[ClientConnection, float]], server: str
) -> None:
    socket, since = silent[server]
    time.sleep(max(0.0, since + SILENCE - time.monotonic()))
    socket.send("still there?")
    assert socket.recv(PATIENCE) == "still there?"


def test_the_log_tells_of_a_websocket(proxy: RunningProxy) -> None:
    with opened(proxy, "/uvicorn/ws/echo?for=the-log") as socket:
        socket.send("x")
        socket.recv(PATIENCE)
    eventually(lambda: '"GET /uvicorn/ws/echo?for=the-log HTTP/1.1" 101 ' in proxy.output())
