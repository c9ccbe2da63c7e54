"""A head made for clients once is used again where, and only where, it would be made the same."""

import pytest

from proxy.exchange.exchange import Exchange
from proxy.message.edit import NO_EDIT, FieldEdit
from proxy.message.head import ResponseHead
from proxy.net.prepared import PreparedAnswer
from tests.fakes.bench import get, posting
from tests.fakes.serving import Line, head_of

DATED = b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
MARK = b"HTTP/1.1 200 OK\r\nMarked: 1\r\n\r\n"


def answered(line: Line, request: bytes, head: ResponseHead, body: bytes = b"ok") -> bytes:
    exchange = line.asked(request)
    line.session.send_whole(exchange, head, body)
    assert line.entries()[-1]["status"] == head.status
    return line.out()


def remembered() -> ResponseHead:
    """A head in whose place, where it is remembered, something else is sent."""
    head = head_of(length=2, block=DATED, dated=True)
    head.prepared = PreparedAnswer(NO_EDIT, MARK)
    return head


def test_a_dated_head_is_made_once() -> None:
    line = Line(edit=FieldEdit((), b"A: b\r\n"))
    head = head_of(length=2, block=DATED, dated=True)
    first = answered(line, get(), head)
    assert isinstance(head.prepared, PreparedAnswer)
    assert head.prepared.http1 + b"ok" == first
    known = head.prepared
    assert answered(line, get("/other"), head, b"no") == first[:-2] + b"no"
    assert head.prepared is known


def test_what_is_remembered_is_sent_and_counted() -> None:
    line = Line()
    assert answered(line, get(), remembered()) == MARK + b"ok"
    assert line.entries()[0]["bytes_sent"] == 2
    assert line.counters.responses_2xx == 1
    assert answered(line, get(), remembered()) == MARK + b"ok"  # on the same connection


def test_an_undated_head_is_never_remembered() -> None:
    """Its date would be that of its first use for ever."""
    line = Line()
    head = head_of(length=2)
    assert b"\r\nDate: Thu, 01 Jan 1970" in answered(line, get(), head)
    assert head.prepared is None
    line.service.date_line = b"Date: later\r\n"
    assert b"\r\nDate: later\r\n" in answered(line, get(), head)


def test_a_route_with_another_edit_has_its_own() -> None:
    line = Line(edit=FieldEdit((), b"A: b\r\n"))
    head = remembered()
    out = answered(line, get(), head)
    assert b"Marked" not in out
    assert b"\r\nA: b\r\n" in out
    other = Line()  # the next to take a head off the same upstream's connection
    out = answered(other, get(), head)
    assert b"\r\nA: b\r\n" not in out
    assert b"Marked" not in out


def test_an_equal_edit_of_another_program_is_another_edit() -> None:
    line = Line(edit=FieldEdit((), b"A: b\r\n"))
    head = remembered()
    head.prepared = PreparedAnswer(FieldEdit((), b"A: b\r\n"), MARK)
    assert b"Marked" not in answered(line, get(), head)


@pytest.mark.parametrize(
    "request_head",
    [
        get(fields="Connection: close\r\n"),
        b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
        posting(10),
    ],
)
def test_other_clients_get_heads_of_their_own(request_head: bytes) -> None:
    line = Line()
    head = remembered()
    known = head.prepared
    out = answered(line, request_head, head)
    assert out.endswith(b"\r\n\r\nok")
    assert b"Marked" not in out
    assert b"\r\nConnection: " in out
    assert head.prepared is known
    fresh = head_of(length=2, block=DATED, dated=True)
    answered(Line(), request_head, fresh)
    assert fresh.prepared is None


def test_a_draining_worker_says_close() -> None:
    line = Line()
    line.asked(get())
    line.service.draining = True
    line.session.stop_soon()
    line.session.send_whole(line.exchanges[0], remembered(), b"ok")
    out = line.out()
    assert b"\r\nConnection: close\r\n" in out
    assert b"Marked" not in out


def test_what_stands_in_its_place_for_somebody_else_is_left_alone() -> None:
    """The slot is the whole room's, and HTTP/2 will want it too."""
    line = Line()
    head = head_of(length=2, block=DATED, dated=True)
    head.prepared = "not ours"
    assert answered(line, get(), head).endswith(b"\r\n\r\nok")


def test_an_answer_over_a_buffered_body_is_not_remembered_for_its_head() -> None:
    """The machine skips the body then and the connection stays: the head is like any other."""
    served: list[Exchange] = []
    head = head_of(length=2, block=DATED, dated=True)

    def handler(exchange: Exchange) -> None:
        served.append(exchange)
        line.session.send_whole(exchange, head, b"ok")

    line = Line(handler)
    line.send(posting(4) + b"body" + get())
    assert len(served) == 2
    first, second = line.pipe.writes
    assert first == second
