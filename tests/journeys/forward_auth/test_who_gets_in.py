"""Whom the server lets in, and what those get that it does not."""

import httpx
import pytest

from tests.journeys.clients.asking import Client, ask
from tests.journeys.clients.raw import tls_context
from tests.journeys.forward_auth.deciding import GOOD, saying
from tests.journeys.running import PATIENCE, RunningProxy
from tests.journeys.upstreams.server import (
    Upstream,
    answer,
    hang_up,
)


def test_a_browser_is_sent_to_log_in_and_comes_back(
    proxy: RunningProxy, app: Upstream, auth: Upstream
) -> None:
    with httpx.Client(
        verify=tls_context(proxy.ca_file), follow_redirects=True, timeout=PATIENCE, trust_env=False
    ) as browser:
        base = f"https://localhost:{proxy.https_port}"
        found = browser.get(f"{base}/page?a=1&b=%2F")
        assert found.status_code == 200
        assert [each.status_code for each in found.history] == [302, 303]
        assert str(found.url) == f"{base}/page?a=1&b=%2F"
        assert found.history[0].text == "log in first"
        assert found.history[0].headers["cache-control"] == "no-store"
        assert "x-hop" not in found.history[0].headers
        assert found.history[0].headers["x-content-type-options"] == "nosniff"
        assert browser.cookies["seen"] == "1"
        seen = found.json()
        assert ["remote-user", "alice"] in seen["fields"]
        assert ["remote-groups", "staff"] in seen["fields"]
        assert "set-cookie" not in found.headers
    assert app.targets() == ["/page?a=1&b=%2F"]
    assert auth.targets() == [
        "/api/verify?x=1", auth.targets()[1], "/api/verify?x=1",
    ]  # fmt: skip
    assert auth.targets()[1].startswith("/login?rd=")
    assert app.requests[0].all("set-cookie") == []


def test_what_the_server_is_asked(proxy: RunningProxy, app: Upstream, auth: Upstream) -> None:
    fields = {
        **GOOD, "User-Agent": "journey", "Accept-Language": "de", "Authorization": "Bearer t",
        "If-None-Match": '"a"', "Range": "bytes=0-1", "Content-Type": "text/plain",
    }  # fmt: skip
    found = ask(proxy.http_port, "/a%20b/?q", method="PUT", fields=fields, body=b"secret body")
    assert found.status == 200
    (asked,) = auth.requests
    assert (asked.method, asked.target, asked.body) == ("GET", "/api/verify?x=1", b"")
    assert asked.get("host") == auth.url.removeprefix("http://")
    for name in ("cookie", "user-agent", "accept-language", "authorization"):
        assert asked.get(name) == {key.lower(): value for key, value in fields.items()}[name]
    left_out = (
        "content-length", "content-type", "transfer-encoding", "range", "if-none-match",
        "connection", "upgrade", "expect",
    )  # fmt: skip
    assert [name for name in left_out if asked.all(name)] == []
    assert asked.get("x-forwarded-method") == asked.get("x-original-method") == "PUT"
    assert asked.get("x-forwarded-uri") == "/a%20b/?q"
    assert asked.get("x-original-url") == "http://localhost/a%20b/?q"
    assert asked.get("x-forwarded-for") == asked.get("x-real-ip") == "127.0.0.1"
    assert asked.get("x-forwarded-proto") == "http"
    assert asked.get("x-forwarded-host") == "localhost"
    (served,) = app.requests
    assert served.get("x-request-id") == asked.get("x-request-id")
    assert served.get("range") == "bytes=0-1"
    assert (served.method, served.body) == ("PUT", b"secret body")
    told = ("x-forwarded-method", "x-forwarded-uri", "x-original-url", "x-original-method")
    assert [name for name in told if served.all(name)] == []


def test_an_unstripped_target_is_asked_about(
    proxy: RunningProxy, app: Upstream, auth: Upstream
) -> None:
    assert ask(proxy.http_port, "/stripped/x", fields=GOOD).status == 200
    assert auth.requests[0].get("x-forwarded-uri") == "/stripped/x"
    assert app.targets() == ["/x"]


def test_off_asks_nobody(proxy: RunningProxy, app: Upstream, auth: Upstream) -> None:
    assert ask(proxy.http_port, "/open/").status == 200
    assert auth.requests == []
    assert app.targets() == ["/open/"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_challenge_goes_to_the_client_as_it_is(
    proxy: RunningProxy, app: Upstream, auth: Upstream, method: str
) -> None:
    fields = ('WWW-Authenticate: Basic realm="Staff"', "Content-Type: text/plain", "X-Own: 1")
    auth.handler = saying(
        answer("who?", "401 Unauthorized", *fields), answer("no", "403 Forbidden")
    )
    with Client(proxy.http_port) as client:
        found = client.ask("/", method=method, body=b"x" * 5000 if method == "POST" else None)
        assert (found.status, found.body) == (401, b"" if method == "HEAD" else b"who?")
        assert found.get("www-authenticate") == 'Basic realm="Staff"'
        assert (found.get("content-type"), found.get("content-length")) == ("text/plain", "4")
        assert (found.get("x-own"), found.get("cache-control")) == ("1", "no-store")
        if method != "POST":  # whose body may have been on its way when the answer was there
            assert client.ask("/").status == 403  # on the same connection
    assert app.requests == []


def test_cookies_of_a_yes_go_to_the_client_where_they_are_named(
    proxy: RunningProxy, app: Upstream
) -> None:
    for _ in range(2):
        found = ask(proxy.http_port, "/refreshed/", fields=GOOD)
        assert found.get("set-cookie") == "session=good; new=1"
    assert app.requests[0].get("remote-user") == "alice"
    assert ask(proxy.http_port, "/", fields=GOOD).fields.get_all("set-cookie") is None
    app.handler = hang_up
    found = ask(proxy.http_port, "/refreshed/", fields=GOOD)
    assert (found.status, found.get("set-cookie")) == (502, "session=good; new=1")
    found = ask(proxy.http_port, "/open/")
    assert (found.status, found.get("set-cookie")) == (502, "")
