import ipaddress

import pytest
from hypothesis import given, strategies as st

from proxy.settings.addresses import (
    ListenAddress,
    ServerAddress,
    listen_address,
    network,
    server_address,
)
from proxy.settings.problem import WrongValueError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (":443", ListenAddress("", 443)),
        (443, ListenAddress("", 443)),
        ("443", ListenAddress("", 443)),
        ("127.0.0.1:443", ListenAddress("127.0.0.1", 443)),
        ("[::1]:443", ListenAddress("::1", 443)),
        ("[0:0::1]:443", ListenAddress("::1", 443)),
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
    ],
)
def test_addresses_to_listen_on(text: object, found: ListenAddress) -> None:
    assert listen_address(text) == found
    assert listen_address(str(found)) == found


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("*:80", ":80"),
        ("localhost:80", "127.0.0.1:80"),
        ("::1:443", "[::1]:443"),
        ("80:30", ""),
        ("127.0.0.1", ""),
        (":65536", ""),
        (":", ""),
        ("example.com:80", ""),
        ("unix:/run/x", ""),
        (True, ""),
        ("²²", ""),
        (-1, ""),
        (None, ""),
    ],
)
def test_what_cannot_be_listened_on(text: object, suggestion: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        listen_address(text)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("http://django:8000", ServerAddress("http", "django", 8000)),
        ("http://django", ServerAddress("http", "django", 80)),
        ("https://API.example.com", ServerAddress("https", "api.example.com", 443)),
        ("http://[::1]:8000", ServerAddress("http", "::1", 8000)),
        ("http://pdezzy_web:8006", ServerAddress("http", "pdezzy_web", 8006)),
        ("http://10.0.0.1:80", ServerAddress("http", "10.0.0.1", 80)),
        ("h2c://grpc:50051", ServerAddress("h2c", "grpc", 50051)),
        ("unix:/run/app.sock", ServerAddress("unix", socket="/run/app.sock")),
        ("unix:///run/app.sock", ServerAddress("unix", socket="/run/app.sock")),
    ],
)
def test_addresses_of_servers(text: str, found: ServerAddress) -> None:
    assert server_address(text) == found
    assert server_address(str(found)) == found


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("django:8000", "http://django:8000"),
        ("http://unix:/run/app.sock", "unix:/run/app.sock"),
        ("http://django:8000/", "http://django:8000"),
        ("http://django:8000/api?x", "http://django:8000"),
        ("ftp://x", ""),
        ("http://", ""),
        ("http://*.x:80", ""),
        ("http://x:0", ""),
        ("http://x:99999", ""),
        ("http://user:secret@x", ""),
        ("http://a b:80", ""),
        ("http://[::1:80", ""),
        ("unix:run/app.sock", ""),
        ("unix:/" + "x" * 120, ""),
        (8000, ""),
    ],
)
def test_what_is_no_server(text: object, suggestion: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        server_address(text)
    assert caught.value.suggestion == suggestion
    assert "secret" not in caught.value.reason


def test_networks() -> None:
    assert network("10.0.0.0/8") == ipaddress.ip_network("10.0.0.0/8")
    assert network("2001:db8::1") == ipaddress.ip_network("2001:db8::1/128")


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [("10.0.0.1/8", "10.0.0.0/8"), ("10.0.0.0/33", ""), ("ten", ""), (10, ""), (None, "")],
)
def test_what_is_no_network(text: object, suggestion: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        network(text)
    assert caught.value.suggestion == suggestion


@given(st.one_of(st.text(), st.text("unixhtp:/.[]0123456789@*-_")))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (listen_address, server_address, network):
        try:
            found = read(text)
        except WrongValueError:
            continue
        assert read(str(found)) == found
