"""One stream of a connection: answers as handlers give them, frames as clients get them."""

import pytest

from proxy.exchange.answer import Answer
from proxy.message.edit import FieldEdit
from proxy.message.head import ResponseHead
from proxy.net.prepared import PreparedAnswer
from proxy.wire import http2_frames as frames
from proxy.wire.http2_frames import ErrorCode
from tests.fakes.http2_line import Http2Line
from tests.fakes.serving import DATE, head_of

DATED = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"


async def test_an_answer_of_our_own() -> None:
    line = Http2Line()
    exchange = line.ask(1)
    exchange.stream.send_answer(exchange, Answer(head_of(404, 4, b"X-Own: y\r\n"), b"none"))
    await line.turns()
    heard = line.heard(1)
    assert heard.fields == {
        ":status": "404", "x-own": "y", "content-length": "4", "date": DATE[6:-2].decode(),
    }  # fmt: skip
    assert (heard.body, heard.ended, heard.reset) == (b"none", True, None)
    entry = line.entries()[0]
    assert (entry["status"], entry["bytes_sent"]) == (404, 4)


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [("HEAD", 200, "5"), ("GET", 304, "5"), ("GET", 204, None)],
)
async def test_answers_without_a_body(method: str, status: int, length: str | None) -> None:
    line = Http2Line()
    whole = line.ask(1, method=method)
    whole.stream.send_whole(whole, head_of(status, 5), b"hello")
    pieces = line.ask(3, method=method)
    pieces.stream.send_head(pieces, head_of(status, 5))
    pieces.stream.send_body(pieces, b"hello")
    pieces.stream.flush()
    pieces.stream.end(pieces, b"")
    await line.turns()
    for number in (1, 3):
        heard = line.heard(number)
        assert (heard.fields.get("content-length"), heard.body, heard.ended) == (length, b"", True)
    assert [entry["bytes_sent"] for entry in line.entries()] == [0, 0]
    assert frames.DATA not in line.peer.kinds()


async def test_an_answer_in_pieces() -> None:
    line = Http2Line()
    exchange = line.ask(1)
    stream = exchange.stream
    stream.send_interim(exchange, ResponseHead(103, "Early Hints", b"Link: </x>\r\n"))
    stream.send_head(exchange, head_of())
    for piece in (b"one", b"", b"two"):
        stream.send_body(exchange, piece)
        stream.flush()
    stream.end(exchange, b"Checksum: 7\r\n")
    await line.turns()
    heard = line.heard(1)
    assert [head[":status"] for head in heard.interim] == ["103"]
    assert (heard.body, heard.trailers, heard.ended) == (b"onetwo", {"checksum": "7"}, True)
    assert line.entries()[0]["bytes_sent"] == 6


