import ipaddress
from pathlib import Path

import pytest

from proxy.compiler.program import compile_program
from proxy.compiler.sources import Sources
from proxy.routing.program import Program
from proxy.routing.route import Endpoint, Limits, LogPlan, Timeouts, TlsPlan
from proxy.settings.load import load
from tests.compiler.compiling import program

EXAMPLES = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))


def test_everything_said_arrives() -> None:
    made = program(
        """
        listen: {http: null, https: ["127.0.0.1:8443", "[::1]:8443"]}
        drain_timeout: 5s
        trusted_proxies: [loopback, 10.0.0.0/8]
        proxy_protocol: accept
        log: {access: {to: off, format: json}, error: {to: /var/log/e.log, level: warning}}
        timeouts:
          {tls_handshake: 1s, request_header: 2s, body_idle: 3s, keep_alive: 4s, write_idle: 5s}
        min_rate: 6B/s
        limits:
          {connections: 1, connections_per_ip: 2, header_size: 3KB, headers: 4, target: 5KB,
           websockets: 6, websockets_per_ip: 7}
        tls: {min_version: "1.3", ciphers: [ECDHE-RSA-AES128-GCM-SHA256], ocsp_stapling: off}
        sites:
          - hosts: [localhost]
            routes: [{path: /, proxy: "http://app:8000"}]
        """
    )
    assert made.endpoints == (
        Endpoint("127.0.0.1", 8443, tls=True),
        Endpoint("::1", 8443, tls=True),
    )
    assert made.drain_timeout == 5.0
    assert made.proxy_protocol is True
    assert [str(network) for network in made.trusted] == ["127.0.0.0/8", "::1/128", "10.0.0.0/8"]
    assert all(
        isinstance(each, ipaddress.IPv4Network | ipaddress.IPv6Network) for each in made.trusted
    )
    assert made.log == LogPlan("off", "json", "/var/log/e.log", "warning")
    assert made.timeouts == Timeouts(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert made.limits == Limits(1, 2, 3072, 4, 5120, 6, 7)
    assert (made.tls.min_version, made.tls.ciphers) == ("1.3", ("ECDHE-RSA-AES128-GCM-SHA256",))
    assert [site.names for site in made.tls.sites] == [("localhost",)]
    assert list(made.pools) == ["http://app:8000"]


def test_defaults_agree_with_those_of_the_plans() -> None:
    made = program("sites: [{hosts: [localhost], routes: [{path: /, respond: 204}]}]", {})
    assert made.endpoints == (Endpoint("", 80, tls=False), Endpoint("", 443, tls=True))
    assert made.limits == Limits()
    assert made.timeouts == Timeouts()
    assert made.log == LogPlan()
    assert made.tls == TlsPlan(ciphers=made.tls.ciphers)
    bare = Program((), made.sites, {}, made.tls, made.limits, made.timeouts, made.log)
    assert (made.trusted, made.proxy_protocol, made.drain_timeout) == (
        bare.trusted,
        bare.proxy_protocol,
        bare.drain_timeout,
    )


def test_answers_without_a_site_have_the_files_headers_and_bind_no_host_to_tls() -> None:
    made = program(
        "headers: {X-File: yes, X-Frame-Options: null}\n"
        "sites: [{hosts: [localhost], headers: {X-Site: no}, routes: [{path: /, respond: 204}]}]"
    )
    assert made.edit.apply(b"Strict-Transport-Security: max-age=1\r\n") == (
        b"X-Content-Type-Options: nosniff\r\n"
        b"Referrer-Policy: no-referrer-when-downgrade\r\n"
        b"X-File: yes\r\n"
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_compile(path: Path) -> None:
    made = compile_program(load(str(path), {}), Sources())
    for site in made.all_sites():
        for route in site.routes.routes:
            assert (route.proxy is not None) or route.gates
            assert route.proxy is None or route.proxy.pool in made.pools
