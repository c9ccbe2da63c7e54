import ipaddress

import pytest

from proxy.settings.headers import DEFAULT_HEADERS
from proxy.settings.models import ListenAddress, RateLimit, RequestKey, ServerAddress, Settings
from proxy.settings.units import Rate
from tests.settings.loading import SITE, lines, only, settings


def test_defaults_are_those_of_the_reference() -> None:
    found = settings(SITE)
    assert found.listen.http == (ListenAddress("", 80),)
    assert found.listen.https == (ListenAddress("", 443),)
    assert (found.workers, found.user, found.state_dir) == ("auto", "www-data", "/srv/certs")
    assert (found.drain_timeout, found.trusted_proxies, found.proxy_protocol) == (30, (), False)
    assert (found.log.access.to, found.log.access.format) == ("stdout", "combined")
    assert (found.log.error.to, found.log.error.level) == ("stderr", "info")
    assert found.admin is None
    times = found.timeouts
    assert (times.tls_handshake, times.request_header, times.body_idle) == (10, 10, 60)
    assert (times.keep_alive, times.write_idle, found.min_rate) == (75, 60, 500)
    limits = found.limits
    assert (limits.connections, limits.connections_per_ip) == (10000, 200)
    assert (limits.websockets, limits.websockets_per_ip) == (10000, 200)
    assert (limits.header_size, limits.headers, limits.target) == (32 << 10, 100, 8 << 10)
    assert limits.body == 100 << 20
    assert found.headers_of(found.sites[0]) == DEFAULT_HEADERS


def test_listening() -> None:
    found = settings(f'listen: {{http: [":80", "[::1]:81"], https: 8443}}\n{SITE}').listen
    assert found.http == (ListenAddress("", 80), ListenAddress("::1", 81))
    assert found.https == (ListenAddress("", 8443),)


@pytest.mark.parametrize("off", ["null", "off", "[]"])
def test_without_https_every_site_is_plain(off: str) -> None:
    found = settings(f"listen: {{https: {off}}}\n{SITE.replace('localhost', 'a.example')}")
    assert found.listen.https == ()
    assert (found.sites[0].tls, found.sites[0].redirect_http) == ("off", None)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("listen: {http: 80:30}", "its host is not an IP address"),
        ("listen: :80", "expected a table of keys"),
        ("workers: many", "expected a whole number"),
        ("workers: 0", "at least 1"),
        ("drain_timeout: long", "expected a duration"),
        ("trusted_proxies: [cloudfare]", 'did you mean "cloudflare"?'),
        ("trusted_proxies: [10.0.0.1/8]", 'did you mean "10.0.0.0/8"?'),
        ("proxy_protocol: acept", 'did you mean "accept"?'),
        ("log: {access: {format: jsn}}", 'did you mean "json"?'),
        ("log: {error: {level: inf}}", 'did you mean "info"?'),
        ("log: {access: {to: stdot}}", 'did you mean "stdout"?'),
        ("log: {access: {format: $stauts}}", 'did you mean "$status"?'),
        ("log: {access: {format: $zzzzz}}", "no such variable"),
        ("log: {access: {format: a $ b}}", "no variable after the $"),
        ("limits: {connections: -1}", "at least 1"),
        ("limits: {header: 1}", "did you mean `headers`?"),
        ("timeouts: {keepalive: 1s}", "did you mean `keep_alive`?"),
        ("min_rate: 500", ""),
        ("headers: {Connection: x}", "the proxy itself"),
        ("headers: [x]", "expected a table of keys"),
        ("upstreams: []", "expected a table of keys"),
        ("worker_processes: 4", "did you mean `workers`?"),
        ("shared_state: file", "`shared_state`: not built yet"),
        ("forwarded_header: maybe", "true or false"),
    ],
)
def test_mistakes(text: str, part: str) -> None:
    found = lines(f"{text}\n{SITE}")
    assert found == [] if not part else part in found[0]
    assert len(found) == bool(part)


