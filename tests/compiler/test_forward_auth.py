import pytest

from proxy.exchange.verdict import Subrequest
from proxy.routing.program import Program
from proxy.upstream.plan import PoolPlan, ServerPlan
from tests.compiler.compiling import answer_of, found, program
from tests.policy.asking import asking

SITE = """
sites:
  - hosts: [localhost]
    forward_auth:
      url: http://auth:9091/api/verify?x=1
      copy_headers: [Remote-User]
      timeout: 3s
    routes:
      - {path: /, proxy: "http://app:8000"}
      - {path: /auth/, forward_auth: off, proxy: "http://auth:9091"}
      - {path: /other/, proxy: "http://app:8000", forward_auth: {url: "unix:/run/a.sock:/v"}}
      - {path: /go/, redirect: /elsewhere/}
  - hosts: [open.example]
    tls: off
    routes: [{path: /, proxy: "http://app:8000"}]
"""


def question(made: Program, target: str) -> Subrequest:
    exchange = asking(target, "localhost")
    verdicts = [gate(exchange) for gate in found(made, target).gates]
    asked = [verdict for verdict in verdicts if isinstance(verdict, Subrequest)]
    assert len(asked) == 1
    return asked[0]


def test_a_route_asks_as_its_site_says() -> None:
    made = program(SITE)
    ask = question(made, "/page")
    assert (ask.pool, ask.timeout) == ("http://auth:9091", 3.0)
    assert (ask.head.authority, ask.head.target) == ("auth:9091", "/api/verify?x=1")
    hop = found(made, "/page").proxy
    assert hop is not None
    assert hop.request_edit.removes == {"remote-user"}


def test_a_routes_own_takes_its_place() -> None:
    made = program(SITE)
    ask = question(made, "/other/")
    assert (ask.pool, ask.timeout, ask.head.target) == ("unix:/run/a.sock", 5.0, "/v")
    assert ask.head.authority == "localhost"
    hop = found(made, "/other/").proxy
    assert hop is not None
    assert hop.request_edit.removes == frozenset()


def test_off_and_sites_that_say_nothing_ask_nobody() -> None:
    made = program(SITE)
    for host, target in (("localhost", "/auth/"), ("open.example", "/")):
        exchange = asking(target, host)
        for gate in found(made, target, host=host).gates:
            assert gate(exchange) is None


def test_a_redirect_is_only_for_those_let_in() -> None:
    with pytest.raises(AssertionError, match="no gate answered"):
        answer_of(found(program(SITE), "/auth/"), "/auth/")
    first, *_ = found(program(SITE), "/go/x").gates
    assert isinstance(first(asking("/go/x", "localhost")), Subrequest)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://auth/v", "auth"),
        ("http://auth:443/v", "auth:443"),
        ("https://auth:443/v", "auth"),
        ("https://AUTH.example:8443/v", "auth.example:8443"),
        ("http://[::1]:9091/v", "[::1]:9091"),
    ],
)
def test_the_host_is_the_servers_own(url: str, host: str) -> None:
    made = program(SITE.replace("http://auth:9091/api/verify?x=1", f'"{url}"'))
    assert question(made, "/").head.authority == host


def test_each_server_that_is_asked_has_a_pool() -> None:
    pools = program(SITE).pools
    assert list(pools) == ["http://app:8000", "http://auth:9091", "unix:/run/a.sock"]
    assert pools["http://auth:9091"] == PoolPlan(
        "http://auth:9091", (ServerPlan("http://auth:9091", "http", "auth", 9091),)
    )


def test_a_server_that_no_route_asks_has_none() -> None:
    made = program("""
        sites:
          - hosts: [localhost]
            forward_auth: {url: http://auth/v}
            routes: [{path: /, respond: 204, forward_auth: off}]
        """)
    assert made.pools == {}