async def test_pieces_fill_frames() -> None:
    line = Http2Line()
    exchange = line.ask(1)
    exchange.stream.send_head(exchange, head_of())
    sent = b""
    for number in range(300):
        piece = bytes([number % 251]) * (number * 7 % 1000)
        exchange.stream.send_body(exchange, piece)
        sent += piece
    exchange.stream.end(exchange, b"")
    await line.say(frames.window_update(0, 1 << 20), frames.window_update(1, 1 << 20))
    sizes = [len(said.payload) for said in line.peer.said if said.kind == frames.DATA]
    assert line.heard(1).body == sent
    assert line.heard(1).ended
    assert len(sizes) == -(-len(sent) // 16384), "nearly all of them are full"


@pytest.mark.parametrize("trailers", [b"", b"Checksum: 7\r\n"])
async def test_the_end_needs_no_window(trailers: bytes) -> None:
    line = Http2Line(settings={"initial_window_size": 5})
    exchange = line.ask(1)
    exchange.stream.send_head(exchange, head_of())
    exchange.stream.send_body(exchange, b"hello")
    exchange.stream.flush()
    await line.turns()
    exchange.stream.end(exchange, trailers)
    await line.turns()
    assert line.heard(1).ended


async def test_a_body_is_held_to_its_length() -> None:
    line = Http2Line()
    long, short = line.ask(1), line.ask(3)
    for exchange in (long, short):
        exchange.stream.send_head(exchange, head_of(length=5))
    long.stream.send_body(long, b"hello, and more")
    long.stream.end(long, b"")
    short.stream.send_body(short, b"hell")
    short.stream.end(short, b"")
    await line.turns()
    assert (line.heard(1).body, line.heard(1).ended) == (b"hello", True)
    assert (line.heard(3).ended, line.heard(3).reset) == (False, ErrorCode.INTERNAL_ERROR)


async def test_an_answer_cut_short() -> None:
    line = Http2Line()
    exchange = line.ask(1)
    exchange.stream.send_head(exchange, head_of())
    exchange.stream.send_body(exchange, b"some")
    exchange.stream.abort(exchange)
    exchange.stream.abort(exchange)
    await line.turns()
    assert (line.heard(1).ended, line.heard(1).reset) == (False, ErrorCode.INTERNAL_ERROR)
    assert line.counters.requests_active == 0


async def test_nothing_is_said_on_a_stream_that_is_over() -> None:
    line = Http2Line()
    exchange = line.ask(1)
    stream = exchange.stream
    stream.send_whole(exchange, head_of(length=2), b"ok")
    await line.turns()
    before = len(line.peer.said)
    stream.send_answer(exchange, Answer(head_of(length=0)))
    stream.send_whole(exchange, head_of(length=2), b"ok")
    stream.send_interim(exchange, head_of(103))
    stream.send_head(exchange, head_of())
    stream.send_body(exchange, b"more")
    stream.flush()
    stream.end(exchange, b"")
    stream.abort(exchange)
    stream.pause_body(exchange)
    stream.resume_body(exchange)
    await line.turns()
    assert len(line.peer.said) == before
    assert len(line.lines) == 1


async def test_nobody_switches_protocols_unasked() -> None:
    line = Http2Line()
    exchange = line.ask(1)
    exchange.stream.switch(exchange, head_of(101))
    await line.turns()
    assert line.heard(1).fields[":status"] == "502"


async def test_a_repeated_head_is_made_once() -> None:
    line = Http2Line()
    head = head_of(length=2, block=DATED, dated=True)
    sections = []
    for number in (1, 3):
        exchange = line.ask(number)
        exchange.stream.send_whole(exchange, head, b"ok")
        assert isinstance(head.prepared, PreparedAnswer)
        sections.append(head.prepared.http2)
    await line.turns()
    assert sections[0] is sections[1]
    assert line.heard(1).fields == line.heard(3).fields
    assert [entry["status"] for entry in line.entries()] == [200, 200]


async def test_a_head_made_for_other_headers_is_not_used() -> None:
    head = head_of(length=2, block=DATED, dated=True)
    head.prepared = PreparedAnswer(FieldEdit((), b"X-Other: route\r\n"), b"HTTP/1.1 ...")
    head.prepared.http2 = b"\x88"
    line = Http2Line()
    exchange = line.ask(1)
    exchange.stream.send_whole(exchange, head, b"ok")
    await line.turns()
    assert line.heard(1).fields["content-length"] == "2"
    undated = head_of(length=2)
    exchange = line.ask(3)
    exchange.stream.send_whole(exchange, undated, b"ok")
    assert undated.prepared is None, "the date is another one each second"


async def test_an_early_answer_asks_for_no_more_of_the_body() -> None:
    line = Http2Line(body_limit=100, settings={"initial_window_size": 10})
    exchange = line.ask(1, method="POST", end=False)
    exchange.stream.send_whole(exchange, head_of(length=50), bytes(50))
    await line.say(line.peer.data(1, bytes(1000)))
    assert line.heard(1).reset is None, "what nobody reads cannot be too much"
    await line.say(frames.window_update(1, 100))
    heard = line.heard(1)
    assert (len(heard.body), heard.ended, heard.reset) == (50, True, ErrorCode.NO_ERROR)


async def test_a_paused_body_gets_no_more_window() -> None:
    line = Http2Line()
    exchange = line.ask(1, method="POST", end=False)
    exchange.stream.pause_body(exchange)
    await line.say(line.peer.data(1, bytes(16384)) * 3)
    assert frames.WINDOW_UPDATE not in line.peer.kinds()[2:]
    assert len(line.takers[0].body) == 3 * 16384
    exchange.stream.resume_body(exchange)
    await line.turns()
    assert line.peer.said[-1].kind == frames.WINDOW_UPDATE
