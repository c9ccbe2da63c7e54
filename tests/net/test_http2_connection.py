"""A client's HTTP/2 connection in each of its states, with time moved by hand."""

import asyncio
import math

import pytest

from proxy.errors import Fault, ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.routing.route import Timeouts
from proxy.wire import http2_frames as frames
from proxy.wire.http2_frames import HIGHEST_STREAM, ErrorCode
from proxy.wire.http2_settings import MOST_STREAMS
from tests.fakes.http2_line import Http2Line
from tests.fakes.http2_peer import asking
from tests.fakes.serving import Clock, head_of

PIECE = bytes(16384)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, "http2_connection", "http2_stream")


def ends(exchange: Exchange, body: bytes = b"ok") -> None:
    exchange.stream.send_whole(exchange, head_of(length=len(body)), body)


async def passes(line: Http2Line, clock: Clock) -> bool:
    """Let the deadline pass; whether the client counts as slow."""
    assert line.channel.deadline < math.inf
    clock.now = line.channel.deadline
    slow = line.channel.expire(clock.now)
    await line.turns()
    return slow


async def wait(line: Http2Line, clock: Clock, seconds: float) -> bool:
    """Let time pass, looking at deadlines as the sweep does; whether the client was slow."""
    end = clock.now + seconds
    slow = False
    while clock.now < end and not line.channel.closing:
        clock.now += 1.0
        if line.channel.deadline < clock.now:
            slow = line.channel.expire(clock.now) or slow
    await line.turns()
    return slow


def goaways(line: Http2Line) -> list[int]:
    """Return the last streams that were told."""
    return [
        int.from_bytes(said.payload[:4]) for said in line.peer.said if said.kind == frames.GOAWAY
    ]


# Streams.


async def test_streams_are_served_side_by_side() -> None:
    line = Http2Line()
    first, second = line.ask(1), line.ask(3)
    ends(second, b"second")
    ends(first, b"first")
    await line.turns()
    assert [(line.heard(number).body, line.heard(number).ended) for number in (1, 3)] == [
        (b"first", True), (b"second", True),
    ]  # fmt: skip
    assert [entry["version"] for entry in line.entries()] == ["HTTP/2.0"] * 2
    assert line.counters.requests_active == 0
    assert not line.speaks.machine.streams


async def test_one_turn_is_one_write() -> None:
    line = Http2Line(ends)
    await line.turns()
    line.send(b"".join(line.peer.request(number) for number in range(1, 101, 2)))
    assert not line.pipe.writes
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(line.pipe.writes) == 1
    line.peer.hear(line.out())
    assert len(line.peer.streams) == 50


async def test_a_body_goes_to_its_consumer() -> None:
    line = Http2Line()
    line.ask(1, method="POST", end=False)
    line.ask(3, method="POST", end=False)
    trailers = frames.headers(1, line.peer.section([("checksum", "7")]), end=True)
    await line.say(
        line.peer.data(1, b"he"), line.peer.data(3, b"x"), line.peer.data(1, b"llo"), trailers
    )
    assert [(taker.body, taker.trailers) for taker in line.takers] == [
        (b"hello", b"checksum: 7\r\n"), (b"x", None),
    ]  # fmt: skip
    assert [exchange.received for exchange in line.exchanges] == [5, 1]


async def test_a_body_in_crumbs_is_one_piece() -> None:
    line = Http2Line()
    line.ask(1, method="POST", end=False)
    pieces: list[bytes] = []
    line.takers[0].body_received = pieces.append  # type: ignore[method-assign,assignment]
    await line.say(*[line.peer.data(1, b"x")] * 3000)
    assert pieces == [b"x" * 3000]


async def test_a_reset_stops_what_is_done_for_it() -> None:
    line = Http2Line()
    exchange, other = line.ask(1), line.ask(3)
    await line.say(frames.rst_stream(1, ErrorCode.CANCEL))
    assert line.takers[0].told == ["gone"]
    ends(exchange)  # too late
    ends(other)
    await line.turns()
    assert 1 not in line.peer.streams
    assert line.heard(3).ended
    assert line.statuses() == [499, 200]
    assert line.counters.requests_aborted == 1


