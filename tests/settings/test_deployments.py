"""The five deployments in config/ send, limit and keep what their documents promise."""

from pathlib import Path

import pytest

from proxy.settings.files import Cache
from proxy.settings.load import load
from proxy.settings.models import Rate, Settings

CONFIG = Path(__file__).parents[2] / "config"
YEAR, MONTH, WEEK = 31536000, 2592000, 604800


def deployment(number: int) -> Settings:
    return load(str(CONFIG / f"deployment-{number}.yaml"), {})


HEADERS = {
    0: {
        "Strict-Transport-Security": "max-age=63072000",
        "Content-Security-Policy": "default-src 'self'",
        "X-Frame-Options": "SAMEORIGIN",
        "X-Content-Type-Options": "nosniff",
        "X-XSS-Protection": "1; mode=block",
        "Referrer-Policy": "no-referrer-when-downgrade",
        "Permissions-Policy": "geolocation=()",
    },
    1: {
        "X-Frame-Options": "SAMEORIGIN",
        "X-Content-Type-Options": "nosniff",
        "X-XSS-Protection": "1; mode=block",
        "Referrer-Policy": "no-referrer-when-downgrade",
    },
    2: {
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-XSS-Protection": "1; mode=block",
    },
    3: {
        "Strict-Transport-Security": "max-age=63072000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "no-referrer-when-downgrade",
    },
    4: {
        "Strict-Transport-Security": "max-age=31536000",
        "X-Frame-Options": "SAMEORIGIN",
        "X-Content-Type-Options": "nosniff",
        "X-XSS-Protection": "1; mode=block",
        "Referrer-Policy": "no-referrer-when-downgrade",
    },
}


@pytest.mark.parametrize("number", HEADERS)
def test_headers_to_the_letter(number: int) -> None:
    found = deployment(number)
    for site in found.sites:
        for route in site.routes:
            assert found.headers_of(site, route) == HEADERS[number]


LIMITS = {
    (0, "/api/token/"): (Rate(5, 60), 3),
    (2, "/auth/login/"): (Rate(5, 60), 3),
    (2, "/auth/"): (Rate(10, 60), 5),
    (2, "/api/"): (Rate(100, 60), 20),
    (3, "/"): (Rate(100, 60), 20),
}


@pytest.mark.parametrize(("number", "path"), LIMITS)
def test_rate_limits(number: int, path: str) -> None:
    found = deployment(number)
    (site,) = found.sites
    (route,) = [route for route in site.routes if route.path == path]
    ((_, limit),) = found.rate_limits_of(site, route)
    assert (limit.rate, limit.burst) == LIMITS[number, path]
    assert (limit.status, limit.delay, str(limit.key)) == (429, False, "client_ip")


def test_pages_of_the_documentation_count_nowhere() -> None:
    found = deployment(2)
    (route,) = [route for route in found.sites[0].routes if route.path == "/api/docs/"]
    assert found.rate_limits_of(found.sites[0], route) == ()


FOLDERS = {
    (0, "/static/"): ("/app/staticfiles", None),
    (0, "/media/"): ("/app/media", None),
    (1, "/static/"): ("/app/staticfiles", None),
    (1, "/media/"): ("/app/media", None),
    (2, "/static/"): ("/app/staticfiles", YEAR),
    (2, "/media/"): ("/app/media", MONTH),
    (4, "/static/"): ("/app/static", MONTH),
    (4, "/media/"): ("/app/media", WEEK),
}


@pytest.mark.parametrize(("number", "path"), FOLDERS)
def test_folders(number: int, path: str) -> None:
    (route,) = [each for each in deployment(number).sites[0].routes if each.path == path]
    root, age = FOLDERS[number, path]
    assert route.files is not None
    assert route.files.root == root
    if age is not None:
        assert route.cache == Cache(age=age)


@pytest.mark.parametrize("number", range(5))
def test_what_is_text_is_compressed(number: int) -> None:
    found = deployment(number)
    for site in found.sites:
        for route in site.routes:
            chosen = found.compress_of(site, route)
            assert chosen is not None
            assert {"text/*", "application/json"} <= set(chosen.types)
            assert "gzip" in chosen.algorithms
