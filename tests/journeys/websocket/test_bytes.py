"""WebSockets byte for byte, between a raw client and a scripted upstream."""

import base64
import hashlib

import pytest

from tests.journeys.apps.scripted import OK, Conversation, ScriptedUpstream
from tests.journeys.clients.raw import RawClient
from tests.journeys.running import RunningProxy
from tests.journeys.websocket.opening import (
    ACCEPT,
    KEY,
    SWITCHED,
    handshake,
)


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


def test_an_upstream_that_is_reset(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    def script(conversation: Conversation) -> None:
        conversation.send(SWITCHED + b"\x81\x05first")
        conversation.receive()
        conversation.reset()

    upstream.script = script
    with RawClient(proxy) as client:
        client.send(handshake())
        assert client.answer().status == 101
        assert client.read(7) == b"\x81\x05first"
        client.send(b"\x81\x80abcd")
        assert client.rest() == (b"\x88\x16\x03\xf3the upstream is gone", True)


def test_an_upstream_that_is_reset_in_a_frame_has_said_no_goodbye(
    proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    begun = b"\x81\x05fir"

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
