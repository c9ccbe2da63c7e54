import pytest
from hypothesis import given, strategies as st

from proxy.errors import BadRequestError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.policy.part import Part
from proxy.policy.redirect import add_slash, redirect, to_https
from tests.policy.asking import asking, gate_of


def location(part: Part, exchange: Exchange) -> tuple[int, str]:
    answer = gate_of(part)(exchange)
    assert isinstance(answer, Answer)
    assert answer.body == b""
    assert answer.head.content_length == 0
    name, _, value = answer.head.block.decode().partition(": ")
    assert name == "Location"
    assert value.endswith("\r\n")
    return answer.head.status, value[:-2]


@pytest.mark.parametrize(
    ("to", "target", "expected"),
    [
        ("/new/", "/old/a/b?c=d", "/new/"),
        ("https://new.example/", "/a?b", "https://new.example/"),
        ("https://new.example{uri}", "/a%20b?c=d", "https://new.example/a%20b?c=d"),
        ("https://www.{host}{uri}", "/a", "https://www.site.example/a"),
        ("/new{uri}", "/a?b", "/new/a?b"),
        ("{uri}", "/a", "/a"),
        ("{uri}", "//evil.example/", "/evil.example/"),
        ("/{uri}", "/evil.example/", "/evil.example/"),
        ("/{uri}", "///evil.example/", "/evil.example/"),
        ("https://new.example{uri}", "//evil.example/", "https://new.example//evil.example/"),
        ("https://new.example{uri}", "/{host}", "https://new.example/{host}"),
    ],
)
def test_redirect(to: str, target: str, expected: str) -> None:
    part = redirect(to, 308)
    assert part.name == "redirect"
    assert location(part, asking(target, "site.example:8443")) == (308, expected)


def test_uri_of_the_server_as_a_whole() -> None:
    exchange = asking("*", method="OPTIONS")
    assert location(redirect("https://new.example{uri}", 307), exchange) == (
        307,
        "https://new.example/",
    )


@pytest.mark.parametrize(
    ("target", "host", "port", "expected"),
    [
        ("/a?b=c", "site.example", 443, "https://site.example/a?b=c"),
        ("/", "Site.Example:8080", 443, "https://site.example/"),
        ("/", "site.example:80", 8443, "https://site.example:8443/"),
        ("/", "site.example", 0, "https://site.example/"),
        ("/", "[::1]:80", 443, "https://[::1]/"),
        ("//evil.example/", "site.example", 443, "https://site.example//evil.example/"),
        ("*", "site.example", 443, "https://site.example/"),
        ("/", "", 443, "https://default.example/"),
    ],
)
def test_to_https(target: str, host: str, port: int, expected: str) -> None:
    part = to_https(301, port, "default.example")
    assert location(part, asking(target, host, "OPTIONS", "http")) == (301, expected)


def test_what_came_by_https_to_a_trusted_proxy_passes() -> None:
    assert gate_of(to_https(301, 443))(asking("/", scheme="https")) is None


def test_without_any_host_there_is_nowhere_to_go() -> None:
    with pytest.raises(BadRequestError):
        gate_of(to_https(301, 443))(asking("/", "", scheme="http"))


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/app", (301, "/app/")),
        ("HEAD", "/app?a=/b", (301, "/app/?a=/b")),
        ("POST", "/app?", (308, "/app/?")),
        ("GET", "//app", (301, "/app/")),
        ("GET", "/x//app", (301, "/x//app/")),
    ],
)
def test_add_slash(method: str, target: str, expected: tuple[int, str]) -> None:
    assert location(add_slash(), asking(target, method=method)) == expected


@given(
    st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="%#\\?"), max_size=20
    )
)
def test_paths_never_lead_to_another_host(text: str) -> None:
    for part in (redirect("{uri}", 302), redirect("/{uri}", 302), add_slash()):
        try:
            request = asking("/" + text)
        except BadRequestError:  # dot segments
            return
        found = location(part, request)[1]
        assert found.startswith("/")
        assert not found.startswith("//")
