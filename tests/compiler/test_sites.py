import pytest

from proxy.exchange.answer import Answer
from proxy.routing.route import TlsSite
from proxy.routing.sites import Site
from tests.compiler.compiling import program
from tests.policy.asking import asking

FILES = "{cert: cert.pem, key: key.pem}"
SITES = f"""
listen: {{http: ":80", https: ["127.0.0.1:8443", ":443"]}}
sites:
  - hosts: [site.example, "*.site.example"]
    tls: {FILES}
    headers: {{X-Site: one}}
    routes: [{{path: /, proxy: "http://app:8000"}}]
  - hosts: ["*.localhost"]
    tls: off
    routes: [{{path: /, proxy: "http://app:8000"}}]
  - default: true
    tls: {FILES}
    redirect_http: 308
    routes: [{{path: /, respond: 404}}]
"""
CERTIFICATES = {"site.example": ((b"chain", b"key"),), "": ((b"chain2", b"key2"),)}


def find(host: str) -> Site:
    site = program(SITES, CERTIFICATES).sites.find(host)
    assert site is not None
    return site


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("site.example", "site.example"),
        ("www.site.example", "site.example"),
        ("x.localhost", "*.localhost"),
        ("other.example", "default"),
        ("", "default"),
    ],
)
def test_hosts_lead_to_sites(host: str, label: str) -> None:
    assert find(host).label == label


def test_names_of_a_site() -> None:
    assert find("site.example").hosts == ("site.example", "*.site.example")
    assert find("").hosts == ()


def test_http_is_sent_to_https_where_there_is_tls() -> None:
    (gate,) = find("site.example").plain_gates
    answer = gate(asking("/a?b", "www.site.example:80", scheme="http"))
    assert isinstance(answer, Answer)
    assert answer.head.status == 301
    assert answer.head.block == b"Location: https://www.site.example/a?b\r\n"
    assert find("x.localhost").plain_gates == ()


def test_clients_without_host_get_the_sites_own() -> None:
    (gate,) = find("site.example").plain_gates
    answer = gate(asking("/", "", scheme="http"))
    assert isinstance(answer, Answer)
    assert answer.head.block == b"Location: https://site.example/\r\n"


def test_port_of_the_redirect() -> None:
    text = SITES.replace('["127.0.0.1:8443", ":443"]', '["127.0.0.1:8443", ":9443"]')
    site = program(text, CERTIFICATES).sites.find("")
    assert site is not None
    answer = site.plain_gates[0](asking("/", "x.example", scheme="http"))
    assert isinstance(answer, Answer)
    assert (answer.head.status, answer.head.block) == (
        308,
        b"Location: https://x.example:8443/\r\n",
    )


def test_answers_before_a_route_is_known_have_the_sites_headers() -> None:
    site = find("site.example")
    assert b"X-Site: one\r\n" in site.edit.block
    assert b"Strict-Transport-Security" in site.edit.block
    assert b"Strict-Transport-Security" not in site.edit_plain.block
    assert b"X-Site" not in find("").edit.block


def test_sites_without_tls() -> None:
    assert find("site.example").tls
    assert find("").tls
    assert not find("x.localhost").tls


def test_certificates_by_first_host() -> None:
    assert program(SITES, CERTIFICATES).tls.sites == (
        TlsSite(("site.example", "*.site.example"), ((b"chain", b"key"),)),
        TlsSite((), ((b"chain2", b"key2"),), default=True),
    )


def test_a_missing_certificate_costs_its_own_site_only() -> None:
    missing = {"": CERTIFICATES[""], "site.example": ()}
    assert [site.default for site in program(SITES, missing).tls.sites] == [True]


def test_keys_are_not_shown() -> None:
    assert "chain" not in repr(program(SITES, CERTIFICATES).tls)
