import html.parser
import json
import time

import pytest
from hypothesis import given, strategies as st

from proxy.errors import (
    BadRequestError,
    BadResponseError,
    Fault,
    InterceptedError,
    ProxyError,
    UpstreamError,
)
from proxy.exchange.answer import Answer
from proxy.exchange.error_pages import HTML, JSON, TEXT, ErrorPage, ErrorPages
from proxy.exchange.pages import error_answer, own_page
from proxy.message.head import RequestHead


def asking(accept: str = "", method: str = "GET") -> RequestHead:
    head = RequestHead(method, "/", "HTTP/1.1")
    head.block = f"User-Agent: x\r\nAccept: {accept}\r\n".encode("latin-1")
    return head


def fields_of(answer: Answer) -> dict[str, str]:
    lines = answer.head.block.decode("ascii").split("\r\n")
    assert lines.pop() == ""
    return dict(line.split(": ", 1) for line in lines)


class TextReader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - as called
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_page() -> None:
    error = BadRequestError("a secret", status=413, public="At most 10 MB here.")
    answer = error_answer(asking("text/html,*/*;q=0.8"), error, "ab12")
    assert (answer.head.status, answer.head.reason) == (413, "Content Too Large")
    assert answer.head.content_length == len(answer.body)
    fields = fields_of(answer)
    assert fields["Content-Type"] == "text/html; charset=utf-8"
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Cache-Control"] == "no-store"
    page = TextReader()
    page.feed(answer.body.decode())
    assert "413 Content Too Large" in page.text
    assert "At most 10 MB here." in page.text
    assert "ab12" in page.text
    assert b"secret" not in answer.body


def test_json_page() -> None:
    error = BadRequestError("a secret", status=413, public="At most 10 MB here.")
    answer = error_answer(asking("application/json, text/plain, */*"), error, "ab12")
    assert fields_of(answer)["Content-Type"] == "application/json"
    assert json.loads(answer.body) == {
        "status": 413,
        "title": "Content Too Large",
        "detail": "At most 10 MB here.",
        "request_id": "ab12",
    }


def test_problem_page() -> None:
    answer = error_answer(asking("application/problem+json"), BadResponseError("secret"), "ab12")
    assert fields_of(answer)["Content-Type"] == "application/problem+json"
    assert json.loads(answer.body) == {
        "type": "about:blank",
        "status": 502,
        "title": "Bad Gateway",
        "request_id": "ab12",
    }


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/html", "text/html"),
        ("application/json, text/html", "text/html"),
        ("application/json;q=0.9, text/html;q=0.8", "application/json"),
        ("application/json; Q=0.5, application/xhtml+xml", "text/html"),
        ("application/json;q=0", "text/html"),
        ("application/json;q=2", "application/json"),
        ("APPLICATION/JSON;charset=utf-8", "application/json"),
        ("application/vnd.api+json", "application/json"),
        ("application/problem+json;q=0, application/json", "application/json"),
        ("application/problem+json, application/json", "application/problem+json"),
        ("application/jsonp", "text/html"),
        (",;,q=", "text/html"),
    ],
)
def test_json_only_when_it_is_asked_for_rather_than_html(accept: str, kind: str) -> None:
    answer = error_answer(asking(accept), UpstreamError(503, "x"), "1")
    assert fields_of(answer)["Content-Type"].partition(";")[0] == kind


def test_accept_on_several_lines_is_one_list() -> None:
    head = asking("text/html;q=0.5")
    head.block += b"accept: application/json\r\n"
    assert (
        fields_of(error_answer(head, UpstreamError(503, "x"), "1"))["Content-Type"]
        == "application/json"
    )


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("a/b, " * 31 + "application/json", "application/json"),
        ("a/b, " * 32 + "application/json", "text/html"),
        ("," * 31_000 + "application/json", "text/html"),
        ("application/json" + "," * 31_000 + "text/html", "application/json"),
        ("a/b;c=" + "x" * 31_000 + ", application/json", "text/html"),
        ("a/b" + ";\t" * 15_000, "text/html"),
        ("a/b;" + " " * 31_000, "text/html"),
    ],
)
def test_of_a_long_accept_only_the_beginning_is_looked_at(accept: str, kind: str) -> None:
    """31,000 commas took 24 ms of the worker for one page."""
    head = asking(accept)
    begin = time.process_time()
    answers = [error_answer(head, UpstreamError(503, "x"), "1") for _ in range(10)]
    assert time.process_time() - begin < 0.05
    assert fields_of(answers[0])["Content-Type"].partition(";")[0] == kind


def test_405_has_allow_even_an_empty_one() -> None:
    error = BadRequestError("x", status=405)
    assert (
        fields_of(error_answer(asking(), error, "1", allow={"POST", "GET"}))["Allow"] == "GET, POST"
    )
    assert fields_of(error_answer(asking(), error, "1"))["Allow"] == ""
    assert "Allow" not in fields_of(
        error_answer(asking(), BadRequestError("x"), "1", allow={"GET"})
    )


