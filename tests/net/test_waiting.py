"""Exchanges that wait for a gate: nothing of the client's is lost, and nobody is asked in vain."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from proxy.errors import BadRequestError, ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Delay, Verdict, Work
from proxy.message.edit import FieldEdit
from proxy.net.service import Found
from proxy.net.waiting import no_handler
from proxy.policy.part import Gate
from proxy.routing.route import Route
from tests.fakes.bench import get, post, posting
from tests.fakes.exchanges import looked_at
from tests.fakes.serving import Line, head_of
from tests.fakes.wires import on_uvloop, until

TEAPOT = Answer(head_of(418, 0))


def works(verdict: Verdict | Exception = None, call: Callable[[], object] = int) -> Gate:
    """A gate that has something computed, and then says `verdict`."""

    def then(_result: object) -> Verdict:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    return lambda _exchange: Work(call, then)


def delays(seconds: float = 0.001) -> Gate:
    return lambda _exchange: Delay(seconds)


class Held:
    """A gate whose work ends when the test says so."""

    def __init__(self, verdict: Verdict | Exception = None) -> None:
        self.event = threading.Event()
        self.begun = threading.Event()
        self._gate = works(verdict, self._wait)

    def _wait(self) -> bool:
        self.begun.set()
        return self.event.wait(10)

    def __call__(self, exchange: Exchange) -> Verdict:
        return self._gate(exchange)


def reads(line: Line) -> bool:
    """Whether the client is read from, and so noticed when it leaves."""
    return not line.channel.reading_paused


async def exchanged(line: Line) -> None:
    await until(lambda: line.exchanges)


async def answered(line: Line) -> None:
    await until(lambda: line.lines)


def status(line: Line) -> int:
    return int(line.out()[9:12])


@on_uvloop
async def test_passing_after_a_wait_leads_to_the_next_gate_and_the_handler() -> None:
    asked: list[int] = []

    def last(exchange: Exchange) -> None:
        asked.append(exchange.received)

    line = Line(gates=(delays(), works(), delays(), last))
    line.send(get())
    assert not line.exchanges
    await until(lambda: line.exchanges)
    assert asked == [0], "each gate once"


@on_uvloop
async def test_the_body_that_came_meanwhile_reaches_the_handler_whole() -> None:
    held = Held()
    line = Line(gates=(held, delays()))
    line.send(post(b"hello world"))
    assert reads(line), "a client that leaves is to be noticed"
    held.event.set()
    await until(lambda: line.exchanges)
    assert line.takers[0].body == b"hello world"
    assert line.takers[0].trailers == b""


@on_uvloop
async def test_of_a_large_body_no_more_is_read_meanwhile() -> None:
    held = Held()
    line = Line(gates=(held, delays()))
    whole = post(b"x" * 300_000)
    line.send(whole[:60_000])
    assert reads(line)
    line.send(whole[60_000:200_000])
    assert not reads(line)
    held.event.set()
    await until(lambda: line.exchanges)
    assert reads(line)
    line.send(whole[200_000:])
    assert line.takers[0].body == b"x" * 300_000
    assert line.takers[0].trailers == b""


@on_uvloop
async def test_the_rest_of_a_body_follows() -> None:
    held = Held()
    line = Line(gates=(held,))
    whole = post(b"hello world")
    line.send(whole[:-6])
    held.event.set()
    await until(lambda: line.exchanges)
    assert line.takers[0].body == b"hello"
    assert line.takers[0].trailers is None
    line.send(whole[-6:])
    assert line.takers[0].body == b"hello world"
    assert line.takers[0].trailers == b""


@on_uvloop
async def test_a_handler_that_answers_at_once_is_given_nothing() -> None:
    def teapot(exchange: Exchange) -> None:
        exchange.stream.send_answer(exchange, TEAPOT)

    line = Line(teapot, gates=(delays(),))
    line.send(post(b"hello"))
    await until(lambda: line.lines)
    assert status(line) == 418
    line.send(get())
    await until(lambda: len(line.lines) == 2)
    assert status(line) == 418, "the connection goes on"


@on_uvloop
async def test_a_gate_answers_after_its_wait() -> None:
    line = Line(gates=(works(TEAPOT),))
    line.send(get())
    await until(lambda: line.lines)
    assert status(line) == 418
    assert not line.exchanges


@on_uvloop
async def test_a_wait_may_lead_to_another() -> None:
    line = Line(gates=(works(Delay(0.001)), works(Work(int, lambda _: TEAPOT))))
    line.send(get())
    await until(lambda: line.lines)
    assert status(line) == 418


@on_uvloop
async def test_a_gate_behind_a_wait_answers_or_refuses() -> None:
    def refuse(_exchange: Exchange) -> Verdict:
        raise BadRequestError("no", status=403)

    for gates, expected in (((delays(), lambda _: TEAPOT), 418), ((delays(), refuse), 403)):
        line = Line(gates=gates)
        line.send(get())
        await answered(line)
        assert status(line) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [(BadRequestError("no", status=401), 401), (ZeroDivisionError("bug"), 500)],
)
@on_uvloop
async def test_errors_of_work_and_of_what_is_made_of_it(error: Exception, expected: int) -> None:
    def fail() -> object:
        raise error

    for gate in (works(error), works(None, fail)):
        line = Line(gates=(gate,))
        line.send(get())
        await answered(line)
        assert status(line) == expected


@on_uvloop
async def test_a_client_that_leaves_is_not_served() -> None:
    held = Held()
    line = Line(gates=(held, delays()))
    line.send(get())
    held.begun.wait(10)
    line.lost()
    (entry,) = line.entries()
    assert entry["status"] == 499
    held.event.set()
    await asyncio.sleep(0.01)
    assert not line.exchanges


@on_uvloop
async def test_a_client_that_leaves_during_a_delay_is_forgotten() -> None:
    line = Line(gates=(delays(0.01),))
    line.send(get())
    line.lost()
    await asyncio.sleep(0.03)
    assert not line.exchanges


@on_uvloop
async def test_a_body_too_long_is_refused_while_its_gate_waits() -> None:
    held = Held()
    line = Line(gates=(held,), body_limit=4)
    line.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    line.send(b"5\r\nhello\r\n")
    assert status(line) == 413
    held.event.set()
    await asyncio.sleep(0.01)
    assert not line.exchanges


@on_uvloop
async def test_requests_behind_one_that_waits_come_in_their_order() -> None:
    held = Held()
    line = Line(gates=(held,))
    line.send(get("/one") + get("/two"))
    held.event.set()
    await until(lambda: len(line.exchanges) == 1)
    assert line.exchanges[0].head.target == "/one"
    line.exchanges[0].stream.send_answer(line.exchanges[0], TEAPOT)
    await until(lambda: len(line.exchanges) == 2)
    assert line.exchanges[1].head.target == "/two"


def test_a_route_without_a_handler_says_so() -> None:
    exchange = looked_at()
    exchange.route = "/x"
    with pytest.raises(ProxyError, match="/x has no handler"):
        no_handler(exchange)


@on_uvloop
async def test_all_that_is_kept_is_bounded_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.net.waiting._MOST_KEPT", 100_000)
    held = Held()
    line = Line(gates=(held,))
    line.send(posting(300_000) + b"x" * 90_000)
    assert line.service.kept == 90_000
    line.send(b"x" * 20_000)
    assert status(line) == 503
    assert line.service.kept == 0
    held.event.set()
    await asyncio.sleep(0.01)
    assert not line.exchanges


@pytest.mark.parametrize("gates", [(delays(),), (works(TEAPOT),), (works(BadRequestError("no")),)])
@on_uvloop
async def test_nothing_is_kept_when_a_wait_is_over(gates: tuple[Gate, ...]) -> None:
    line = Line(gates=gates)
    line.send(post(b"hello"))
    assert line.service.kept == 5
    await until(lambda: line.exchanges or line.lines)
    assert line.service.kept == 0


@on_uvloop
async def test_nothing_is_kept_for_a_client_that_left() -> None:
    line = Line(gates=(delays(5.0),))
    line.send(post(b"hello"))
    line.lost()
    assert line.service.kept == 0


@on_uvloop
async def test_what_was_worked_out_is_kept_with_its_own_route_alone() -> None:
    """Streams of HTTP/2 may share a head, and a reload may come while one of them waits."""
    for same in (True, False):
        held = Held()
        line = Line(gates=(held,))
        line.send(get())
        assert line.service.live is not None
        (site,) = line.service.live.program.all_sites()
        (route,) = site.routes.routes
        other = Route("/", serve=lambda _exchange: None)
        found = Found(line.service.live, "localhost", route if same else other, FieldEdit())
        waiting = line.session._exchange
        assert waiting is not None
        waiting.head.prepared = found
        waiting.plan = "worked out"
        held.event.set()
        await exchanged(line)
        assert found.plan == ("worked out" if same else None)
