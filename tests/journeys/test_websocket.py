"""WebSockets through the proxy: to uvicorn and Daphne, and to an upstream that is scripted."""

import base64
import hashlib
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.journeys.apps.running import daphne, proxying, uvicorn
from tests.journeys.apps.scripted import OK, Conversation, ScriptedUpstream, scripted
from tests.journeys.apps.sockets import FLOOD
from tests.journeys.clients.raw import RawClient, tls_context
from tests.journeys.running import PATIENCE, RunningProxy, children_of, eventually

# Every timeout of a request is shorter than the silences here.
CONFIG = """
user: null
timeouts: {request_header: 1s, body_idle: 1s, keep_alive: 1s, write_idle: 30s}
upstreams:
  uvicorn:
    servers: ["http://127.0.0.1:${UVICORN}"]
    timeouts: {response: 10s, idle: 1s}
    keep_alive: {idle: 1s}
  daphne: {servers: ["http://127.0.0.1:${DAPHNE}"], timeouts: {response: 10s, idle: 1s}}
  scripted: {servers: ["http://127.0.0.1:${SCRIPTED}"], timeouts: {response: 10s, idle: 1s}}
sites:
  - hosts: [localhost]
    routes:
      - {path: /uvicorn/, proxy: uvicorn, strip_prefix: true}
      - {path: /daphne/, proxy: daphne, strip_prefix: true}
      - {path: /scripted/, proxy: scripted}
      - {path: /brief/, proxy: uvicorn, strip_prefix: true, websocket: {idle_timeout: 1s}}
  - {hosts: [open.test], redirect_http: off, routes: [{path: /, proxy: scripted}]}
"""
SILENCE = 5.5
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3


@pytest.fixture(scope="module")
def _upstream() -> Iterator[ScriptedUpstream]:
    with scripted() as upstream:
        yield upstream


@pytest.fixture
def upstream(_upstream: ScriptedUpstream) -> ScriptedUpstream:
    _upstream.begin()
    return _upstream


