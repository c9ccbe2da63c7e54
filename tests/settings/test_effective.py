from pathlib import Path

import pytest

from proxy.settings.effective import effective_text
from proxy.settings.load import load, load_text
from tests.settings.loading import SITE, route, settings

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
    for word in ("acme", "rate_limits", "admin", "shared_state", "files", "compress"):
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