async def test_a_reset_in_the_same_breath_never_reaches_a_handler() -> None:
    line = Http2Line()
    await line.say(line.peer.request(1), frames.rst_stream(1, ErrorCode.CANCEL))
    assert not line.exchanges
    assert not line.counters.requests


async def test_growth_and_offence_in_one_breath() -> None:
    line = Http2Line(settings={"initial_window_size": 10})
    exchange = line.ask(1)
    exchange.stream.send_whole(exchange, head_of(length=50), bytes(50))
    await line.turns()
    await line.say(frames.window_update(1, 20), frames.window_update(1, 0))
    heard = line.heard(1)
    assert (len(heard.body), heard.ended, heard.reset) == (10, False, ErrorCode.PROTOCOL_ERROR)
    assert line.peer.said[-1].kind == frames.RST_STREAM, "nothing comes behind a reset"


async def test_new_windows_are_acknowledged_before_they_are_used() -> None:
    line = Http2Line(settings={"initial_window_size": 10})
    ends(line.ask(1), bytes(50))
    await line.turns()
    line.peer.said.clear()
    await line.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 100}))
    assert line.peer.kinds() == [frames.SETTINGS, frames.DATA]
    assert line.heard(1).ended


async def test_refused_requests_are_answered_and_logged() -> None:
    line = Http2Line()
    await line.say(line.peer.request(1, asking("/../x")), line.peer.request(3))
    assert line.heard(1).fields[":status"] == "400"
    assert line.statuses() == [400]
    assert len(line.exchanges) == 1, "the other is unharmed"


async def test_a_body_beyond_the_limit() -> None:
    line = Http2Line(body_limit=10)
    line.ask(1, method="POST", end=False)
    line.ask(3, method="POST", end=False)
    await line.say(line.peer.data(1, bytes(11)), line.peer.data(1, bytes(1000)))
    heard = line.heard(1)
    assert (heard.fields[":status"], heard.ended, heard.reset) == ("413", True, ErrorCode.NO_ERROR)
    assert line.takers[0].told == ["gone"]
    await line.say(line.peer.data(3, bytes(10), end=True))
    assert line.takers[1].trailers == b""


async def test_more_streams_than_agreed() -> None:
    line = Http2Line()
    count = MOST_STREAMS + 1
    await line.say(*[line.peer.request(number) for number in range(1, 2 * count, 2)])
    assert len(line.exchanges) == MOST_STREAMS
    assert line.heard(2 * count - 1).reset == ErrorCode.REFUSED_STREAM


# Slow clients.


async def test_a_body_that_stalls(clock: Clock) -> None:
    line = Http2Line(timeouts=Timeouts(body_idle=5.0))
    line.ask(1, method="POST", end=False)
    other = line.ask(3)
    await wait(line, clock, 4)
    await line.say(line.peer.data(1, b"x"))
    assert not await wait(line, clock, 5)
    assert await wait(line, clock, 2)
    assert (line.heard(1).fields[":status"], line.heard(1).reset) == ("408", ErrorCode.NO_ERROR)
    assert line.takers[0].told == ["gone"]
    ends(other)
    await line.turns()
    assert line.heard(3).ended


async def test_a_body_that_we_hold_up_does_not_stall(clock: Clock) -> None:
    line = Http2Line(timeouts=Timeouts(body_idle=5.0))
    exchange = line.ask(1, method="POST", end=False)
    exchange.stream.pause_body(exchange)
    assert not await wait(line, clock, 20)
    exchange.stream.resume_body(exchange)
    line.channel.pause_writing()
    line.send(line.peer.data(1, b"x"))
    assert line.channel.reading_paused
    assert not await wait(line, clock, 20)
    line.channel.resume_writing()
    assert await wait(line, clock, 7)


async def test_a_body_that_others_hold_up_does_not_stall(clock: Clock) -> None:
    line = Http2Line(timeouts=Timeouts(body_idle=5.0))
    for number in range(1, 65, 2):
        exchange = line.ask(number, method="POST", end=False)
        exchange.stream.pause_body(exchange)
        await line.say(line.peer.data(number, PIECE) * 3, line.peer.data(number, PIECE[:-1]))
    assert line.speaks.machine.choked
    line.ask(101, method="POST", end=False)
    assert not await wait(line, clock, 20)
    line.exchanges[0].stream.resume_body(line.exchanges[0])
    assert await wait(line, clock, 10)
    assert line.statuses() == [408, 408], "the one that may go on, and the one that waited"


