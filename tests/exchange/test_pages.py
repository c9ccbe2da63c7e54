import html.parser
import json
import time

import pytest
from hypothesis import given, strategies as st

from proxy.errors import BadRequestError, BadResponseError, Fault, ProxyError, UpstreamError
from proxy.exchange.answer import Answer
from proxy.exchange.pages import error_answer
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
