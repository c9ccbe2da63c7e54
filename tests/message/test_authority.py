import ipaddress

import pytest
from hypothesis import given, strategies as st

from proxy.errors import BadRequestError
from proxy.message.authority import host_field, split_authority, url_host


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        ("example.com", "example.com", None),
        ("Example.COM:443", "example.com", 443),
        ("example.com.", "example.com", None),
        ("example.com.:80", "example.com", 80),
        ("example.com:", "example.com", None),
        ("localhost:00080", "localhost", 80),
        ("app_1:8000", "app_1", 8000),
        ("127.0.0.1:65535", "127.0.0.1", 65535),
        ("[::1]", "::1", None),
        ("[0:0:0:0:0:0:0:1]:8443", "::1", 8443),
        ("[2001:DB8::1]:", "2001:db8::1", None),
        ("a~b!c.example", "a~b!c.example", None),
        ("xn--caf-dma.example", "xn--caf-dma.example", None),
    ],
)
def test_split(value: str, host: str, port: int | None) -> None:
    assert split_authority(value) == (host, port)


@pytest.mark.parametrize(
    "value",
    ["", ":", ":80", ".", "..", "a..b", ".a", "a..", "a:0", "a:65536", "a:999999", "a:+1", "a:1_0",
     "a:\uff11",
     "user@a", "user:pw@a", "a/b", "a?b", "a#b", "a b", " a", "a ", "a,b c", "a\\b", "a%2eb",
     "[::1", "::1", "[::1]x", "[:::1]", "[]", "[127.0.0.1]", "[fe80::1%25eth0]", "[v1.a]", "é",
     "a\x00", "a\n", "\u212aelvin", 'a"b', "a<b", "a" * 256],
)  # fmt: skip
def test_refused(value: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        split_authority(value)
    assert caught.value.status == 400


@given(st.text() | st.text(alphabet="[]:.0aF1%@", max_size=20))
def test_random_text(value: str) -> None:
    try:
        host, port = split_authority(value)
    except BadRequestError:
        return
    assert host
    assert host == host.lower()
    assert host.isascii()
    assert not set(host) & set('/?#@\\%<>"[] \r\n\0')
    assert port is None or 1 <= port <= 65535
    assert split_authority(url_host(host)) == (host, None)


@given(st.ip_addresses(v=6), st.integers(1, 65535))
def test_addresses_have_one_spelling(address: ipaddress.IPv6Address, port: int) -> None:
    assert split_authority(f"[{address.exploded.upper()}]:{port}") == (str(address), port)


@pytest.mark.parametrize(
    ("host", "spelt"), [("a.example", "a.example"), ("192.0.2.1", "192.0.2.1"), ("::1", "[::1]")]
)
def test_a_host_in_a_url(host: str, spelt: str) -> None:
    assert url_host(host) == spelt


@pytest.mark.parametrize(
    ("scheme", "host", "port", "field"),
    [
        ("http", "app", 80, "app"),
        ("h2c", "app", 80, "app"),
        ("https", "app", 443, "app"),
        ("http", "app", 443, "app:443"),
        ("https", "app", 80, "app:80"),
        ("http", "::1", 8000, "[::1]:8000"),
        ("http", "fe80::1%eth0", 80, "[fe80::1]"),
        ("http", "fe80::1%eth0", 8000, "[fe80::1]:8000"),
    ],
)
def test_the_host_field_for_a_server(scheme: str, host: str, port: int, field: str) -> None:
    assert host_field(scheme, host, port) == field
