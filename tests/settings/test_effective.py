from pathlib import Path

import pytest

from proxy.settings.effective import effective_text
from proxy.settings.load import load, load_text
from tests.settings.loading import SITE, route, settings
from tests.settings.test_users import BCRYPT

CONFIG = Path(__file__).parents[2] / "config"


def test_defaults_are_spelt_out() -> None:
    text = effective_text(settings(SITE))
    assert "drain_timeout: 30s" in text
    assert "body: 100MB" in text
    assert "min_rate: 500B/s" in text
    assert "Strict-Transport-Security: max-age=63072000" in text
    assert "tls: self_signed" in text


def test_what_is_not_built_is_not_shown() -> None:
    text = effective_text(settings(SITE))
    for word in ("acme", "admin", "shared_state"):
        assert word not in text


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("filed-secret\n")
    made = settings(
        route(
            '{path: /, proxy: app, request_headers: {X-A: "a ${TOKEN}", X-B: "${file:token}",'
            ' Authorization: "typed-secret"}, response_headers: {X-C: "${TOKEN}"}},'
            ' {path: "/${TOKEN}", respond: {body: "${TOKEN}"}}'
        ),
        str(tmp_path),
    )
    assert made.sites[0].routes[0].request_headers["X-B"] == "filed-secret"
    text = effective_text(made)
    for word in ("hunter2", "filed-secret", "typed-secret"):
        assert word not in text
    assert "a ${TOKEN}" in text
    assert "${file:token}" in text


def test_a_secret_in_a_short_form_is_not_shown() -> None:
    text = effective_text(
        settings(
            """
            upstreams: {app: {servers: "http://${TOKEN}:1"}}
            sites:
              - hosts: "${TOKEN}.test"
                routes:
                  - {path: /, proxy: app}
                  - {path: /x, redirect: "/${TOKEN}"}
            """
        )
    )
    assert "hunter2" not in text


POLICIES = """
headers: {preset: strict, X-Frame-Options: null, X-A: "${TOKEN}"}
rate_limits: {login: {rate: 5/m, burst: 3, exempt: [10.0.0.0/8]}}
error_pages: {404: a.html, 5xx: b.html}
sites:
  - hosts: [a.test]
    headers: {preset: default, X-B: b}
    rate_limit: login
    allow: [10.0.0.0/8, all]
    basic_auth: {users_file: users}
    maintenance: {when: /run/flag, retry_after: 10m, allow: all}
    error_pages: {404: null}
    routes:
      - {path: /a/, files: {root: /www, index: off}, fallback: i.html, cache: 1y, allow: off}
      - {path: /b/, respond: 204, basic_auth: off, rate_limit: off, compress: off, cache: no-store}
      - path: /
        proxy: http://app:1
        maintenance: off
        intercept_errors: on
        compress: {algorithms: gzip, types: text/html}
        forward_auth: {url: "http://a/x", copy_headers: [Remote-User]}
  - hosts: [b.test]
    headers: {X-A: null, X-Frame-Options: DENY}
    routes: [{path: /, respond: 204}]
"""


def test_policies_are_printed_as_they_load() -> None:
    first = settings(POLICIES)
    printed = effective_text(first)
    second = settings(printed)
    for site, again in zip(first.sites, second.sites, strict=True):
        assert first.headers_of(site).keys() == second.headers_of(again).keys()
        for one, same in zip(site.routes, again.routes, strict=True):
            assert first.access_of(site, one) == second.access_of(again, same)
            assert first.maintenance_of(site, one) == second.maintenance_of(again, same)
            assert first.compress_of(site, one) == second.compress_of(again, same)
            assert first.error_pages_of(site, one) == second.error_pages_of(again, same)
            assert first.rate_limits_of(site, one) == second.rate_limits_of(again, same)
            assert first.basic_auth_of(site, one) == second.basic_auth_of(again, same)
            assert first.forward_auth_of(site, one) == second.forward_auth_of(again, same)
            assert first.intercepts_of(site, one) == second.intercepts_of(again, same)
            assert (one.cache, one.files) == (same.cache, same.files)
    assert first.headers_of(first.sites[1]) == second.headers_of(second.sites[1])
    assert effective_text(second) == printed
    assert "X-A: ${TOKEN}" in printed
    assert "hunter2" not in printed


def test_hashes_are_not_shown() -> None:
    users = f"{{a: '{BCRYPT}', b: '${{HASH}}'}}"
    text = route(f"{{path: /, proxy: app, basic_auth: {{users: {users}}}}}")
    printed = effective_text(load_text(text, "p.yaml", {"HASH": BCRYPT}, ""))
    assert "$2b$" not in printed
    assert "a: '***'" in printed
    assert "b: ${HASH}" in printed


@pytest.mark.parametrize(
    "text", ["shared_state: '${EMPTY:-memory}'", "headers: {preset: '${P:-strict}'}"]
)
def test_what_is_not_shown_takes_nothing_else_with_it(text: str) -> None:
    assert "sites:\n- hosts:" in effective_text(settings(f"{text}\n{SITE}"))


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_what_is_printed_loads_to_the_same(path: Path) -> None:
    first = load(str(path), {})
    printed = effective_text(first)
    second = load_text(printed, "printed", {}, str(path.parent))
    for site, again in zip(first.sites, second.sites, strict=True):
        assert first.headers_of(site) == second.headers_of(again)
    same = {"headers"}
    assert second.model_dump(exclude=same) == first.model_dump(exclude=same)
    assert effective_text(second) == printed
