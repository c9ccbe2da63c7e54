"""Which site and route a request leads to, in whatever form it asks, and what they do to it."""

import pytest

from tests.journeys.apps.scripted import ScriptedUpstream
from tests.journeys.clients.raw import RawClient
from tests.journeys.http1.heads import fields_of, request_line
from tests.journeys.running import RunningProxy

# Forms of the target, versions.


def test_options_asterisk(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.says(b"HTTP/1.1 204 No Content\r\nAllow: GET, HEAD\r\n\r\n")
    answer = client.ask("OPTIONS *")
    assert answer.status == 204
    assert answer["allow"] == "GET, HEAD"
    assert request_line(upstream.heads[0]) == "OPTIONS * HTTP/1.1"


def test_absolute_form(client: RawClient, upstream: ScriptedUpstream) -> None:
    client.send(b"GET https://localhost/x?y=1 HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")
    assert client.answer().status == 200
    assert request_line(upstream.heads[0]) == "GET /x?y=1 HTTP/1.1"
    assert fields_of(upstream.heads[0])["host"] == "localhost"


def test_http_1_0(client: RawClient, upstream: ScriptedUpstream) -> None:
    client.send(b"GET /old HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
    answer = client.answer()
    assert answer.body == b"ok"
    assert answer["connection"] == "keep-alive"
    assert request_line(upstream.heads[0]) == "GET /old HTTP/1.1"
    assert fields_of(upstream.heads[0])["via"] == "1.0 pyproxy"
    upstream.says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    client.send(b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
    answer = client.answer()
    assert answer.body == b"ok"
    assert "transfer-encoding" not in answer
    assert answer["connection"] == "close"


def test_http_1_0_without_a_host_has_no_site(client: RawClient, proxy: RunningProxy) -> None:
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.answer().status == 421
    with RawClient(proxy, plain=True) as plain:
        plain.send(b"GET / HTTP/1.0\r\n\r\n")
        assert plain.answer().status == 404


# Sites and routes.


@pytest.mark.parametrize("target", ["/x?y=1&z=%2F", "/", "//evil.example/%2f"])
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080"])
def test_http_is_sent_to_https(proxy: RunningProxy, target: str, host: str) -> None:
    with RawClient(proxy, plain=True) as plain:
        plain.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = plain.answer()
        assert answer.status == 301
        assert answer["location"] == f"https://localhost:{proxy.https_port}{target}"
        assert answer["x-frame-options"] == "SAMEORIGIN"
        assert answer["x-site"] == "of the site"
        assert "strict-transport-security" not in answer


def test_sites_that_serve_http(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    with RawClient(proxy, plain=True) as plain:
        for host in ("open.test", "plain.test"):
            answer = plain.ask("GET /", host=host)
            assert answer.body == b"ok"
            assert "strict-transport-security" not in answer
            assert fields_of(upstream.heads[-1])["x-forwarded-proto"] == "http"
        unknown = plain.ask("GET /", host="unknown.test")
        assert (unknown.status, unknown["x-file"]) == (404, "of the file")
        assert plain.ask("GET /", host="open.test").status == 200


def test_a_site_without_tls_is_not_served_over_tls(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    answer = client.ask("GET /", host="plain.test")
    assert answer.status == 421
    assert "strict-transport-security" not in answer, "it would lock clients out of the site"
    assert not upstream.heads
    assert client.ask("GET /").status == 200


def test_unknown_hosts(client: RawClient, upstream: ScriptedUpstream) -> None:
    for host in ("unknown.test", "wild.test", "a.b.wild.test", "localhost.evil"):
        answer = client.ask("GET /", host=host)
        assert answer.status == 421
        assert answer["x-file"] == "of the file"
        assert "strict-transport-security" not in answer
    assert client.ask("GET /", host="a.WILD.test").body == b"wild"
    assert not upstream.heads
    assert client.ask("GET /", host="localhost.").status == 200


def test_a_prefix_is_stripped(client: RawClient, upstream: ScriptedUpstream) -> None:
    for asked, sent_on in (
        ("/cut/a%2Fb/?x=/cut/", "/a%2Fb/?x=/cut/"),
        ("/cut/", "/"),
        ("/cut/?q", "/?q"),
        ("/cut//evil.example/", "/evil.example/"),
    ):
        assert client.ask(f"GET {asked}").status == 200
        assert request_line(upstream.heads[-1]) == f"GET {sent_on} HTTP/1.1"


def test_headers_are_edited(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.says(
        b"HTTP/1.1 200 OK\r\nServer: app\r\nX-Powered-By: x\r\nx-frame-options: ALLOWALL\r\n"
        b"X-Frame-Options: DENY\r\nX-Site: app\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nok"
    )
    answer = client.ask("GET /edited/", "User-Agent: me", "X-Twice: 1", "X-Twice: 2", "x-env: mine")
    found = fields_of(upstream.heads[0])
    assert (found["x-env"], found["x-twice"]) == ("production", "once")
    assert "user-agent" not in found
    assert answer["server"] == "pyproxy"
    assert answer["x-frame-options"] == "SAMEORIGIN"
    assert answer["x-site"] == "of the route"
    assert answer["x-own"] == "1"
    assert answer["strict-transport-security"] == "max-age=63072000"
    assert "x-powered-by" not in answer
    assert client.ask("GET /")["x-site"] == "of the site"


def test_redirects_and_fixed_answers(client: RawClient, upstream: ScriptedUpstream) -> None:
    answer = client.ask("GET /old/thing?x=1")
    assert (answer.status, answer["location"]) == (308, "/new/")
    answer = client.ask("GET /moved/%2Fthing?x={host}")
    assert (answer.status, answer["location"]) == (
        301,
        "https://other.test/moved/%2Fthing?x={host}",
    )
    assert client.ask("GET /ping").body == b"pong"
    assert client.ask("POST /ping", "Content-Length: 3", body=b"abc").body == b"pong"
    assert client.ask("HEAD /ping")["content-length"] == "4"
    assert not upstream.heads


def test_a_method_that_no_route_takes(client: RawClient, upstream: ScriptedUpstream) -> None:
    assert client.ask("POST /posts").status == 200
    assert client.ask("GET /posts").status == 200, "the route of / takes it"
    assert len(upstream.heads) == 2