@pytest.fixture(scope="module")
def proxy(
    _upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("websocket")
    with ExitStack() as stack:
        ports = {
            start.__name__.upper(): stack.enter_context(start(folder)).port
            for start in (uvicorn, daphne)
        }
        yield stack.enter_context(proxying(CONFIG, folder, SCRIPTED=_upstream.port, **ports))


@pytest.fixture(params=["uvicorn", "daphne"])
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def opened(
    proxy: RunningProxy,
    path: str,
    *,
    origin: str | None = None,
    subprotocols: Sequence[str] = (),
    headers: dict[str, str] | None = None,
    compression: str | None = "deflate",
) -> ClientConnection:
    """Open a WebSocket over TLS, the certificate verified; it keeps silent about pings."""
    return connect(
        f"wss://localhost:{proxy.https_port}{path}",
        ssl=tls_context(proxy.ca_file),
        origin=None if origin is None else Origin(origin),
        subprotocols=[Subprotocol(each) for each in subprotocols] or None,
        additional_headers=headers,
        compression=compression,
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
        ping_interval=None,
        max_size=None,
        proxy=None,
    )


@dataclass(frozen=True)
class Told:
    """What the application under uvicorn says of its conversations."""

    ended: list[tuple[str, int]]
    flood: int


def sockets(proxy: RunningProxy) -> Told:
    found = httpx.get(
        f"https://localhost:{proxy.https_port}/uvicorn/sockets",
        verify=tls_context(proxy.ca_file),
        timeout=PATIENCE,
        trust_env=False,
    ).json()
    return Told([(path, code) for path, code in found["ended"]], found["flood"])


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
    assert code in (CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE)


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
        assert closed.value.rcvd is None, "nobody said goodbye, and nobody made one up"


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


# Byte for byte.


def handshake(path: str = "/scripted/", *more: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", *more,
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


SWITCHED = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Extensions: x-odd; a=1\r\n\r\n"
).encode()


def test_bytes_that_come_with_the_handshake(
    proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.send(SWITCHED + b"\x81\x05first")
        while data := conversation.receive():
            conversation.send(b"<" + data + b">")
            if data.endswith(b"end"):
                conversation.close()
                return

    upstream.script = script
    with RawClient(proxy) as client:
        client.send(handshake("/scripted/x?y=1", "Sec-WebSocket-Extensions: x-odd; a=1") + b"early")
        answer = client.answer()
        assert answer.status == 101
        assert answer["sec-websocket-accept"] == ACCEPT
        assert answer["sec-websocket-extensions"] == "x-odd; a=1"
        assert answer["connection"].lower() == "upgrade"
        assert answer["upgrade"] == "websocket"
        assert client.read(7) == b"\x81\x05first"
        assert client.read(7) == b"<early>"
        client.send(b"end")
        assert client.rest() == (b"<end>", True)
    (head,) = upstream.heads
    assert b"\r\nSec-WebSocket-Extensions: x-odd; a=1\r\n" in head
    assert f"\r\nSec-WebSocket-Key: {KEY}\r\n".encode() in head


def test_a_client_that_closes_its_direction_still_hears(
    proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.send(SWITCHED)
        while conversation.receive():
            pass
        conversation.send(b"last words")
        conversation.close()

    upstream.script = script
    with RawClient(proxy, plain=True) as client:
        client.send(handshake().replace(b"localhost", b"open.test"))
        assert client.answer().status == 101
        client.send(b"all")
        client.end_writing()
        assert client.rest() == (b"last words", True)


@pytest.mark.parametrize("begun", [b"", b"\x81\x05fir"], ids=["silent", "in a frame"])
def test_a_reset_upstream_is_no_goodbye(
    proxy: RunningProxy, upstream: ScriptedUpstream, begun: bytes
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.send(SWITCHED + begun)
        conversation.receive()
        conversation.reset()

    upstream.script = script
    with RawClient(proxy) as client:
        client.send(handshake())
        assert client.answer().status == 101
        assert client.read(len(begun)) == begun
        client.send(b"go")
        assert client.rest() == (b"", False)


def test_an_upstream_that_does_not_switch(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    upstream.says(
        b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nContent-Length: 4\r\n\r\nnope"
    )
    with RawClient(proxy) as client:
        client.send(handshake())
        answer = client.answer()
        assert (answer.status, answer.body) == (426, b"nope")
        assert answer["sec-websocket-version"] == "13"
        upstream.says(OK)
        assert client.ask("GET /scripted/").body == b"ok", "the connection serves on"


@pytest.mark.parametrize(
    "request_",
    [
        handshake().replace(b"Connection: Upgrade", b"Connection: keep-alive"),
        handshake().replace(b"Upgrade: websocket\r\n", b""),
        handshake().replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"),
        handshake().replace(b"HTTP/1.1", b"HTTP/1.0"),
        handshake().replace(b"websocket", b"h2c"),
    ],
    ids=["no connection", "no upgrade", "post", "http/1.0", "h2c"],
)
def test_what_asks_for_no_websocket_is_given_none(
    proxy: RunningProxy, upstream: ScriptedUpstream, request_: bytes
) -> None:
    """An upstream that switches all the same is not believed: nothing gets through unread."""
    upstream.says(SWITCHED + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
    with RawClient(proxy) as client:
        client.send(request_)
        answer = client.answer()
        assert answer.status == 502
        assert b"poison" not in answer.body
    assert b"\r\nupgrade:" not in upstream.heads[0].lower()


@pytest.mark.parametrize(
    "lines",
    [b"", b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"Connection: Upgrade\r\n"],
    ids=["nothing", "something else", "no name"],
)
def test_an_upstream_that_switches_to_something_else(
    proxy: RunningProxy, upstream: ScriptedUpstream, lines: bytes
) -> None:
    """RFC 9110, 7.8: only to what the client asked for."""
    upstream.says(b"HTTP/1.1 101 Switching Protocols\r\n" + lines + b"\r\n")
    with RawClient(proxy) as client:
        client.send(handshake())
        assert client.answer().status == 502


def test_pings_and_masks_pass_as_they_are(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    got: list[bytes] = []

    def script(conversation: Conversation) -> None:
        conversation.send(SWITCHED)
        data = b""
        while len(data) < len(frames):
            data += conversation.receive()
        got.append(data)
        conversation.send(b"\x8a\x00\xff\xff\xff")  # a pong, and what is no frame at all
        conversation.close()

    frames = b"\x89\x84\x01\x02\x03\x04ping" + b"\xc2\xfe\x00\x80" + bytes(range(132))
    upstream.script = script
    with RawClient(proxy) as client:
        client.send(handshake())
        assert client.answer().status == 101
        for byte in frames:
            client.send(bytes([byte]))
        assert client.rest() == (b"\x8a\x00\xff\xff\xff", True)
    assert got == [frames]


def test_the_sample_of_the_rfc_is_what_is_used_here() -> None:
    accept = hashlib.sha1(KEY.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324 - RFC 6455
    assert base64.b64encode(accept).decode() == ACCEPT


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
