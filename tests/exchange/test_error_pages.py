import html.parser
import json

import pytest
from hypothesis import given, strategies as st

from proxy.exchange.error_pages import HTML, JSON, NO_PAGES, TEXT, ErrorPage, ErrorPages
from proxy.message.head import RequestHead

ALL = b"{status}|{reason}|{request_id}|{host}"


def head_of(host: str) -> RequestHead:
    head = RequestHead("GET", "/", "HTTP/1.1")
    head.host = host
    return head


def test_placeholders_are_filled_in_wherever_they_stand() -> None:
    page = ErrorPage(b"{status}{status} of {host}: {request_id}, {reason}", TEXT)
    assert page.render(502, "ab12", head_of("a.example")) == (
        b"502502 of a.example: ab12, Bad Gateway"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain",
        b"body{color:#222}p{margin:0 {status } { host} {Status} {} {{}} {statuses} {0} {a.b} %s $1",
        b"{status",
        b"status}",
        b"\xff{\xfe}",
    ],
)
def test_other_braces_are_text(content: bytes) -> None:
    assert ErrorPage(content, HTML).render(404, "1", None) == content


def test_a_page_with_a_style_sheet() -> None:
    page = ErrorPage(b"<style>h1{color:red}</style><h1 id={status}>{reason}</h1>", HTML)
    assert page.render(404, "1", None) == (b"<style>h1{color:red}</style><h1 id=404>Not Found</h1>")


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        (HTML, b"418|I&#x27;m a teapot|&lt;&quot;&amp;|{status}"),
        (JSON, b"418|I'm a teapot|<\\\"&|{status}"),
        (TEXT, b"418|I'm a teapot|<\"&|{status}"),
    ],
)
def test_values_are_escaped_for_the_type_and_hold_no_placeholders(
    media_type: str, expected: bytes
) -> None:
    assert ErrorPage(ALL, media_type).render(418, '<"&', head_of("{status}")) == expected


@given(st.text(), st.text())
def test_nothing_gets_out_of_its_place(request_id: str, host: str) -> None:
    page = ErrorPage(b'{"id": "{request_id}", "host": "{host}", "status": {status}}', JSON)
    written = host if ":" not in host else f"[{host}]"
    assert json.loads(page.render(404, request_id, head_of(host))) == {
        "id": request_id,
        "host": written,
        "status": 404,
    }
    tags: list[tuple[str, list[tuple[str, str | None]]]] = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, attrs))

    page = ErrorPage(b"<p title='{request_id}'>{host}</p>", HTML)
    Reader().feed(page.render(404, request_id, head_of(host)).decode())
    assert [(tag, [name for name, _ in attrs]) for tag, attrs in tags] == [("p", ["title"])]


def test_what_is_not_known_is_nothing() -> None:
    assert ErrorPage(ALL, TEXT).render(400, "1", None) == b"400|Bad Request|1|"


def test_an_address_stands_as_in_an_url() -> None:
    page = ErrorPage(b"https://{host}/", TEXT)
    assert page.render(404, "1", head_of("::1")) == b"https://[::1]/"
    assert page.render(404, "1", head_of("192.0.2.1")) == b"https://192.0.2.1/"


@pytest.mark.parametrize(
    ("content", "media_type", "expected"),
    [
        (b"caf\xc3\xa9", HTML, "text/html; charset=utf-8"),
        (b"caf\xe9", HTML, "text/html"),
        (b"a", TEXT, "text/plain; charset=utf-8"),
        (b"caf\xe9", TEXT, "text/plain"),
        (b"{}", JSON, "application/json"),
    ],
)
def test_content_type(content: bytes, media_type: str, expected: str) -> None:
    page = ErrorPage(content, media_type)
    assert (page.content_type, page.media_type) == (expected, media_type)


def test_a_status_comes_before_its_class() -> None:
    pages = {name: ErrorPage(name.encode(), TEXT) for name in ("404", "4xx", "503")}
    found = ErrorPages(pages)
    assert found.find(404) is pages["404"]
    assert found.find(403) is pages["4xx"]
    assert found.find(503) is pages["503"]
    assert found.find(502) is None
    assert found


def test_no_pages() -> None:
    assert not NO_PAGES
    assert NO_PAGES.find(404) is None


@pytest.mark.parametrize("key", ["xx4", "4XX", "40x", "", "3xx"])
def test_a_key_that_is_neither_status_nor_class(key: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        ErrorPages({key: ErrorPage(b"", TEXT)})
