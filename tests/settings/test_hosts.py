import pytest
from hypothesis import given, strategies as st

from proxy.settings.hosts import host_name, is_address, is_local
from proxy.settings.problem import WrongValueError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.COM", "example.com"),
        ("*.Example.com", "*.example.com"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("0:0::1", "::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("*.localhost", "*.localhost"),
        ("a-b.c1", "a-b.c1"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert host_name(text) == name


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("example.com:443", "example.com"),
        ("https://example.com/", "example.com"),
        ("example.com.", "example.com"),
        (" example.com", "example.com"),
        ("*", ""),
        ("a.*.com", ""),
        ("*.*.com", ""),
        ("*a.com", ""),
        ("*.com", ""),
        ("-a.com", ""),
        ("a..b", ""),
        ("a_b.com", ""),
        ("1.2.3", ""),
        ("straße.de", ""),
        ("a" * 64 + ".com", ""),
        (".".join(["a" * 60] * 5), ""),
        ("fe80::1%eth0", ""),
        ("", ""),
        (None, ""),
        (12, ""),
    ],
)
def test_what_is_no_name(text: object, suggestion: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        host_name(text)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("localhost", True), ("app.localhost", True), ("*.internal", True), ("x.test", True),
        ("10.0.0.1", True), ("::1", True), ("example.com", False), ("testing", False),
    ],
)  # fmt: skip
def test_local_names(name: str, local: bool) -> None:  # noqa: FBT001 - a table of cases
    assert is_local(name) is local


def test_addresses() -> None:
    assert is_address("::1")
    assert not is_address("1.2.3")


@given(st.text())
def test_a_name_is_its_own_name(text: str) -> None:
    try:
        name = host_name(text)
    except WrongValueError:
        return
    assert host_name(name) == name
    assert name.isascii()
    assert name == name.lower()
