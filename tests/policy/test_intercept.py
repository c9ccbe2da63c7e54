import pytest

from proxy.errors import InterceptedError
from proxy.exchange.error_pages import HTML, JSON, NO_PAGES, ErrorPage, ErrorPages
from proxy.exchange.pages import error_answer
from proxy.message.head import ResponseHead
from proxy.policy.intercept import KEPT, intercept
from proxy.policy.part import Shape
from tests.policy.asking import asking

PAGES = ErrorPages({
    "404": ErrorPage(b"lost", HTML),
    "5xx": ErrorPage(b"broken", HTML),
    "429": ErrorPage(b"{}", JSON),
})  # fmt: skip


def shape_of(pages: ErrorPages = PAGES) -> Shape:
    shape = intercept(pages).shape
    assert shape is not None
    return shape


@pytest.mark.parametrize("status", [404, 500, 503, 599, 429])
def test_an_error_that_there_is_a_page_for(status: int) -> None:
    with pytest.raises(InterceptedError) as caught:
        shape_of()(asking("/"), ResponseHead(status, "x", b"Content-Type: text/html\r\n"))
    assert caught.value.status == status
    assert caught.value.fields == b""


@pytest.mark.parametrize("status", [101, 200, 204, 301, 304, 400, 403, 600])
def test_other_answers_pass(status: int) -> None:
    head = ResponseHead(status, "x")
    assert shape_of()(asking("/"), head) is head


def test_without_pages_everything_passes() -> None:
    head = ResponseHead(500, "x")
    assert shape_of(NO_PAGES)(asking("/"), head) is head


def test_a_program_keeps_the_applications_own_answer() -> None:
    exchange = asking("/")
    exchange.head.block = b"Accept: application/json\r\n"
    head = ResponseHead(404, "x", b"Content-Type: application/json\r\n")
    assert shape_of()(exchange, head) is head
    with pytest.raises(InterceptedError):
        shape_of()(exchange, ResponseHead(429, "x"))


def test_what_belongs_to_the_status_stays() -> None:
    kept = (
        b"www-authenticate: Basic\r\nRetry-After: 5\r\nSet-Cookie: a=b\r\nSET-COOKIE: c=d\r\n"
        b"Access-Control-Allow-Origin: https://a.example\r\n"
    )
    gone = b"Content-Type: text/html\r\nETag: x\r\nX-Retry-After: 1\r\nCache-Control: public\r\n"
    for block in (kept + gone, gone + kept):
        with pytest.raises(InterceptedError) as caught:
            shape_of()(asking("/"), ResponseHead(503, "x", block))
        assert caught.value.fields == kept
        answer = error_answer(asking("/").head, caught.value, "1", pages=PAGES)
        assert answer.body == b"broken"
        assert answer.head.block.endswith(b"Cache-Control: no-store\r\n" + kept)


@pytest.mark.parametrize("name", KEPT)
def test_each_of_the_fields_that_stay(name: str) -> None:
    line = f"{name.title()}: x\r\n".encode()
    with pytest.raises(InterceptedError) as caught:
        shape_of()(asking("/"), ResponseHead(404, "x", b"A: b\r\n" + line + b"C: d\r\n"))
    assert caught.value.fields == line
