import pytest
from hypothesis import given, strategies as st

from proxy.settings.headers import (
    DEFAULT_HEADERS,
    header_name,
    header_value,
    in_answers,
    in_requests,
    merged,
    misspelt,
)
from proxy.settings.problem import WrongValueError


@given(st.text())
def test_no_line_break_passes(text: str) -> None:
    for read in (header_name, header_value):
        try:
            found = read(text)
        except WrongValueError:
            continue
        assert found.isascii()
        assert not set(found) & set("\r\n\0")


def test_values() -> None:
    assert header_value("geolocation=()") == "geolocation=()"
    assert header_value(1) == "1"
    assert header_value("false") == "false"
    assert header_value("") == ""
    wrong: object
    for wrong in ("a\nb", "a\r\nX: y", " a", "a ", "é", "x" * 9000, None, [], "\0"):
        with pytest.raises(WrongValueError):
            header_value(wrong)


@pytest.mark.parametrize(
    "name", ["Connection", "content-length", "Transfer-Encoding", "Host", "Date"]
)
def test_names_the_proxy_owns_in_answers(name: str) -> None:
    with pytest.raises(WrongValueError):
        in_answers(name)


@pytest.mark.parametrize("name", ["Connection", "content-length", "TE", "Upgrade", "X-Request-ID"])
def test_names_the_proxy_owns_in_requests(name: str) -> None:
    with pytest.raises(WrongValueError):
        in_requests(name)


def test_names_that_may_be_set() -> None:
    assert in_answers("X-Powered-By") == "X-Powered-By"
    assert in_requests("X-Env") == "X-Env"
    for wrong in ("", "a b", "a:b", "é", "a\n"):
        with pytest.raises(WrongValueError):
            in_answers(wrong)


def test_levels_merge_without_regard_to_case() -> None:
    first = {"X-A": "1", "X-B": "1"}
    assert merged(first, {"x-a": "2"}, {"X-C": None}) == {"x-a": "2", "X-B": "1", "X-C": None}


def test_misspelt_names() -> None:
    assert misspelt("X-Frame-Option") == "X-Frame-Options"
    assert misspelt("x-frame-options") == ""
    assert misspelt("X-Env") == ""


def test_the_defaults_to_the_letter() -> None:
    assert DEFAULT_HEADERS == {
        "Strict-Transport-Security": "max-age=63072000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "no-referrer-when-downgrade",
    }