def test_log_formats() -> None:
    found = settings(f"log: {{access: {{format: $remote_addr $request}}}}\n{SITE}")
    assert found.log.access.format == "$remote_addr $request"


def test_shared_state_is_modelled() -> None:
    made = {"shared_state": "redis://host:6379/0", "sites": []}
    found = Settings.model_validate(made, context={"lenient": True})
    assert found.shared_state == "redis://host:6379/0"
    with pytest.raises(ValueError, match="expected memory or redis"):
        Settings.model_validate({**made, "shared_state": "disk"}, context={"lenient": True})


def test_switches() -> None:
    found = settings(f"proxy_protocol: accept\ntrusted_proxies: private\nuser: null\n{SITE}")
    assert found.proxy_protocol
    assert found.user is None
    found = settings(f"log: {{access: off, error: ./err.log}}\nmin_rate: off\n{SITE}")
    assert (found.log.access.to, found.log.error.to) == ("off", "/srv/err.log")
    assert found.min_rate == 0


def test_trusted_networks() -> None:
    found = settings(f"trusted_proxies: [loopback, 10.0.0.0/8, 127.0.0.0/8]\n{SITE}")
    assert found.trusted_networks == (
        ipaddress.ip_network("127.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
        ipaddress.ip_network("10.0.0.0/8"),
    )


HEADERS = """
headers: {X-Frame-Options: DENY, Referrer-Policy: null, X-A: base}
sites:
  - hosts: [localhost]
    headers: {x-a: site, X-B: site}
    routes:
      - {path: /, respond: 204, response_headers: {X-B: null, X-Powered-By: null, X-C: route}}
"""


def test_headers_merge_down_to_the_route() -> None:
    found = settings(HEADERS)
    site = found.sites[0]
    expected = {
        "Strict-Transport-Security": "max-age=63072000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "x-a": "site",
        "X-B": "site",
    }
    assert found.headers_of(site) == expected
    assert found.headers_of(site, site.routes[0]) == {
        **expected, "X-B": None, "X-Powered-By": None, "X-C": "route",
    }  # fmt: skip


def test_the_upstream_of_a_route() -> None:
    found = settings(
        """
        upstreams: {app: {servers: [http://a:1]}}
        sites:
          - hosts: [localhost]
            routes:
              - {path: /a, proxy: app}
              - {path: /b, proxy: "https://b:2"}
              - {path: /c, respond: 204}
        """
    )
    named, lone, none = (found.upstream_of(route) for route in found.sites[0].routes)
    assert named is found.upstreams["app"]
    assert lone is not None
    assert lone.servers[0].url == ServerAddress("https", "b", 2)
    assert lone.tls.verify
    assert none is None


def test_sites_are_needed() -> None:
    assert only("workers: 2\n") == "1:1: sites: the key `sites` is missing"
    assert only("sites: []\n") == "1:8: sites: the list is empty: expected at least one"
    assert only("sites:\n").startswith("1:7: sites: ")
    assert only("# nothing\n") == "1:1: : expected a table of keys, found nothing"
    assert only("- 1\n").startswith("1:1: : expected a table of keys")


def test_rate_limits_are_modelled() -> None:
    found = RateLimit.model_validate({"rate": "5/minute", "burst": 3, "key": "header:X-Key"})
    assert found.rate == Rate(5, 60)
    assert found.key == RequestKey("header", "X-Key")
    assert (found.status, found.delay, found.dry_run) == (429, False, False)
    assert RateLimit.model_validate({"rate": "1/s"}).key == RequestKey("client_ip")
    with pytest.raises(ValueError, match="client_ip or host or global"):
        RateLimit.model_validate({"rate": "1/s", "key": "ip"})


def test_what_is_printed_by_chance_holds_no_header_values() -> None:
    text = SITE.replace('8000"}', '8000", request_headers: {Authorization: "${TOKEN}"}}')
    found = settings(text)
    assert found.sites[0].routes[0].request_headers == {"Authorization": "hunter2-the-secret"}
    assert "hunter2" not in repr(found)
