"""Streams that carry a WebSocket (RFC 8441), with the handler in the test's hands."""

from wsproto.utilities import generate_accept_token

from proxy.exchange.exchange import Exchange
from proxy.message.fields import field_values
from proxy.message.head import ResponseHead
from proxy.wire.http2_frames import ErrorCode
from tests.fakes.http2_line import Http2Line
from tests.fakes.http2_peer import asking
from tests.fakes.serving import Taker

ASKING = [*asking("/ws", "CONNECT"), (":protocol", "websocket")]
FIELDS = [("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")]


def accepted(exchange: Exchange) -> ResponseHead:
    (key,) = field_values(exchange.added, "sec-websocket-key")
    token = generate_accept_token(key.encode())
    fields = b"Sec-WebSocket-Accept: %b\r\nSec-WebSocket-Protocol: chat\r\n" % token
    return ResponseHead(101, "Switching Protocols", fields)


def wanted(line: Http2Line, number: int = 1) -> tuple[Exchange, Taker]:
    exchange = line.asked(line.peer.request(number, [*ASKING, *FIELDS], end=False))
    return exchange, line.takers[-1]


async def test_a_websocket_opens_and_ends() -> None:
    line = Http2Line()
    exchange, taker = wanted(line)
    head = exchange.head
    assert (head.method, head.target, head.upgrade) == ("GET", "/ws", "websocket")
    assert not head.has_body
    exchange.stream.switch(exchange, accepted(exchange))
    await line.say(line.peer.data(1, b"from the client"))
    heard = line.heard(1)
    assert heard.fields[":status"] == "200"
    assert heard.fields["sec-websocket-protocol"] == "chat"
    assert not {"sec-websocket-accept", "connection", "upgrade", "content-length"} & {*heard.fields}
    assert taker.body == b"from the client"
    exchange.stream.send_body(exchange, b"from the server")
    exchange.stream.flush()
    await line.turns()
    assert heard.body == b"from the server"
    await line.say(line.peer.data(1, end=True))
    assert taker.trailers == b""
    exchange.stream.end(exchange, b"")
    await line.turns()
    assert (heard.ended, heard.reset) == (True, None)
    (entry,) = line.entries()
    assert (entry["status"], entry["bytes_received"], entry["bytes_sent"]) == (200, 15, 15)


async def test_every_websocket_has_a_key_of_its_own() -> None:
    line = Http2Line()
    exchanges = [wanted(line, number)[0] for number in (1, 3, 5, 7)]
    assert len({exchange.added for exchange in exchanges}) == 4


async def test_an_upstream_that_accepts_another_key_is_not_believed() -> None:
    line = Http2Line()
    exchange, taker = wanted(line)
    other, _ = wanted(line, 3)
    exchange.stream.switch(exchange, accepted(other))
    await line.turns()
    assert line.heard(1).fields[":status"] == "502"
    assert taker.told == ["gone"]


async def test_bytes_that_come_before_it_is_open() -> None:
    line = Http2Line()
    exchange, taker = wanted(line)
    await line.say(line.peer.data(1, b"hasty"))
    assert line.heard(1).fields[":status"] == "400"
    assert (taker.body, taker.told) == (b"", ["gone"])
    exchange.stream.switch(exchange, accepted(exchange))
    await line.turns()
    assert line.heard(1).ended


async def test_trailers_are_none_of_a_websockets() -> None:
    line = Http2Line()
    exchange, taker = wanted(line)
    exchange.stream.switch(exchange, accepted(exchange))
    await line.say(line.peer.request(1, [("x", "y")]))
    assert line.heard(1).reset == ErrorCode.PROTOCOL_ERROR
    assert taker.told == ["gone"]


async def test_other_protocols_are_not_implemented() -> None:
    line = Http2Line()
    fields = [*asking("/", "CONNECT"), (":protocol", "connect-udp")]
    await line.say(line.peer.request(1, fields, end=False))
    assert line.heard(1).fields[":status"] == "501"
    assert not line.exchanges


async def test_a_websocket_is_held_up_by_its_window_alone() -> None:
    line = Http2Line(settings={"initial_window_size": 10})
    exchange, taker = wanted(line)
    exchange.stream.switch(exchange, accepted(exchange))
    exchange.stream.send_body(exchange, bytes(200_000))
    exchange.stream.flush()
    await line.turns()
    assert len(line.heard(1).body) == 10
    assert taker.told == ["full"]
    await line.say(line.peer.data(1, b"heard all the same"))
    assert taker.body == b"heard all the same"
