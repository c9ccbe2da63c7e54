import pytest

from proxy.compiler.pools import compile_pools
from proxy.upstream.plan import HealthPlan, PoolPlan, ServerPlan, TlsClientPlan
from tests.compiler.compiling import settings

SITES = """
sites:
  - hosts: [localhost]
    routes:
      - {path: /, proxy: "http://django:8000"}
      - {path: /again/, proxy: "http://django:8000"}
      - {path: /unix/, proxy: "unix:/run/app.sock"}
      - {path: /go/, redirect: /}
"""


def test_addresses_become_pools_and_equal_ones_share_theirs() -> None:
    pools = compile_pools(settings(SITES), {})
    assert list(pools) == ["http://django:8000", "unix:/run/app.sock"]
    assert pools["http://django:8000"] == PoolPlan(
        "http://django:8000", (ServerPlan("http://django:8000", "http", "django", 8000),)
    )
    (server,) = pools["unix:/run/app.sock"].servers
    assert server == ServerPlan("unix:/run/app.sock", "http", "", 0, "/run/app.sock")


def test_everything_said_of_an_upstream_arrives() -> None:
    pools = compile_pools(
        settings(
            """
            upstreams:
              idle: {servers: ["http://[::1]:1"]}
              app:
                servers:
                  - https://app1:8443
                  - {url: "https://app2", weight: 2}
                  - {url: "https://spare:8443", backup: true}
                balance: {hash: "cookie:sessionid"}
                health_check:
                  {path: /up, interval: 1s, timeout: 2s, rise: 3, fall: 4, expect: 204, host: h}
                max_fails: 5
                fail_timeout: 6s
                retries: 7
                keep_alive: {connections: 8, idle: 9s}
                hold: 10s
                timeouts: {connect: 11s, response: 12s, idle: 13s}
                max_connections: 14
                queue_timeout: 15s
                buffering: {request: on, response: off}
                tls: {ca_file: ca.pem, server_name: app.internal}
            """
            + SITES.replace("\n", "\n            ")
        ),
        {"app": "the CA"},
    )
    assert set(pools) == {"idle", "app", "http://django:8000", "unix:/run/app.sock"}
    assert pools["idle"].servers == (ServerPlan("http://[::1]:1", "http", "::1", 1),)
    assert pools["app"] == PoolPlan(
        name="app",
        servers=(
            ServerPlan("https://app1:8443", "https", "app1", 8443),
            ServerPlan("https://app2:443", "https", "app2", 443, weight=2),
            ServerPlan("https://spare:8443", "https", "spare", 8443, backup=True),
        ),
        balance="hash",
        hash_kind="cookie",
        hash_name="sessionid",
        health=HealthPlan("/up", 1.0, 2.0, 3, 4, 204, "h"),
        max_fails=5,
        fail_timeout=6.0,
        retries=7,
        keep_alive_connections=8,
        keep_alive_idle=9.0,
        hold=10.0,
        connect_timeout=11.0,
        response_timeout=12.0,
        idle_timeout=13.0,
        max_connections=14,
        queue_timeout=15.0,
        request_buffering="on",
        response_buffering="off",
        tls=TlsClientPlan(ca_pem="the CA", server_name="app.internal"),
    )


def test_defaults_agree_with_those_of_the_plan() -> None:
    text = "upstreams: {app: {servers: ['http://app:1']}}\n" + SITES
    assert compile_pools(settings(text), {})["app"] == PoolPlan(
        "app", (ServerPlan("http://app:1", "http", "app", 1),)
    )


def test_an_upstream_whose_authorities_are_missing_is_not_trusted_by_the_systems() -> None:
    text = "upstreams: {app: {servers: ['https://app'], tls: {ca_file: ca.pem}}}\n" + SITES
    with pytest.raises(KeyError):
        compile_pools(settings(text), {})


def test_http2() -> None:
    text = ("upstreams: {app: {servers: ['https://app', 'h2c://grpc:50051'], http2: on}}\n") + SITES
    plan = compile_pools(settings(text), {})["app"]
    assert plan.http2
    assert plan.servers[1] == ServerPlan("h2c://grpc:50051", "h2c", "grpc", 50051)
