"""How an exchange's answer becomes bytes, and the connection's fate at its end."""

import pytest

from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.exchange.phases import Phase
from proxy.message.edit import FieldEdit
from tests.fakes.bench import get, post, posting
from tests.fakes.serving import DATE, Line, head_of

CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"
UPGRADE = get(fields="Connection: Upgrade\r\nUpgrade: websocket\r\n")


def test_an_answer_of_our_own_goes_out_in_one_write() -> None:
    line = Line(edit=FieldEdit(["server"], b"X-Frame-Options: DENY\r\n"))
    exchange = line.asked(get())
    line.session.send_answer(exchange, Answer(head_of(length=2, block=b"Server: x\r\n"), b"ok"))
    assert line.pipe.writes == [
        b"HTTP/1.1 200 OK\r\nX-Frame-Options: DENY\r\n" + DATE + b"Content-Length: 2\r\n\r\nok"
    ]
    assert (exchange.status, exchange.sent, exchange.phase) == (200, 2, Phase.FINISHED)
    assert not line.channel.closing


def test_an_answer_may_ask_for_the_end() -> None:
    line = Line()
    exchange = line.asked(get() + get("/never"))
    line.session.send_answer(exchange, Answer(head_of(length=0), close=True))
    assert b"\r\nConnection: close\r\n" in line.out()
    assert line.pipe.is_closing()
    assert not line.pipe.aborted
    assert len(line.exchanges) == 1