async def test_a_slow_body_is_refused(clock: Clock) -> None:
    line = Http2Line()
    line.ask(1, method="POST", end=False)
    for _ in range(4):
        await wait(line, clock, 20)
        await line.say(line.peer.data(1, bytes(100)))
    assert line.heard(1).fields[":status"] == "408"


async def test_a_window_that_stays_shut(clock: Clock) -> None:
    line = Http2Line(settings={"initial_window_size": 0}, timeouts=Timeouts(write_idle=10.0))
    exchange = line.ask(1)
    exchange.stream.send_head(exchange, head_of())
    exchange.stream.send_body(exchange, bytes(1000))
    exchange.stream.flush()
    assert not await wait(line, clock, 10)
    assert await wait(line, clock, 6)
    assert line.heard(1).reset == ErrorCode.CANCEL
    assert line.takers[0].told == ["gone"], "its upstream is let go"
    assert line.entries()[0]["bytes_sent"] == 0
    assert line.speaks.outlet.queued == 0
    assert not line.channel.closing


async def test_a_window_opened_byte_by_byte_stays_shut(clock: Clock) -> None:
    line = Http2Line(settings={"initial_window_size": 0}, timeouts=Timeouts(write_idle=10.0))
    ends(line.ask(1), bytes(100_000))
    slow = False
    for _ in range(20):
        slow = await wait(line, clock, 1) or slow
        await line.say(frames.window_update(1, 1))
    assert slow
    assert line.heard(1).reset == ErrorCode.CANCEL


async def test_a_window_that_lets_enough_through(clock: Clock) -> None:
    line = Http2Line(settings={"initial_window_size": 0}, timeouts=Timeouts(write_idle=10.0))
    ends(line.ask(1), bytes(100_000))
    for _ in range(60):
        assert not await wait(line, clock, 1)
        await line.say(frames.window_update(1, 1000))
    assert len(line.heard(1).body) == 60_000


async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    line = Http2Line(lambda exchange: ends(exchange, bytes(10_000)))
    line.channel.pause_writing()
    await line.say(line.peer.request(1))
    assert not line.pipe.reading
    line.channel.resume_writing()
    assert line.pipe.reading


# Between requests.


async def test_an_idle_connection_forgets_and_is_closed_in_time(clock: Clock) -> None:
    line = Http2Line(ends)
    for number in (1, 3, 5):
        await line.say(line.peer.request(number))
    assert not await wait(line, clock, 70)
    assert not line.speaks.machine._heads._memo
    assert not goaways(line)
    assert not await wait(line, clock, 8)
    assert goaways(line) == [5]
    assert line.pipe.ended
    assert not line.pipe.closed, "the client may have something on its way"
    await line.say(frames.frame(frames.PING, 0, 0, bytes(8)))
    await passes(line, clock)
    assert line.pipe.closed


async def test_a_client_that_never_says_hello(clock: Clock) -> None:
    line = Http2Line(hello=False)
    await line.say(frames.PREFACE[:10])
    assert not await wait(line, clock, 10)
    assert await wait(line, clock, 2)
    assert line.pipe.ended


async def test_half_a_request_has_its_time_from_when_nothing_else_runs(clock: Clock) -> None:
    line = Http2Line()
    exchange = line.ask(1)
    whole = line.peer.request(3)
    await line.say(whole[:-1])
    await wait(line, clock, 30)
    ends(exchange)
    await line.turns()
    assert not await wait(line, clock, 9)
    await line.say(whole[-1:])
    assert len(line.exchanges) == 2
    ends(line.exchanges[1])
    await line.say(line.peer.request(5)[:-1])
    assert await wait(line, clock, 12)
    assert line.pipe.ended


async def test_it_is_not_closed_while_answers_wait(clock: Clock) -> None:
    line = Http2Line(ends)
    await line.say(line.peer.request(1))
    line.channel.pause_writing()
    assert not await wait(line, clock, 100)
    assert not line.pipe.ended


# Endings.


