"""How a client's connection ends: the client leaves, in any state, or the worker drains."""

import math
from collections.abc import Callable

import pytest

from proxy.routing.route import Timeouts
from tests.fakes.bench import get, posting
from tests.fakes.serving import Clock, Line, ends, head_of, left, passes, statuses


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, "http1_connection")


# A client that leaves.


def nothing(_: Line) -> None:
    pass


def half_a_head(line: Line) -> None:
    line.send(b"GET / HT")


def in_its_body(line: Line) -> None:
    line.asked(posting(10) + b"1234")


def waiting(line: Line) -> None:
    line.asked(get())


def answering(line: Line) -> None:
    waiting(line)
    line.session.send_head(line.exchanges[0], head_of(length=10))
    line.session.send_body(line.exchanges[0], b"part")


def idle(line: Line) -> None:
    waiting(line)
    ends(line)


def lingering(line: Line) -> None:
    line.send(b"nonsense\r\n\r\n")


@pytest.mark.parametrize("how", ["eof", "lost", "closed"])
@pytest.mark.parametrize(
    ("phase", "logged"),
    [
        (nothing, []), (half_a_head, []), (in_its_body, [499]), (waiting, [499]),
        (answering, [200]), (idle, [200]), (lingering, [400]),
    ],
)  # fmt: skip
def test_who_leaves_is_logged_once(
    phase: Callable[[Line], None], logged: list[int], how: str
) -> None:
    line = Line()
    phase(line)
    running = phase in (in_its_body, waiting, answering)
    if how == "eof":
        line.channel.eof_received()
        assert line.pipe.is_closing()
    elif how == "closed":  # by us: the worker's time is up
        line.session.close()
        assert line.pipe.is_closing()
    line.lost()
    assert statuses(line) == logged
    assert [taker.told for taker in line.takers] == (
        [["gone"]] if running else [[]] * len(line.takers)
    )
    assert line.counters.requests_aborted == running
    assert line.counters.requests_active == 0
    assert line.gone == [line.session]
    for exchange in line.exchanges:  # what its server says now reaches nobody
        ends(line, exchange)
    assert statuses(line) == logged


# Draining.


def drains(line: Line) -> None:
    line.service.draining = True
    line.session.stop_soon()


def test_an_idle_connection_is_given_a_moment(clock: Clock) -> None:
    line = Line()
    idle(line)
    drains(line)
    assert left(line, clock) == 1.0
    assert not line.channel.closing
    assert not passes(line, clock)
    assert line.pipe.is_closing()


def test_a_request_that_was_on_its_way_is_answered_with_the_end(clock: Clock) -> None:
    line = Line()
    idle(line)
    drains(line)
    clock.now += 0.5
    line.out()
    line.asked(get("/late") + get("/later"))
    ends(line)
    assert b"\r\nConnection: close\r\n" in line.out()
    assert line.pipe.is_closing()
    assert len(line.exchanges) == 2


def test_a_long_idle_connection_gets_no_longer_time(clock: Clock) -> None:
    line = Line(timeouts=Timeouts(keep_alive=3.5))
    idle(line)
    passes(line, clock)
    assert left(line, clock) == 0.5
    drains(line)
    assert left(line, clock) == 0.5


def test_a_new_connection_has_the_time_of_its_first_request(clock: Clock) -> None:
    line = Line()
    drains(line)
    assert left(line, clock) == Timeouts().request_header
    line.asked(get())
    ends(line)
    assert b"\r\nConnection: close\r\n" in line.out()
    assert line.pipe.is_closing()


def test_a_head_that_has_begun_is_waited_for(clock: Clock) -> None:
    line = Line()
    idle(line)
    line.send(b"GET / HTTP/1.1\r\n")
    drains(line)
    assert left(line, clock) == Timeouts().request_header
    line.asked(b"Host: localhost\r\n\r\n")


def test_a_running_request_is_finished_and_none_follows() -> None:
    line = Line()
    line.asked(get() + get("/next"))
    drains(line)
    ends(line)
    assert b"\r\nConnection: close\r\n" in line.out()
    assert line.pipe.is_closing()
    assert len(line.exchanges) == 1


def test_an_answer_that_has_begun_cannot_say_close_any_more(clock: Clock) -> None:
    line = Line()
    answering(line)
    drains(line)
    line.session.send_body(line.exchanges[0], b"123456")
    line.session.end(line.exchanges[0], b"")
    assert line.out().endswith(b"part123456")
    assert not line.channel.closing
    assert not passes(line, clock)
    assert line.pipe.is_closing()


def test_an_upgraded_connection_is_left_alone_until_the_end() -> None:
    line = Line()
    exchange = line.asked(get(fields="Connection: Upgrade\r\nUpgrade: websocket\r\n"))
    switching = head_of(101)
    switching.upgrade = "websocket"
    line.session.switch(exchange, switching)
    drains(line)
    assert line.channel.deadline == math.inf
    line.send(b"frame")
    assert line.takers[0].body == b"frame"
    line.session.close()
    assert line.takers[0].told == ["gone"]
    assert statuses(line) == [101]