def test_retry_after_is_rounded_up() -> None:
    error = BadRequestError("x", status=429)
    assert fields_of(error_answer(asking(), error, "1", retry_after=0.2))["Retry-After"] == "1"
    assert "Retry-After" not in fields_of(error_answer(asking(), error, "1"))


@pytest.mark.parametrize(
    ("head", "status", "close"),
    [(None, 404, True), (asking(), 404, False), (asking(), 413, True), (asking(), 502, False)],
)
def test_half_read_requests_end_the_connection(
    head: RequestHead | None, status: int, *, close: bool
) -> None:
    assert error_answer(head, ProxyError(status, Fault.CLIENT, "x"), "1").close is close


def test_mistakes_of_ours_tell_nothing() -> None:
    answer = error_answer(asking("application/json"), ValueError("secret"), "1")
    assert answer.head.status == 500
    assert b"secret" not in answer.body


@given(st.text(), st.text(max_size=130), st.integers(100, 999))
def test_nothing_gets_out_of_its_place(public: str, request_id: str, status: int) -> None:
    error = ProxyError(status, Fault.CLIENT, "x", public=public)
    page = TextReader()
    page.feed(error_answer(asking(), error, request_id).body.decode())
    plain = TextReader()
    plain.feed(
        error_answer(asking(), ProxyError(status, Fault.CLIENT, "x", public="y"), "z").body.decode()
    )
    assert [tag for tag in page.tags if tag != "p"] == [tag for tag in plain.tags if tag != "p"]
    problem = json.loads(error_answer(asking("application/json"), error, request_id).body)
    assert problem["request_id"] == request_id
    assert problem.get("detail", "") == public


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0")))
def test_any_accept_field(accept: str) -> None:
    assert error_answer(asking(accept), BadRequestError("x"), "1").head.status == 400


OWN = ErrorPages({
    "404": ErrorPage(b"<p>{status} at {host}: {request_id}", HTML),
    "429": ErrorPage(b'{"slow": "down"}', JSON),
    "5xx": ErrorPage(b"broken", TEXT),
})  # fmt: skip


def test_a_page_of_the_configurations_own() -> None:
    error = BadRequestError("x", status=404, public="Not told.", fields=b"X-A: b\r\n")
    head = asking("text/html")
    head.host = "a.example"
    answer = error_answer(head, error, "ab12", pages=OWN)
    assert answer.body == b"<p>404 at a.example: ab12"
    assert answer.head.content_length == len(answer.body)
    assert fields_of(answer) == {
        "Content-Type": "text/html; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "X-A": "b",
    }


def test_what_an_error_says_stays_with_any_page() -> None:
    error = BadRequestError("x", status=429, fields=b"Retry-After: 12\r\n")
    answer = error_answer(asking(), error, "1", pages=OWN)
    assert answer.body == b'{"slow": "down"}'
    assert fields_of(answer)["Retry-After"] == "12"
    pages = ErrorPages({"4xx": ErrorPage(b"no", TEXT)})
    error = BadRequestError("x", status=405)
    assert fields_of(error_answer(asking(), error, "1", allow={"GET"}, pages=pages))["Allow"] == (
        "GET"
    )


@pytest.mark.parametrize(
    ("status", "accept", "kind", "ours"),
    [
        (404, "*/*", "text/html", False),
        (404, "application/json", "application/json", True),
        (404, "application/problem+json", "application/problem+json", True),
        (404, "application/json, text/html", "text/html", False),
        (502, "*/*", "text/plain", False),
        (502, "application/json", "application/json", True),
        (429, "text/html", "application/json", False),
        (429, "application/problem+json", "application/json", False),
        (403, "text/html", "text/html", True),
    ],
)
def test_a_program_gets_our_json_rather_than_a_page_for_people(
    status: int, accept: str, kind: str, *, ours: bool
) -> None:
    answer = error_answer(asking(accept), ProxyError(status, Fault.PROXY, "x"), "1", pages=OWN)
    assert fields_of(answer)["Content-Type"].partition(";")[0] == kind
    page = own_page(asking(accept), status, OWN)
    assert (page is None) is ours
    if page is not None:
        assert answer.body == page.render(status, "1", asking(accept))


def test_a_request_that_could_not_be_read_gets_a_page_too() -> None:
    answer = error_answer(None, BadRequestError("x", status=404), "1", pages=OWN)
    assert answer.body == b"<p>404 at : 1"
    assert answer.close


def test_of_an_answer_that_is_intercepted_nothing_is_made_up() -> None:
    answer = error_answer(asking(), InterceptedError(405, b"Allow: PUT\r\n"), "1")
    assert fields_of(answer)["Allow"] == "PUT"
    assert "Allow" not in fields_of(error_answer(asking(), InterceptedError(405, b""), "1"))
    answer = error_answer(asking(), InterceptedError(413, b""), "1")
    assert not answer.close, "the upstream has read the request, or its stream knows better"


def test_a_mistake_of_ours_gets_the_page_for_500() -> None:
    assert error_answer(asking(), ValueError("secret"), "1", pages=OWN).body == b"broken"
