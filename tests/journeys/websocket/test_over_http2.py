"""WebSockets over HTTP/2 (RFC 8441), by h2 and wsproto, to servers that know HTTP/1.1 alone."""

import signal
from dataclasses import dataclass, field
from pathlib import Path

import h2.settings
import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, TextMessage

from tests.journeys.apps.running import proxying, uvicorn
from tests.journeys.clients.http2 import Http2Client
from tests.journeys.running import RunningProxy, eventually
from tests.journeys.websocket.opening import CONFIG, sockets


@dataclass
class Socket:
    """A WebSocket on a stream."""

    client: Http2Client
    number: int
    frames: Connection = field(default_factory=lambda: Connection(ConnectionType.CLIENT))
    heard: list[Event] = field(default_factory=list)
    taken: int = 0

    @property
    def room(self) -> int:
        """How many bytes one frame may carry now."""
        library = self.client.library
        window = library.local_flow_control_window(self.number)
        return min(window, library.max_outbound_frame_size)

    @property
    def fresh(self) -> bool:
        """True when something came that was not looked at."""
        stream = self.client.streams[self.number]
        return len(stream.body) > self.taken or stream.ended

    def send(self, event: Event) -> None:
        """Send, as far as the window lets us; it opens as the other end echoes."""
        client, data = self.client, self.frames.send(event)
        while data:
            client.until(lambda: self.room)
            most = self.room
            client.library.send_data(self.number, data[:most])
            client.flush()
            data = data[most:]

    def hear(self) -> Event:
        """Return what comes next, pings answered."""
        while not self.heard:
            self.client.until(lambda: self.fresh)
            body = self.client.streams[self.number].body
            data, self.taken = body[self.taken :], len(body)
            assert data, "the stream ended"
            self.frames.receive_data(data)
            for event in self.frames.events():
                if isinstance(event, Ping):
                    self.send(event.response())
                else:
                    self.heard.append(event)
        return self.heard.pop(0)

    def message(self) -> str | bytes:
        """Return a whole message."""
        whole: str | bytes | None = None
        while True:
            event = self.hear()
            assert isinstance(event, Message)
            part = event.data if isinstance(event, TextMessage) else bytes(event.data)
            whole = part if whole is None else whole + part  # type: ignore[operator]
            if event.message_finished:
                return whole


def opened(client: Http2Client, path: str, **fields: str) -> Socket:
    settings = client.library.remote_settings
    client.until(lambda: settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL))
    number = client.ask(
        path, "CONNECT", end=False, **{":protocol": "websocket", "sec-websocket-version": "13"},
        **fields,
    )  # fmt: skip
    client.until(lambda: client.streams[number].fields)
    return Socket(client, number)


def test_echo(proxy: RunningProxy, server: str) -> None:
    with Http2Client(proxy) as client:
        socket = opened(client, f"/{server}/ws/echo")
        assert client.streams[socket.number].status == 200
        for text in ("a", "\u00e4\U0001f600", "long " * 60_000):
            socket.send(TextMessage(text))
            assert socket.message() == text
        socket.send(BytesMessage(bytes(70_000)))
        assert socket.message() == bytes(70_000)
        assert client.get("/uvicorn/sockets").status == 200, "requests go on beside it"
        socket.send(CloseConnection(4001, "bye"))
        answer = socket.hear()
        assert isinstance(answer, CloseConnection)
        assert answer.code == (1000 if server == "daphne" else 4001)
        client.until(lambda: client.streams[socket.number].ended)


def test_many_on_one_connection(proxy: RunningProxy) -> None:
    with Http2Client(proxy) as client:
        open_ones = [opened(client, "/uvicorn/ws/echo") for _ in range(30)]
        for number, socket in enumerate(open_ones):
            socket.send(TextMessage(f"hello {number}"))
        assert [socket.message() for socket in open_ones] == [f"hello {n}" for n in range(30)]


def test_what_the_ends_agree_on(proxy: RunningProxy, server: str) -> None:
    with Http2Client(proxy) as client:
        fields = {"sec-websocket-protocol": "chat.v1, chat.v2", "origin": "https://localhost"}
        socket = opened(client, f"/{server}/ws/told", **fields)
        answer = dict(client.streams[socket.number].fields)
        assert answer["sec-websocket-protocol"] == "chat.v2"
        assert "sec-websocket-accept" not in answer
        told = str(socket.message())
        assert '"https://localhost"' in told
        assert '"/ws/told"' in told


def test_a_refused_handshake(proxy: RunningProxy, server: str) -> None:
    with Http2Client(proxy) as client:
        socket = opened(client, f"/{server}/ws/refused")
        assert client.streams[socket.number].status == 403
        assert client.get("/uvicorn/sockets").status == 200


@pytest.mark.parametrize("how", ["reset", "connection"])
def test_a_client_that_vanishes(proxy: RunningProxy, how: str) -> None:
    before = len(sockets(proxy).ended)
    with Http2Client(proxy) as client:
        socket = opened(client, "/uvicorn/ws/echo")
        if how == "reset":
            client.library.reset_stream(socket.number)
            client.flush()
            assert client.get("/uvicorn/sockets").status == 200
    assert eventually(lambda: sockets(proxy).ended[before:]) == [("/ws/echo", 1001)]


def test_a_stop_tells_the_client(tmp_path: Path) -> None:
    config = "drain_timeout: 1s\n" + CONFIG
    with (
        uvicorn(tmp_path) as server,
        proxying(config, tmp_path, UVICORN=server.port, DAPHNE=1, SCRIPTED=1) as own,
        Http2Client(own) as client,
    ):
        socket = opened(client, "/uvicorn/ws/echo")
        own.process.send_signal(signal.SIGTERM)
        ending = socket.hear()
        assert isinstance(ending, CloseConnection)
        assert ending.code == 1001
        socket.send(ending.response())
        client.until(lambda: client.streams[socket.number].ended)
