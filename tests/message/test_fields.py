import pytest
from hypothesis import given, strategies as st

from proxy.message.fields import cookie_value, field_values

BLOCK = (
    b"Accept: */*\r\n"
    b"X-User:\t anna \t\r\n"
    b"X-User-Id: 7\r\n"
    b"x-user: bert\r\n"
    b"X-Empty:\r\n"
    b"X-Odd: X-Hidden: no\r\n"
)


def test_all_values_in_order_and_without_white_space() -> None:
    assert field_values(BLOCK, "X-USER") == ["anna", "bert"]


def test_an_empty_value_is_a_value() -> None:
    assert field_values(BLOCK, "X-Empty") == [""]


@pytest.mark.parametrize("name", ["X-Use", "User", "X-Hidden", "X.User"])
def test_parts_of_names_and_of_values_are_no_fields(name: str) -> None:
    assert field_values(BLOCK, name) == []


def test_nothing_is_found_in_an_empty_block() -> None:
    assert field_values(b"", "Host") == []
    assert cookie_value(b"", "a") is None


def test_bytes_outside_ascii_survive() -> None:
    (value,) = field_values("X-Name: Jürgen\r\n".encode(), "x-name")
    assert value.encode("latin-1").decode() == "Jürgen"


@pytest.mark.parametrize(
    ("block", "value"),
    [
        (b"Cookie: sid=abc; theme=dark\r\n", "abc"),
        (b"cookie: theme=dark;sid=abc\r\n", "abc"),
        (b"Cookie: theme=dark\r\nCookie: sid=abc\r\n", "abc"),
        (b"Cookie: sid=first; sid=second\r\n", "first"),
        (b"Cookie: sid=a=b==\r\n", "a=b=="),
        (b"Cookie:  sid = abc \r\n", "abc"),
        (b"Cookie: sid=\r\n", ""),
        (b"Cookie: SID=abc; xsid=abc; sidx=abc\r\n", None),
        (b"Cookie: sid\r\n", None),
        (b"Set-Cookie: sid=abc\r\n", None),
        (b"X-Cookie: sid=abc\r\n", None),
    ],
)
def test_a_cookie(block: bytes, value: str | None) -> None:
    assert cookie_value(block, "sid") == value


NAMES = st.text("abcABC-x09", min_size=1, max_size=6)
VALUES = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=12).map(
    lambda value: value.strip(" \t")
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), NAMES)
def test_agrees_with_a_reading_line_by_line(fields: list[tuple[str, str]], asked: str) -> None:
    block = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("latin-1")
    expected = [value for name, value in fields if name.lower() == asked.lower()]
    assert field_values(block, asked) == expected