async def test_a_broken_rule_ends_it_all() -> None:
    line = Http2Line()
    line.ask(1)
    await line.say(frames.frame(frames.PUSH_PROMISE, 0, 1, bytes(4)), line.peer.request(3))
    assert line.peer.goaway == ErrorCode.PROTOCOL_ERROR
    assert line.peer.said[-1].payload[8:] == b"PUSH_PROMISE from a client"
    assert line.takers[0].told == ["gone"]
    assert line.pipe.ended
    assert line.statuses() == [499]


async def test_the_client_leaves_in_order() -> None:
    line = Http2Line()
    exchange = line.ask(1)
    await line.say(frames.goaway(0, ErrorCode.NO_ERROR))
    assert not line.pipe.ended
    ends(exchange)
    await line.turns()
    assert line.heard(1).ended
    assert line.pipe.ended


async def test_the_client_leaves_with_nothing_running() -> None:
    line = Http2Line()
    await line.say(frames.goaway(0, ErrorCode.NO_ERROR))
    assert line.pipe.ended


async def test_the_client_closes_its_side() -> None:
    line = Http2Line()
    line.ask(1)
    line.ask(3)
    line.channel.eof_received()
    assert [taker.told for taker in line.takers] == [["gone"], ["gone"]]
    assert line.pipe.closed
    line.lost()
    assert line.gone == [line.speaks]
    assert line.statuses() == [499, 499]


async def test_the_connection_is_lost() -> None:
    line = Http2Line()
    exchange = line.ask(1)
    line.lost()
    assert line.takers[0].told == ["gone"]
    assert line.gone == [line.speaks]
    ends(exchange)
    await line.turns()
    assert line.statuses() == [499]


async def test_draining_takes_two_steps(clock: Clock) -> None:
    line = Http2Line()
    running = line.ask(1)
    line.service.draining = True
    line.speaks.stop_soon()
    await line.turns()
    assert goaways(line) == [HIGHEST_STREAM]
    late = line.ask(3)  # it had not heard yet
    await wait(line, clock, 2)
    assert goaways(line) == [HIGHEST_STREAM, 3]
    await line.say(
        line.peer.request(5, asking("/", "POST"), end=False), line.peer.data(5, b"x", end=True)
    )
    assert len(line.exchanges) == 2
    ends(late)
    await line.turns()
    assert not line.pipe.ended
    ends(running)
    await line.turns()
    assert line.heard(1).ended
    assert line.heard(3).ended
    assert goaways(line)[-1] == 3
    assert line.pipe.ended


async def test_draining_an_idle_connection(clock: Clock) -> None:
    line = Http2Line()
    line.service.draining = True
    line.speaks.stop_soon()
    for _ in range(3):  # who says things all the time is ended all the same
        clock.now += 0.4
        await line.say(frames.frame(frames.PING, 0, 0, bytes(8)))
    await passes(line, clock)
    assert goaways(line) == [HIGHEST_STREAM, 0]
    assert line.pipe.ended


async def test_a_connection_that_comes_while_draining(clock: Clock) -> None:
    line = Http2Line(ends)
    line.service.draining = True
    await line.say(line.peer.request(1))
    assert line.heard(1).ended
    assert goaways(line) == [HIGHEST_STREAM]
    await passes(line, clock)
    assert line.pipe.ended


async def test_who_is_refused_is_told_so_and_let_go() -> None:
    refusal = ProxyError(503, Fault.PROXY, "too many connections")
    line = Http2Line(refusal=refusal)
    await line.say(line.peer.request(1), line.peer.request(3))
    assert [line.heard(number).fields[":status"] for number in (1, 3)] == ["503", "503"]
    assert not line.exchanges
    assert line.pipe.ended


async def test_closing_at_once() -> None:
    line = Http2Line()
    line.ask(1)
    line.speaks.close()
    line.speaks.close()
    assert line.takers[0].told == ["gone"]
    line.peer.hear(line.out())
    assert goaways(line) == [1]
    assert line.pipe.closed


async def test_answers_of_our_own_do_not_end_it() -> None:
    def refuse(exchange: Exchange) -> None:
        exchange.stream.send_answer(exchange, Answer(head_of(403, 2), b"no", close=True))

    line = Http2Line(refuse)
    await line.say(line.peer.request(1), line.peer.request(3))
    assert line.statuses() == [403, 403]
    assert not line.pipe.ended
