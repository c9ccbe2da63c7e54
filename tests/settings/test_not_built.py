import pytest

from tests.settings.loading import SITE, only, settings


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("acme: {email: a@b.c}", "`acme`"),
        ('shared_state: "redis://host:6379/0"', "`shared_state`"),
        ('admin: "127.0.0.1:9180"', "`admin`"),
        ("alerts: {}", "`alerts`"),
        ("tls: {ocsp_stapling: auto}", "`ocsp_stapling`"),
    ],
)
def test_unbuilt_features_are_refused_by_name(text: str, name: str) -> None:
    line = only(f"{text}\n{SITE}")
    assert f"{name}: not built yet in this release; " in line


def test_unbuilt_features_of_sites() -> None:
    line = only(SITE.replace("    routes:", "    tls: acme\n    routes:"))
    assert "not built yet in this release" in line
    assert line.startswith("3:")


@pytest.mark.parametrize(
    "text",
    ["shared_state: memory", "admin: null", "tls: {ocsp_stapling: off}", "admin: off"],
)
def test_asking_for_nothing_is_fine(text: str) -> None:
    assert settings(f"{text}\n{SITE}").admin is None


def test_the_name_of_a_header_or_an_upstream_is_no_feature() -> None:
    settings("upstreams: {acme: {servers: [http://a:1]}, files: {servers: [http://a:2]}}\n" + SITE)
