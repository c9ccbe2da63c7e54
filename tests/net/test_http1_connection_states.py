"""A client's connection in each of its states, with time moved by hand and no loop."""

import math

import pytest

from proxy.errors import BadRequestError, Fault, ProxyError
from proxy.exchange.exchange import Exchange
from proxy.routing.route import Timeouts
from tests.fakes.bench import get, post, posting
from tests.fakes.serving import Clock, Line, ends, head_of, left, passes, statuses

CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, "http1_connection")


# One request after the other.


def test_pipelined_requests_need_no_deeper_stack() -> None:
    served: list[str] = []

    def handler(exchange: Exchange) -> None:
        if served:
            ends(line, exchange)
        else:
            line.keep(exchange)
        served.append(exchange.head.target)

    line = Line(handler)
    count = 5000
    line.send(b"".join(get(f"/{number}") for number in range(count)))
    assert served == ["/0"]
    ends(line)  # and now all the others, at once
    assert served == [f"/{number}" for number in range(count)]
    assert line.out().count(b"HTTP/1.1 200 OK\r\n") == count
    assert line.pipe.is_reading()


def test_a_body_in_the_middle_of_pipelined_requests_goes_where_it_belongs() -> None:
    line = Line()
    line.send(get("/a") + post(b"body of b", target="/b") + get("/c"))
    for target, body in (("/a", b""), ("/b", b"body of b"), ("/c", b"")):
        assert line.exchanges[-1].head.target == target
        assert line.takers[-1].body == body
        ends(line)
    assert statuses(line) == [200] * 3


def test_a_sender_of_many_requests_is_stopped_until_the_answer() -> None:
    line = Line()
    line.asked(get())
    line.send(b"x" * 64 * 1024)
    assert line.pipe.is_reading()
    line.send(b"x")
    assert not line.pipe.is_reading()


def test_no_request_is_begun_while_its_answer_could_not_be_sent() -> None:
    line = Line()
    line.asked(get() + get("/next"))
    line.channel.pause_writing()
    ends(line)
    assert len(line.exchanges) == 1
    assert not line.pipe.is_reading()
    line.channel.resume_writing()
    assert [exchange.head.target for exchange in line.exchanges] == ["/", "/next"]
    assert line.pipe.is_reading()


def test_back_pressure_reaches_the_consumer() -> None:
    line = Line()
    line.asked(get())
    line.channel.pause_writing()
    line.channel.resume_writing()
    assert line.takers[0].told == ["full", "ready"]
    line.exchanges[0].consumer = None
    line.channel.pause_writing()
    line.channel.resume_writing()
    assert line.takers[0].told == ["full", "ready"]


# Deadlines.


def test_a_connection_without_a_request_is_closed_without_a_word(clock: Clock) -> None:
    line = Line()
    assert left(line, clock) == Timeouts().request_header
    assert not passes(line, clock)
    assert line.pipe.is_closing()
    assert not line.out()
    assert not line.lines


def test_a_head_that_trickles_in_has_one_deadline(clock: Clock) -> None:
    line = Line()
    begun = line.channel.deadline
    for byte in get()[:-1]:
        clock.now += 0.1
        line.send(bytes([byte]))
    assert line.channel.deadline == begun
    assert passes(line, clock)
    assert line.out().startswith(b"HTTP/1.1 408 ")
    assert statuses(line) == [408]
    assert line.pipe.ended
    assert not line.pipe.is_closing()
    assert left(line, clock) == 2.0  # in which the client may read its answer
    assert not passes(line, clock)
    assert line.pipe.is_closing()


@pytest.mark.parametrize("early", [True, False])
def test_a_second_head_has_its_own_deadline(clock: Clock, early: bool) -> None:  # noqa: FBT001
    line = Line()
    line.asked(get() + (b"GET" if early else b""))
    assert line.channel.deadline == math.inf
    ends(line)
    if not early:
        clock.now += 2
        line.send(b"GET")
    assert left(line, clock) == Timeouts().request_header
    before = line.channel.deadline
    clock.now += 1
    line.send(b" /")
    assert line.channel.deadline == before
    assert passes(line, clock)
    assert statuses(line) == [200, 408]


def test_an_idle_connection_forgets_and_then_ends(clock: Clock) -> None:
    line = Line()
    for _ in range(2):
        line.asked(get(fields="Authorization: secret\r\n"))
        ends(line)
    line.out()
    idle_since = clock.now
    assert line.session._machine._memo
    assert not passes(line, clock)
    assert not line.session._machine._memo
    assert not line.channel.closing
    assert line.channel.deadline - idle_since == Timeouts().keep_alive
    assert not passes(line, clock)
    assert line.pipe.is_closing()
    assert not line.out()
    assert len(line.lines) == 2


