import json
import re

import pytest
from hypothesis import given, strategies as st

from proxy.observe.log_text import MAX_FIELD, escape, is_plain, one_line, quote


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"),
        ('a"b', r"a\x22b"),
        ("a\\b", r"a\x5Cb"),
        ("a\r\nb", r"a\x0D\x0Ab"),
        ("\t\x00\x1f\x7f", r"\x09\x00\x1F\x7F"),
        ("caf\xe9", r"caf\xE9"),
        ("\u20ac", r"\xE2\x82\xAC"),
        ("\udc80", r"\xED\xB2\x80"),
        ("", ""),
    ],
)
def test_escapes_are_those_of_nginx(text: str, escaped: str) -> None:
    assert escape(text) == escaped
    assert is_plain(text) == (text == escaped)


@given(st.text())
def test_nothing_escapes_the_escape(text: str) -> None:
    assert re.fullmatch(r"(?:[ !#-\[\]-~]|\\x[0-9A-F]{2})*", escape(text))
    assert is_plain(escape(text).replace("\\", ""))


@given(st.binary())
def test_bytes_can_be_had_back(data: bytes) -> None:
    escaped = escape(data.decode("latin-1"))
    assert re.sub(r"\\x(..)", lambda found: chr(int(found[1], 16)), escaped) == data.decode(
        "latin-1"
    )


def test_long_fields_are_cut() -> None:
    longest = "a" * MAX_FIELD
    assert (escape(longest), json.loads(quote(longest))) == (longest, longest)
    for cut in (escape(longest + "a"), json.loads(quote(longest + "a")), one_line(longest + "a")):
        assert cut == "a" * (MAX_FIELD - 3) + "..."
    assert not is_plain(longest + "a")


@given(st.text())
def test_quoted_text_is_json_in_ascii(text: str) -> None:
    quoted = quote(text)
    assert json.loads(quoted) == text
    assert quoted.isascii()
    assert quoted.isprintable()


def test_a_message_may_be_in_any_language_but_stays_one_line() -> None:
    assert one_line('Müller sagt "ja": 日本') == 'Müller sagt "ja": 日本'
    assert one_line("a\nb\r\x1b[31m\x85\u2028c\u202e") == (
        r"a\x0Ab\x0D\x1B[31m\x85\xE2\x80\xA8c\xE2\x80\xAE"
    )


@given(st.text())
def test_no_message_ends_its_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    one_line(text).encode()