def test_a_chunked_answer_with_trailers() -> None:
    line = Line()
    exchange = line.asked(get())
    session = line.session
    session.send_head(exchange, head_of())
    session.send_body(exchange, b"abc")
    assert not line.out()  # until the flush
    session.flush()
    assert line.out().endswith(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    session.send_body(exchange, b"defg")
    session.end(exchange, b"Checksum: 1\r\n")
    assert line.out() == b"4\r\ndefg\r\n0\r\nChecksum: 1\r\n\r\n"
    assert exchange.sent == 7
    line.asked(get("/next"))


def test_a_date_is_added_only_where_there_is_none() -> None:
    line = Line()
    session = line.session
    session.send_whole(line.asked(get()), head_of(length=0), b"")
    assert line.out().count(b"\r\nDate: ") == 1
    dated = head_of(length=0, block=b"Date: yesterday\r\n", dated=True)
    session.send_whole(line.asked(get()), dated, b"")
    out = line.out()
    assert b"\r\nDate: yesterday\r\n" in out
    assert out.count(b"Date: ") == 1


def test_small_pieces_are_joined_up_to_a_record_and_large_ones_are_not() -> None:
    line = Line()
    exchange = line.asked(get())
    line.session.send_head(exchange, head_of(length=100_000))
    for size in (1000, 1000, 40_000, 10_000, 10_000):
        line.session.send_body(exchange, bytes(size))
    line.session.flush()
    head = len(line.pipe.writes[0]) - 2000
    assert [len(write) for write in line.pipe.writes] == [head + 2000, 40_000, 10_000, 10_000]
    line.session.flush()
    assert len(line.pipe.writes) == 4


def test_bytes_beyond_the_length_poison_nobody() -> None:
    line = Line()
    exchange = line.asked(get())
    line.session.send_head(exchange, head_of(length=2))
    line.session.send_body(exchange, b"ok, and HTTP/1.1 200 OK")
    line.session.end(exchange, b"")
    assert line.out().endswith(b"\r\n\r\nok")


def test_an_answer_shorter_than_its_length_closes() -> None:
    line = Line()
    exchange = line.asked(get() + get("/never"))
    line.session.send_head(exchange, head_of(length=10))
    line.session.send_body(exchange, b"short")
    line.session.end(exchange, b"")
    assert line.pipe.is_closing()
    assert len(line.exchanges) == 1


@pytest.mark.parametrize("status", [204, 304])
def test_answers_that_have_no_body_get_none(status: int) -> None:
    line = Line()
    line.session.send_whole(line.asked(get()), head_of(status), b"")
    assert line.out().endswith(b"\r\n\r\n")
    line.asked(get("/next"))


def test_head_gets_the_length_and_no_body() -> None:
    line = Line()
    exchange = line.asked(get(method="HEAD"))
    line.session.send_answer(exchange, Answer(head_of(length=5), b"hello"))
    assert line.out().endswith(b"Content-Length: 5\r\n\r\n")
    assert exchange.sent == 0


# Interim answers.


def test_interim_answers_go_before_the_final_one() -> None:
    line = Line()
    exchange = line.asked(get())
    line.session.send_interim(exchange, head_of(103, block=b"Link: </a>\r\n"))
    line.session.send_whole(exchange, head_of(length=0), b"")
    out = line.out()
    assert out.startswith(b"HTTP/1.1 103 Some\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert line.entries()[0]["status"] == 200


def test_http_1_0_knows_no_interim_answers() -> None:
    line = Line()
    exchange = line.asked(OLD)
    line.session.send_interim(exchange, head_of(103))
    line.session.flush()
    assert not line.out()


# What is said too late.


def test_what_is_said_for_an_exchange_that_is_over_is_ignored() -> None:
    line = Line()
    session = line.session
    over = line.asked(get())
    session.send_whole(over, head_of(length=0), b"")
    running = line.asked(get("/next"))
    line.out()
    session.send_answer(over, Answer(head_of(length=0)))
    session.send_interim(over, head_of(103))
    session.send_head(over, head_of())
    session.send_whole(over, head_of(length=0), b"")
    session.send_body(over, b"late")
    session.end(over, b"")
    session.abort(over)
    session.switch(over, head_of(101))
    session.pause_body(over)
    session.flush()
    assert not line.out()
    assert line.pipe.is_reading()
    assert not line.channel.closing
    assert len(line.lines) == 1
    session.send_whole(running, head_of(length=0), b"")
    assert len(line.lines) == 2


def test_a_client_found_gone_by_the_last_write_is_told_of_once() -> None:
    line = Line()
    exchange = line.asked(get())
    line.session.send_head(exchange, head_of(length=2))
    line.session.send_body(exchange, b"ok")
    line.pipe.on_write = line.lost
    line.session.end(exchange, b"")
    assert [entry["status"] for entry in line.entries()] == [200]
    assert line.counters.requests_active == 0
    assert line.gone == [line.session]


# Cut short, visibly.


@pytest.mark.parametrize("length", [10, None])
def test_a_delimited_answer_is_cut_by_an_end_before_its_end(length: int | None) -> None:
    line = Line()
    exchange = line.asked(get() + get("/never"))
    line.session.send_head(exchange, head_of(length=length))
    line.session.send_body(exchange, b"part")
    line.session.abort(exchange)
    out = line.out()
    assert b"part" in out
    assert not out.endswith(b"0\r\n\r\n")
    assert line.pipe.is_closing()
    assert not line.pipe.aborted  # what was written still goes out
    assert not line.pipe.sock.resets
    assert len(line.exchanges) == len(line.lines) == 1


def test_an_answer_that_an_end_delimits_is_cut_by_a_reset() -> None:
    line = Line()
    exchange = line.asked(OLD)
    line.session.send_head(exchange, head_of())
    line.session.send_body(exchange, b"part")
    line.session.abort(exchange)
    assert line.pipe.sock.resets
    assert line.pipe.aborted
    assert len(line.lines) == 1


# Answers before the request is whole.


def early(line: Line, exchange: Exchange, how: str) -> None:
    head = head_of(length=2)
    if how == "answer":
        line.session.send_answer(exchange, Answer(head, b"no"))
    elif how == "whole":
        line.session.send_whole(exchange, head, b"no")
    else:
        line.session.send_head(exchange, head)
        line.session.send_body(exchange, b"no")
        line.session.end(exchange, b"")


@pytest.mark.parametrize("how", ["answer", "whole", "pieces"])
@pytest.mark.parametrize("request_head", [posting(100), CHUNKED])
def test_an_early_answer_ends_our_side_first(how: str, request_head: bytes) -> None:
    line = Line()
    early(line, line.asked(request_head), how)
    out = line.out()
    assert b"\r\nConnection: close\r\n" in out
    assert out.endswith(b"\r\n\r\nno")
    assert line.pipe.ended  # the client sees the end of the answer
    assert not line.pipe.is_closing()  # and its own bytes cause no reset
    line.send(b"the rest" * 100)
    line.session.eof_received()
    assert line.pipe.is_closing()
    assert not line.pipe.aborted


@pytest.mark.parametrize("how", ["answer", "whole"])
def test_an_answer_over_a_body_that_is_there_already_keeps_the_connection(how: str) -> None:
    """The handler answers before the body's pieces were told."""
    served: list[Exchange] = []

    def handler(exchange: Exchange) -> None:
        served.append(exchange)
        early(line, exchange, how)

    line = Line(handler)
    line.send(post(b"body") + get("/next"))
    assert [exchange.head.target for exchange in served] == ["/", "/next"]
    assert b"Connection: close" not in line.out()


# The switch.


def test_a_switch_hands_on_raw_bytes_both_ways() -> None:
    line = Line()
    exchange = line.asked(UPGRADE + b"\x81\x00behind")
    switching = head_of(101, block=b"Sec-WebSocket-Accept: x\r\n", dated=True)
    switching.upgrade = "websocket"
    line.session.switch(exchange, switching)
    assert line.out() == (
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    assert line.takers[0].body == b"\x81\x00behind"
    line.send(get("/no-request"))
    assert line.takers[0].body.endswith(get("/no-request"))
    line.session.send_body(exchange, b"\x81\x00back")
    line.session.flush()
    assert line.out() == b"\x81\x00back"
    line.session.eof_received()
    assert line.takers[0].trailers == b""
    line.session.end(exchange, b"")
    assert line.pipe.is_closing()
    (entry,) = line.entries()
    assert (entry["status"], entry["bytes_sent"]) == (101, 6)
    assert entry["bytes_received"] == len(line.takers[0].body)


def test_a_switch_reads_on_where_a_lot_came_behind_the_request() -> None:
    line = Line()
    exchange = line.asked(UPGRADE + bytes(100_000))
    assert not line.pipe.is_reading()
    switching = head_of(101)
    switching.upgrade = "websocket"
    line.session.switch(exchange, switching)
    assert line.pipe.is_reading()
    assert len(line.takers[0].body) == 100_000


def test_a_switched_connection_is_cut_without_a_goodbye() -> None:
    line = Line()
    exchange = line.asked(UPGRADE)
    switching = head_of(101)
    switching.upgrade = "websocket"
    line.session.switch(exchange, switching)
    line.session.send_body(exchange, b"last")
    line.session.abort(exchange)
    assert line.out().endswith(b"last")
    assert line.pipe.is_closing()
    assert not line.pipe.aborted
    assert [entry["status"] for entry in line.entries()] == [101]


def test_reading_stops_and_goes_on_as_the_consumer_says() -> None:
    line = Line()
    exchange = line.asked(posting(100))
    line.session.pause_body(exchange)
    assert not line.pipe.is_reading()
    line.session.resume_body(exchange)
    assert line.pipe.is_reading()
