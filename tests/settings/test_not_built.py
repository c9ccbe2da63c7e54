import pytest

from tests.settings.loading import SITE, only, route, settings


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


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("proxy: h2c://grpc:1", "`proxy: h2c://grpc:1`"),
    ],
)  # fmt: skip
def test_unbuilt_features_of_routes(text: str, name: str) -> None:
    assert f"{name}: not built yet in this release; " in only(route(f"{{path: /, {text}}}"))


def test_unbuilt_features_of_sites() -> None:
    line = only(SITE.replace("    routes:", "    tls: acme\n    routes:"))
    assert "not built yet in this release" in line
    assert line.startswith("3:")


@pytest.mark.parametrize("servers", ["[h2c://a:1]", "h2c://a:1", "[{url: h2c://a:1}]"])
def test_unbuilt_servers(servers: str) -> None:
    text = f"upstreams: {{app: {{servers: {servers}}}}}\n{SITE}"
    assert "h2c://a:1`: not built yet" in only(text)


@pytest.mark.parametrize(
    "text",
    ["shared_state: memory", "admin: null", "tls: {ocsp_stapling: off}", "admin: off"],
)
def test_asking_for_nothing_is_fine(text: str) -> None:
    assert settings(f"{text}\n{SITE}").admin is None


def test_the_name_of_a_header_or_an_upstream_is_no_feature() -> None:
    settings("upstreams: {acme: {servers: [http://a:1]}, files: {servers: [http://a:2]}}\n" + SITE)
