import pytest

from proxy.settings.addresses import ServerAddress
from proxy.settings.models import HashBalance, RequestKey, Server, Upstream, lone_server
from tests.settings.loading import SITE, lines, only, settings


def upstream(text: str) -> Upstream:
    return settings(f"upstreams:\n  app: {text}\n{SITE}").upstreams["app"]


def wrong(text: str) -> str:
    return only(f"upstreams:\n  app: {text}\n{SITE}")


def test_defaults() -> None:
    found = upstream("{servers: [http://app:8000]}")
    assert found == lone_server(ServerAddress("http", "app", 8000))
    assert (found.balance, found.max_fails, found.fail_timeout) == ("round_robin", 3, 10)
    assert (found.retries, found.hold, found.max_connections) == (1, 10, 200)
    assert (found.keep_alive.connections, found.keep_alive.idle) == (64, 60)
    assert (found.timeouts.connect, found.timeouts.response, found.timeouts.idle) == (5, 60, 60)
    assert (found.buffering.request, found.buffering.response) == ("auto", "auto")
    assert found.health_check is None
    assert found.tls.verify


def test_everything() -> None:
    found = upstream(
        """
    servers:
      - http://app1:8000
      - {url: "http://app2:8000", weight: 2}
      - {url: "unix:/run/spare.sock", backup: yes}
    balance: {hash: "cookie:sessionid"}
    health_check: {path: /healthz, interval: 5s, timeout: 1s, rise: 1, fall: 2, expect: 204,
                   host: example.com}
    keep_alive: off
    hold: off
    buffering: off
    """
    )
    assert [server.weight for server in found.servers] == [1, 2, 1]
    assert [server.backup for server in found.servers] == [False, False, True]
    assert found.balance == HashBalance(hash=RequestKey("cookie", "sessionid"))
    assert found.health_check is not None
    assert (found.health_check.expect, found.health_check.host) == (204, "example.com")
    assert (found.keep_alive.connections, found.hold) == (0, 0)
    assert (found.buffering.request, found.buffering.response) == ("off", "off")


def test_models_can_be_made_by_hand() -> None:
    made = Upstream(
        servers=(Server(url=ServerAddress("http", "app", 8000)),),
        balance=HashBalance(hash=RequestKey("header", "X-A")),
    )
    assert made == upstream("{servers: http://app:8000, balance: {hash: header:X-A}}")


def test_short_forms() -> None:
    assert upstream("{servers: http://app:8000}").servers[0].url.port == 8000
    assert upstream("{servers: http://a:1, health_check: on}").health_check is not None
    assert upstream("{servers: http://a:1, health_check: off}").health_check is None
    assert upstream("{servers: http://a:1, buffering: {request: on}}").buffering.request == "on"


def test_https() -> None:
    found = upstream("{servers: https://a:1, tls: {ca_file: ca.pem, server_name: A.example}}")
    assert found.tls.ca_file == "/srv/ca.pem"
    assert found.tls.server_name == "a.example"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{servers: []}", "upstreams.app.servers: the list is empty"),
        ("{}", "the key `servers` is missing"),
        ("{servers: app:8000}", 'did you mean "http://app:8000"?'),
        ("{servers: [{url: app:8000}]}", "upstreams.app.servers[0].url: expected"),
        ("{servers: [{url: http://a:1, weight: 0}]}", "at least 1"),
        ("{servers: http://a:1, balance: round-robin}", 'did you mean "round_robin"?'),
        ("{servers: http://a:1, balance: {hash: sessionid}}", "header:NAME or cookie:NAME"),
        ("{servers: http://a:1, balance: {hash: cooky:x}}", 'did you mean "cookie:x"?'),
        ("{servers: http://a:1, balance: 3}", "expected round_robin"),
        ("{servers: http://a:1, balance: [x]}", "expected"),
        ("{servers: http://a:1, health_check: {expect: 2000}}", "at most 599"),
        ("{servers: http://a:1, health_check: /x}", "expected on, off or a table of keys, found"),
        ("{servers: http://a:1, buffering: sometimes}", "expected auto or on or off"),
        ("{servers: http://a:1, timeouts: {connect: 0}}", "a time of nothing"),
        ("{servers: https://a:1, tls: {verify: off, ca_file: x}}", "remove one of them"),
        ("{servers: http://a:1, balance: {hash: [x]}}", "header:NAME or cookie:NAME"),
        ("{servers: http://a:1, buffering: [x]}", "expected a table of keys"),
        ("{servers: http://a:1, buffering: {request: 3}}", "expected auto or on or off"),
        ("3", "expected a table of keys"),
    ],
)
def test_mistakes(text: str, part: str) -> None:
    assert part in wrong(text)


def test_names() -> None:
    bad = f"upstreams:\n  'a b': {{servers: http://a:1}}\n  9to5: {{servers: http://a:1}}\n{SITE}"
    assert lines(bad) == ["2:3: upstreams.a b: a name is made of letters, digits, _ - and ."]


def test_http2() -> None:
    assert upstream("{servers: [h2c://grpc:50051]}").servers[0].url.scheme == "h2c"
    assert not upstream("{servers: [https://a]}").http2
    assert upstream("{servers: [https://a, http://b:1], http2: on}").http2


@pytest.mark.parametrize("server", ["http://a:1", "h2c://a:1", "unix:/a.sock"])
def test_http2_is_offered_over_tls_alone(server: str) -> None:
    line = only(f"upstreams: {{app: {{servers: ['{server}'], http2: on}}}}\n{SITE}")
    assert "`http2` speaks of https:// servers" in line
