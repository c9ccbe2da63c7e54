import pytest

from proxy.settings.compression import DEFAULT_TYPES
from proxy.settings.models import Compress
from tests.settings.loading import SITE, lines, only, settings


def site(text: str) -> str:
    return f"sites:\n  - {{{text}, routes: [{{path: /, respond: 204}}]}}\n"


@pytest.mark.parametrize(
    ("hosts", "tls"),
    [
        ("[localhost]", "self_signed"), ("[127.0.0.1, '::1']", "self_signed"),
        ("[app.localhost, a.internal, b.test]", "self_signed"), ("localhost", "self_signed"),
    ],
)  # fmt: skip
def test_local_names_are_self_signed(hosts: str, tls: str) -> None:
    assert settings(site(f"hosts: {hosts}")).sites[0].tls == tls


def test_public_names_wait_for_acme() -> None:
    for hosts in ("[moviediary.live]", "[localhost, moviediary.live]"):
        assert "public names get their certificate by `tls: acme`" in only(site(f"hosts: {hosts}"))


def test_a_plain_site_redirects_nowhere() -> None:
    found = settings(site("hosts: [a.example], tls: off")).sites[0]
    assert (found.tls, found.redirect_http) == ("off", None)
    assert "would lead to https" in only(site("hosts: [a.example], tls: off, redirect_http: 301"))
    assert settings(site("hosts: [a.example], tls: off, redirect_http: off")).sites[0].tls == "off"


def test_redirects_from_http() -> None:
    assert settings(site("hosts: [localhost]")).sites[0].redirect_http == 301
    assert settings(site("hosts: [localhost], redirect_http: 308")).sites[0].redirect_http == 308
    assert settings(site("hosts: [localhost], redirect_http: off")).sites[0].redirect_http is None
    assert "expected 301, 308 or off" in only(site("hosts: [localhost], redirect_http: 302"))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("default: false", "names its `hosts`"),
        ("hosts: [localhost], tls: self-signed", 'did you mean "self_signed"?'),
        ("hosts: [localhost], tls: {cert: a.pem}", "the key `key` is missing"),
        ("hosts: [localhost], tls: 3", "expected acme, self_signed, off"),
        ("hosts: [localhost], tls: [x]", "expected"),
        ("hosts: {a: b}", "expected a host name"),
        ("hosts: [localhost], headers: {Host: x}", "the proxy itself"),
        ("host: localhost, default: true, tls: off", "did you mean `hosts`?"),
    ],
)
def test_mistakes_in_sites(text: str, part: str) -> None:
    assert part in "\n".join(lines(site(text)))


def test_a_site_compresses_and_guards_nothing() -> None:
    found = settings(SITE).sites[0]
    assert found.compress == Compress(types=DEFAULT_TYPES)
    assert (found.rate_limit, found.allow, found.deny, found.error_pages) == ((), (), (), {})
    assert (found.basic_auth, found.forward_auth, found.maintenance) == ("off", "off", "off")
    assert found.intercept_errors is False


@pytest.mark.parametrize("key", ["rate_limit", "allow", "deny", "basic_auth", "forward_auth"])
def test_a_forgotten_value_is_told(key: str) -> None:
    (line,) = lines(site(f"hosts: [localhost], {key}: "))
    assert f"sites[0].{key}: expected " in line
