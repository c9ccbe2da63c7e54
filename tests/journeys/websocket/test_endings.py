"""What the ends hear when the proxy stops, is full, or finds one of them silent or too loud."""

import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection

from tests.journeys.apps.running import proxying, uvicorn
from tests.journeys.apps.scripted import Conversation, ScriptedUpstream
from tests.journeys.clients.raw import RawClient
from tests.journeys.running import PATIENCE, RunningProxy, eventually
from tests.journeys.websocket.opening import CONFIG, SWITCHED, handshake, opened, sockets


def closed_with(socket: ClientConnection) -> int:
    """Wait for the end; return the code of the close frame that came."""
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(PATIENCE)
    assert closed.value.rcvd is not None, "the connection was cut"
    return closed.value.rcvd.code


def test_a_stop_tells_both_ends(tmp_path: Path) -> None:
    config = "drain_timeout: 1s\n" + CONFIG
    with (
        uvicorn(tmp_path) as server,
        proxying(config, tmp_path, UVICORN=server.port, DAPHNE=1, SCRIPTED=1) as own,
    ):
        with ExitStack() as stack:
            held = [stack.enter_context(opened(own, "/uvicorn/ws/echo")) for _ in range(20)]
            began = time.monotonic()
            own.process.send_signal(signal.SIGTERM)
            held[0].send("still served")
            assert held[0].recv(PATIENCE) == "still served"
            assert {closed_with(socket) for socket in held} == {CloseCode.GOING_AWAY}
        own.process.wait(PATIENCE)
        assert 1.0 <= time.monotonic() - began < 4.0
        # Nobody is there any more to ask through: the application tells directly.
        with proxying(CONFIG, tmp_path, UVICORN=server.port, DAPHNE=1, SCRIPTED=1) as other:
            ended = eventually(lambda: sockets(other).ended)
    assert ended == [("/ws/echo", CloseCode.GOING_AWAY)] * 20


def test_new_workers_take_over_and_the_old_ones_say_so(tmp_path: Path) -> None:
    """`workers` takes new processes: what is open in the old ones ends with their time."""
    config = "drain_timeout: 1s\nworkers: 1\n" + CONFIG
    with (
        uvicorn(tmp_path) as server,
        proxying(config, tmp_path, UVICORN=server.port, DAPHNE=1, SCRIPTED=1) as own,
        opened(own, "/uvicorn/ws/echo") as socket,
    ):
        text = own.config.read_text()
        own.config.write_text(text.replace("workers: 1", "workers: 2"))
        assert own.command("reload").returncode == 0
        assert closed_with(socket) == CloseCode.GOING_AWAY
        with opened(own, "/uvicorn/ws/echo") as again:
            again.send("there?")
            assert again.recv(PATIENCE) == "there?"


def test_a_proxy_that_is_full_says_so_before_the_upgrade(tmp_path: Path) -> None:
    config = "limits: {websockets_per_ip: 3}\n" + CONFIG
    with (
        uvicorn(tmp_path) as server,
        proxying(config, tmp_path, UVICORN=server.port, DAPHNE=1, SCRIPTED=1) as own,
        ExitStack() as stack,
    ):
        held = [stack.enter_context(opened(own, "/uvicorn/ws/echo")) for _ in range(3)]
        with pytest.raises(InvalidStatus) as refused:
            opened(own, "/uvicorn/ws/echo")
        assert refused.value.response.status_code == 429
        held[0].close()

        def let_in() -> bool:
            try:
                stack.enter_context(opened(own, "/uvicorn/ws/echo"))
            except InvalidStatus:
                return False
            return True

        assert eventually(let_in)


def test_pings_are_answered_by_the_ends_and_heard_by_neither(proxy: RunningProxy) -> None:
    with opened(proxy, "/pinged/ws/echo") as socket:
        pings: list[bytes] = []
        hear = socket.protocol.recv_frame

        def listen(frame: object) -> None:
            pings.append(bytes(getattr(frame, "data", b"")))
            hear(frame)  # type: ignore[arg-type]

        socket.protocol.recv_frame = listen  # type: ignore[method-assign]
        with pytest.raises(TimeoutError):
            socket.recv(1.5)
        assert 3 <= len(pings) <= 8
        assert len(set(pings)) == 1
        assert len(pings[0]) == 8
        assert socket.ping(b"mine").wait(PATIENCE), "one's own comes back"
        for text in ("one", "two " * 50_000):
            socket.send(text)
            assert socket.recv(PATIENCE) == text


def test_pings_of_the_upstream_are_the_clients_business(
    proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    got: list[bytes] = []

    def script(conversation: Conversation) -> None:
        conversation.send(SWITCHED + b"\x89\x04ping")
        got.append(conversation.receive())
        conversation.close()

    upstream.script = script
    with RawClient(proxy) as client:
        client.send(handshake())
        assert client.answer().status == 101
        assert client.read(6) == b"\x89\x04ping"
        client.send(b"\x8a\x84abcd" + bytes(a ^ b for a, b in zip(b"ping", b"abcd", strict=True)))
        client.rest()
    assert got[0][:2] == b"\x8a\x84"


@pytest.mark.parametrize("fragments", [1, 5])
def test_a_message_beyond_the_limit(proxy: RunningProxy, fragments: int) -> None:
    before = len(sockets(proxy).ended)
    with opened(proxy, "/small/ws/echo", compression=None) as socket:
        fine = b"x" * 100 * 1024
        socket.send(fine)
        assert socket.recv(PATIENCE) == fine
        socket.send([b"x" * (110 * 1024 // fragments)] * fragments)
        assert closed_with(socket) == CloseCode.MESSAGE_TOO_BIG
    ((_, code),) = eventually(lambda: sockets(proxy).ended[before:])
    # Between two fragments uvicorn takes a close frame for a broken rule, whatever it says.
    assert code == (CloseCode.MESSAGE_TOO_BIG if fragments == 1 else CloseCode.PROTOCOL_ERROR)


def test_with_compression_the_limit_is_that_of_the_wire(proxy: RunningProxy) -> None:
    with opened(proxy, "/small/ws/echo") as socket:
        text = "a" * 1_000_000
        socket.send(text)
        assert socket.recv(PATIENCE) == text
