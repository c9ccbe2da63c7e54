import pytest

from proxy.settings.advice import warnings
from proxy.settings.models import Settings
from tests.settings.loading import SITE, route, settings


def advice(text: str) -> list[str]:
    return [f"{one.line}:{one.col}: {one.path}: {one.message}" for one in warnings(settings(text))]


def test_a_plain_file_needs_none() -> None:
    assert advice(SITE) == []


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("headers: {X-XSS-Protection: 1; mode=block}", "1:11: headers.X-XSS-Protection", "removed"),
        ("headers: {X-Frame-Option: DENY}", "1:11: headers.X-Frame-Option", "`X-Frame-Options`"),
        ("headers: {Strict-Transport-Security: max-age=1}", "1:11: headers.", "null removes it"),
        ("trusted_proxies: [0.0.0.0/0]", "1:19: trusted_proxies[0]", "everybody"),
        ("proxy_protocol: accept", "1:1: proxy_protocol", "nobody"),
        ("upstreams: {app: {servers: http://a:1}}", "1:13: upstreams.app", "no route"),
    ],
)
def test_advice(text: str, place: str, part: str) -> None:
    (line,) = advice(f"{text}\n{SITE}")
    assert line.startswith(place)
    assert part in line


def test_a_regular_expression_behind_everything() -> None:
    (line,) = advice(route("{path: /, proxy: app}, {path_regex: '[.]php$', respond: 404}"))
    assert "never reached" in line
    assert advice(route("{path: /a/, proxy: app}, {path_regex: x, respond: 404}")) == []


def test_unverified_upstreams() -> None:
    text = route("{path: /, proxy: app}").replace(
        "[http://app:8000]", "[https://app:8000], tls: {verify: false}"
    )
    (line,) = advice(text)
    assert "upstreams.app.tls.verify" in line


def test_settings_made_by_hand_have_no_lines() -> None:
    made = Settings.model_validate(
        {
            "headers": {"X-XSS-Protection": "1"},
            "sites": [{"hosts": ["localhost"], "routes": [{"path": "/", "respond": 204}]}],
        }
    )
    (problem,) = warnings(made)
    assert (problem.line, problem.path) == (0, "headers.X-XSS-Protection")
