import json

import pytest

from proxy.errors import ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.error_pages import HTML, NO_PAGES, ErrorPage, ErrorPages
from proxy.exchange.exchange import Exchange
from proxy.policy.maintenance import maintenance
from proxy.policy.part import Part
from tests.policy.asking import asking, gate_of

PAGES = ErrorPages({"503": ErrorPage(b"<p>closed {request_id}", HTML)})


def answer_of(part: Part, exchange: Exchange) -> Answer:
    answer = gate_of(part)(exchange)
    assert type(answer) is Answer
    return answer


def test_nobody_gets_in() -> None:
    part = maintenance(PAGES, retry_after=600.0)
    exchange = asking("/x", method="POST")
    exchange.request_id = "ab12"
    answer = answer_of(part, exchange)
    assert answer.head.status == 503
    assert answer.body == b"<p>closed ab12"
    assert answer.head.content_length == len(answer.body)
    assert b"\r\nRetry-After: 600\r\n" in answer.head.block
    assert b"\r\nCache-Control: no-store\r\n" in answer.head.block
    assert not answer.close, "a client may come again on its connection"
    assert isinstance(exchange.error, ProxyError)
    assert exchange.error.detail == "maintenance", "the log says why"


def test_without_a_page_ours_says_so() -> None:
    exchange = asking("/")
    exchange.head.block = b"Accept: application/json\r\n"
    answer = answer_of(maintenance(NO_PAGES), exchange)
    assert json.loads(answer.body)["detail"].startswith("This site is being worked on")
    assert b"Retry-After" not in answer.head.block


def test_another_status() -> None:
    pages = ErrorPages({"5xx": ErrorPage(b"5", HTML), "404": ErrorPage(b"4", HTML)})
    answer = answer_of(maintenance(pages, status=404), asking("/"))
    assert (answer.head.status, answer.body) == (404, b"4")


@pytest.mark.parametrize(("retry_after", "said"), [(0.0, b""), (0.2, b"1"), (90.0, b"90")])
def test_retry_after(retry_after: float, said: bytes) -> None:
    block = answer_of(maintenance(NO_PAGES, retry_after=retry_after), asking("/")).head.block
    assert block.partition(b"Retry-After: ")[2].partition(b"\r\n")[0] == said


def test_it_is_asked_each_time_whether_it_is_on() -> None:
    gate = gate_of(maintenance(PAGES, is_on=lambda now: 5.0 <= now < 6.0))
    exchange = asking("/")
    exchange.started = 4.9
    assert gate(exchange) is None
    assert exchange.error is None
    exchange.started = 5.0
    assert gate(exchange) is not None
    exchange.started = 6.0
    assert gate(exchange) is None


def test_some_are_let_in_by_the_address_that_is_believed() -> None:
    gate = gate_of(maintenance(PAGES, is_let_in={"192.0.2.9"}.__contains__))
    exchange = asking("/")
    assert gate(exchange) is not None
    exchange.address = "192.0.2.9"
    assert gate(exchange) is None