def test_a_connection_in_use_idles_anew_each_time(clock: Clock) -> None:
    line = Line()
    for _ in range(3):
        line.asked(get())
        ends(line)
        passes(line, clock)
        assert not line.channel.closing
        clock.now += 10


def test_a_short_keep_alive_is_kept(clock: Clock) -> None:
    line = Line(timeouts=Timeouts(keep_alive=2.0))
    line.asked(get())
    ends(line)
    assert left(line, clock) == 2.0
    assert not passes(line, clock)
    assert line.pipe.is_closing()


def test_a_client_that_still_reads_its_answer_does_not_idle(clock: Clock) -> None:
    line = Line()
    line.asked(get())
    line.channel.pause_writing()
    ends(line)
    assert not passes(line, clock)
    assert not line.channel.closing
    assert left(line, clock) == Timeouts().keep_alive


def test_a_body_may_take_long_but_not_stall(clock: Clock) -> None:
    line = Line(timeouts=Timeouts(body_idle=60.0, min_rate=0.0))
    line.asked(posting(1000))
    for _ in range(50):
        clock.now += 59
        line.send(b"x")
        assert left(line, clock) == 60.0
    assert passes(line, clock)
    assert line.out().startswith(b"HTTP/1.1 408 ")
    assert line.takers[0].told == ["gone"]
    assert statuses(line) == [408]
    assert line.pipe.ended


def test_a_whole_body_has_no_deadline(clock: Clock) -> None:
    line = Line()
    line.asked(post(b"body"))
    assert line.channel.deadline == math.inf
    assert not line.session.deadline_passed(clock.now + 1e6)
    assert not line.channel.closing


def test_nobody_is_blamed_while_it_is_we_who_do_not_read(clock: Clock) -> None:
    line = Line(timeouts=Timeouts(body_idle=60.0, min_rate=500.0))
    exchange = line.asked(posting(100_000) + b"x" * 1000)
    line.session.pause_body(exchange)
    for _ in range(3):
        assert not passes(line, clock)
        assert left(line, clock) == 60.0
    line.session.resume_body(exchange)
    clock.now += 59
    line.send(b"x")  # the window began anew
    assert not line.lines
    clock.now += 1
    line.send(b"x")
    assert statuses(line) == [408]


def test_what_is_read_anyway_forgives_nothing(clock: Clock) -> None:
    line = Line(timeouts=Timeouts(min_rate=500.0))
    exchange = line.asked(posting(100_000))
    for _ in range(6):
        clock.now += 10
        line.session.resume_body(exchange)
        line.send(b"x")
    assert statuses(line) == [408]
    assert line.takers[0].told == ["gone"]


# Refused while reading.


def test_a_body_beyond_the_limit_is_413_and_its_rest_is_not_read() -> None:
    line = Line(body_limit=10)
    line.asked(CHUNKED + b"a\r\n0123456789\r\n")
    line.send(b"1\r\nx\r\n")
    assert line.out().startswith(b"HTTP/1.1 413 ")
    assert line.takers[0].told == ["gone"]
    assert line.takers[0].body == b"0123456789"
    assert line.pipe.ended
    assert line.pipe.is_reading()  # lest a reset destroys the answer
    line.send(b"0\r\n\r\n" + get())
    assert statuses(line) == [413]
    assert not line.out()


def test_a_broken_body_cuts_the_answer_that_has_begun() -> None:
    line = Line()
    exchange = line.asked(CHUNKED)
    line.session.send_head(exchange, head_of(length=100))
    line.send(b"nonsense\r\n")
    assert line.out().count(b"HTTP/1.1 ") == 1
    assert line.pipe.is_closing()
    assert statuses(line) == [200]
    assert line.takers[0].told == ["gone"]
    assert line.takers[0].trailers is None


def test_what_follows_nonsense_is_no_request() -> None:
    line = Line()
    line.send(b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n" + get())
    line.send(get())
    assert not line.exchanges
    assert statuses(line) == [400]


@pytest.mark.parametrize(
    "error", [ProxyError(503, Fault.PROXY, "too many"), BadRequestError("too many", status=429)]
)
def test_who_was_let_in_to_be_refused_is_told_once(error: ProxyError) -> None:
    line = Line(refusal=error)
    line.send(get() + get())
    assert not line.exchanges
    out = line.out()
    assert out.startswith(b"HTTP/1.1 %d " % error.status)
    assert b"\r\nConnection: close\r\n" in out
    assert statuses(line) == [error.status]
    assert line.pipe.is_closing()
