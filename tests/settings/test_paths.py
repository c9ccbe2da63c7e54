import pytest
from hypothesis import given, strategies as st

from proxy.settings.paths import redirect_target, route_path, route_regex
from proxy.settings.problem import WrongValueError


@pytest.mark.parametrize(
    "path", ["/", "/api/", "/a b", "/café/", "/100%/", "/a;b=c", "/.well-known/"]
)
def test_paths(path: str) -> None:
    assert route_path(path) == path


@pytest.mark.parametrize(
    ("path", "suggestion"),
    [
        ("api/", "/api/"), ("/api/*", "/api/"), ("/a//b", "/a/b"), ("/a/../b", ""),
        ("/a/.", ""), ("/%61/", "/a/"), ("/a*b", ""), ("/a?b", ""), ("/a#b", ""), ("/a\n", ""),
        ("/" + "a" * 2001, ""), ("", ""), (None, ""), (1, ""),
    ],
)  # fmt: skip
def test_paths_that_no_request_has(path: object, suggestion: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        route_path(path)
    assert caught.value.suggestion == suggestion


def test_regular_expressions() -> None:
    assert route_regex(r"^/u/\d+$") == r"^/u/\d+$"
    for wrong in ("(", "a{99999999999}", "", None, "a" * 3000):
        with pytest.raises(WrongValueError):
            route_regex(wrong)


def test_a_regular_expression_with_an_odd_set_is_no_warning() -> None:
    assert route_regex("/[[a]") == "/[[a]"


@pytest.mark.parametrize(
    "target",
    ["/new/", "https://a.example/x?y=1", "https://a.example{uri}", "https://{host}/x", "{uri}"],
)
def test_targets_of_redirects(target: str) -> None:
    assert redirect_target(target) == target


@pytest.mark.parametrize(
    ("target", "suggestion"),
    [
        ("www.example.com/x", "https://www.example.com/x"), ("//evil.example", ""), ("new/", ""),
        ("javascript:alert(1)", ""), ("/a b", ""), ("/a\r\nSet-Cookie: x", ""), ("/{path}", ""),
        ("", ""), (None, ""),
    ],
)  # fmt: skip
def test_what_is_no_target(target: object, suggestion: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        redirect_target(target)
    assert caught.value.suggestion == suggestion


def follow(text: str) -> str:
    """The path that suggestions lead to, "" where they end: one mistake is told at a time."""
    for _ in range(4):
        try:
            return route_path(text)
        except WrongValueError as error:
            text = error.suggestion
    return text


@given(st.one_of(st.text(), st.text("/.%2aF*")))
def test_suggestions_lead_to_a_path(text: str) -> None:
    found = follow(text)
    assert found == "" or route_path(found) == found
