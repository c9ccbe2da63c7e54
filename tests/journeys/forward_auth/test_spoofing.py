"""Whom the application believes, and whom the server that decides."""

import pytest

from tests.journeys.apps.scripted import scripted
from tests.journeys.clients.asking import ask
from tests.journeys.clients.raw import RawClient
from tests.journeys.forward_auth.deciding import GOOD, YES, saying, with_app
from tests.journeys.running import RunningProxy
from tests.journeys.upstreams.server import (
    Upstream,
    answer,
)

SPELLINGS = [
    "Remote-User: root",
    "remote-user: root",
    "REMOTE-USER: root",
    "rEmOtE-uSeR:root",
    "Remote-User:\troot",
    "Remote_User: root",
    "REMOTE_USER: root",
    "Remote-User: root\r\nRemote-User: root",
    "X-Odd_Name: 1\r\nRemote-User: root",
    "Remote-Groups: admins\r\nRemote-User: root",
    "X-Forwarded-User: root",
    "x_forwarded_user: root",
    "Connection: close, Remote-User\r\nRemote-User: root",
]


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
def test_what_a_client_says_of_itself_never_arrives(
    proxy: RunningProxy, app: Upstream, auth: Upstream, *, named: bool
) -> None:
    """Whether the server says who it is or not, and however the client spells it."""
    auth.handler = saying(YES if named else answer("fine"))
    for spelling in SPELLINGS:
        with RawClient(proxy) as client:
            assert client.ask("GET /", *spelling.split("\r\n")).status == 200, spelling
        assert app.requests[-1].all("remote-user") == (["alice"] if named else []), spelling
        for request in (app.requests[-1], auth.requests[-1]):
            assert "root" not in str(request.fields), spelling
            assert "admins" not in str(request.fields), spelling


@pytest.mark.parametrize(
    "spelling",
    [
        "Remote-User : root",
        " Remote-User: root",
        "X: 1\nRemote-User: root",
        "X: 1\r\n Remote-User: root",
    ],
)
def test_malformed_spellings_are_refused(
    proxy: RunningProxy, app: Upstream, auth: Upstream, spelling: str
) -> None:
    with RawClient(proxy) as client:
        assert client.ask("GET /", spelling).status == 400
    assert app.requests == auth.requests == []


@pytest.mark.parametrize("streamed", ["", "TE: trailers"], ids=["kept", "streamed"])
def test_not_even_behind_the_body(proxy: RunningProxy, auth: Upstream, streamed: str) -> None:
    """A server that merges trailers into the head would believe them."""
    with scripted() as app:
        auth.handler = saying(answer("fine"))
        with_app(proxy, f"http://127.0.0.1:{app.port}")
        with RawClient(proxy) as client:
            found = client.ask(
                "POST /",
                "Transfer-Encoding: chunked",
                "Trailer: X-Fine",
                *([streamed, "Connection: TE"] if streamed else []),
                body=b"1\r\nx\r\n0\r\nRemote-User:root\r\nremote-GROUPS: root\r\nX-Fine:1\r\n\r\n",
            )
            assert found.status == 200
        assert b"root" not in app.heads[0] + app.bodies[0]
        assert (b"X-Fine" in app.bodies[0]) is bool(streamed)


def test_what_is_asked_about_cannot_be_made_up(proxy: RunningProxy, auth: Upstream) -> None:
    made_up = [
        "X-Forwarded-Uri: /open/", "X-Forwarded-Method: HEAD", "X-Original-URL: https://x/open/",
        "X-Original-Method: HEAD", "X-Original-URI: /open/", "X-Auth-Request-Redirect: //evil",
        "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Host: evil", "X_Forwarded_Uri: /open/",
    ]  # fmt: skip
    with RawClient(proxy) as client:
        assert client.ask("GET /secret", *made_up).status == 302
    (asked,) = auth.requests
    assert asked.get("x-forwarded-uri") == "/secret"
    assert asked.get("x-forwarded-method") == "GET"
    assert asked.get("x-original-url") == f"https://localhost:{proxy.https_port}/secret"
    told = str(asked.fields)
    assert [word for word in ("/open/", "HEAD", "evil", "203.0.113.9") if word in told] == []


def test_what_a_trusted_proxy_tells_of_the_client_is_told_on(
    proxy: RunningProxy, app: Upstream, auth: Upstream
) -> None:
    fields = {
        **GOOD, "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "public.example", "X-Forwarded-Uri": "/open/",
        "X-Forwarded-User": "root", "X-Original-URL": "https://x/open/",
    }  # fmt: skip
    assert ask(proxy.http_port, "/a", fields=fields, source="127.0.0.7").status == 200
    (asked,) = auth.requests
    assert asked.get("x-real-ip") == "203.0.113.9"
    assert asked.get("x-forwarded-proto") == "https"
    assert asked.get("x-forwarded-uri") == "/a"
    assert asked.get("x-original-url") == "https://public.example/a"
    for request in (asked, app.requests[0]):
        assert "root" not in str(request.fields)
