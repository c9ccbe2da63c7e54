import ipaddress

import pytest

from proxy.settings.headers import DEFAULT_HEADERS, STRICT_HEADERS
from proxy.settings.inheritance import chosen
from proxy.settings.models import BasicAuth, Compress, Maintenance, Route, Settings, Site
from tests.settings.loading import settings
from tests.settings.test_users import ARGON2, BCRYPT

LAN = ipaddress.ip_network("10.0.0.0/8")


def file(top: str = "", site: str = "", route: str = "") -> tuple[Settings, Site, Route]:
    """A file with a line at each of its three levels."""
    found = settings(
        f"rate_limits: {{a: {{rate: 1/s}}, b: {{rate: 2/s}}}}\n{top}\n"
        f"sites:\n  - hosts: [localhost]\n    {site}\n    routes:\n"
        f"      - path: /\n        proxy: http://app:1\n        {route}\n"
    )
    return found, found.sites[0], found.sites[0].routes[0]


def test_the_last_that_says_something() -> None:
    table = Compress()
    assert chosen("off", None) is None
    assert chosen(table, None) is table
    assert chosen(table, "off") is None
    assert chosen("off", table) is table


@pytest.mark.parametrize(
    ("top", "site", "base"),
    [
        ("", "", DEFAULT_HEADERS),
        ("headers: {preset: default}", "", DEFAULT_HEADERS),
        ("headers: {preset: strict}", "", STRICT_HEADERS),
        ("headers: {preset: none}", "", {}),
        ("", "headers: {preset: strict}", STRICT_HEADERS),
        ("headers: {preset: strict}", "headers: {preset: none}", {}),
        ("headers: {preset: none}", "headers: {preset: default}", DEFAULT_HEADERS),
        ("headers: {preset: strict}", "headers: {X-A: null}", STRICT_HEADERS),
    ],
)
def test_the_preset_of_the_narrowest_level_counts(
    top: str, site: str, base: dict[str, str]
) -> None:
    found, own, route = file(top, site)
    assert found.headers_of(own) == found.headers_of(own, route) == base


def test_what_is_given_by_name_wins_over_any_preset() -> None:
    found, site, route = file(
        "headers: {X-Frame-Options: null, Referrer-Policy: no-referrer, X-A: file}",
        "headers: {preset: strict, x-a: site, Permissions-Policy: null}",
        "response_headers: {X-A: null, X-B: route}",
    )
    strict = dict(STRICT_HEADERS)
    del strict["X-Frame-Options"], strict["Permissions-Policy"]
    strict["Referrer-Policy"] = "no-referrer"
    assert found.headers_of(site) == {**strict, "x-a": "site"}
    assert found.headers_of(site, route) == {**strict, "X-A": None, "X-B": "route"}
    assert found.headers_of()["X-A"] == "file"


def test_error_pages_merge_by_key() -> None:
    found, site, route = file(
        "error_pages: {404: a.html, 5xx: a.html, 4xx: a.html}",
        "error_pages: {404: b.html, 4xx: null}",
        "error_pages: {5xx: null, 403: c.html}",
    )
    assert found.error_pages_of() == dict.fromkeys(["404", "5xx", "4xx"], "/srv/a.html")
    assert found.error_pages_of(site) == {"404": "/srv/b.html", "5xx": "/srv/a.html"}
    assert found.error_pages_of(site, route) == {"404": "/srv/b.html", "403": "/srv/c.html"}


@pytest.mark.parametrize(
    ("site", "route", "names"),
    [
        ("", "", ()), ("rate_limit: a", "", ("a",)), ("rate_limit: a", "rate_limit: b", ("b",)),
        ("rate_limit: a", "rate_limit: off", ()), ("", "rate_limit: [b, a]", ("b", "a")),
    ],
)  # fmt: skip
def test_rate_limits(site: str, route: str, names: tuple[str, ...]) -> None:
    found, own, first = file(site=site, route=route)
    given = found.rate_limits_of(own, first)
    assert tuple(name for name, _ in given) == names
    assert all(limit is found.rate_limits[name] for name, limit in given)


@pytest.mark.parametrize(
    ("site", "route", "access"),
    [
        ("", "", None),
        ("allow: 10.0.0.0/8", "", ((LAN,), ())),
        ("allow: 10.0.0.0/8", "allow: off", None),
        ("allow: 10.0.0.0/8", "deny: 10.0.0.0/8", ((LAN,), (LAN,))),
        ("deny: all", "allow: 10.0.0.0/8", ((LAN,), ("all",))),
        ("deny: all", "deny: off", None),
        ("allow: 10.0.0.0/8", "allow: all", (("all",), ())),
    ],
)
def test_access(site: str, route: str, access: object) -> None:
    found, own, first = file(site=site, route=route)
    assert found.access_of(own, first) == access


def test_who_has_to_show_a_password() -> None:
    alice, bob = (f"{{users: {{{n}: '{h}'}}}}" for n, h in (("alice", ARGON2), ("bob", BCRYPT)))
    found, site, route = file(site=f"basic_auth: {alice}", route=f"basic_auth: {bob}")
    given = found.basic_auth_of(site, route)
    assert isinstance(given, BasicAuth)
    assert set(given.users) == {"bob"}
    found, site, route = file(site=f"basic_auth: {alice}")
    given = found.basic_auth_of(site, route)
    assert isinstance(given, BasicAuth)
    assert set(given.users) == {"alice"}
    found, site, route = file(site=f"basic_auth: {alice}", route="basic_auth: off")
    assert found.basic_auth_of(site, route) is None


def test_who_is_asked() -> None:
    found, site, route = file(site="forward_auth: {url: 'http://a/x'}")
    given = found.forward_auth_of(site, route)
    assert given is not None
    assert str(given.url) == "http://a:80/x"
    found, site, route = file(site="forward_auth: {url: 'http://a/x'}", route="forward_auth: off")
    assert found.forward_auth_of(site, route) is None


@pytest.mark.parametrize(
    ("site", "route", "given"),
    [
        ("", "", None), ("maintenance: on", "", Maintenance(when=True)),
        ("maintenance: on", "maintenance: off", None),
        ("maintenance: on", "maintenance: {when: off}", None),
        ("maintenance: {when: off}", "", None),
        ("", "maintenance: {when: /f}", Maintenance(when="/f")),
    ],
)  # fmt: skip
def test_maintenance(site: str, route: str, given: object) -> None:
    found, own, first = file(site=site, route=route)
    assert found.maintenance_of(own, first) == given


@pytest.mark.parametrize(
    ("site", "route", "on"),
    [
        ("", "", True), ("compress: off", "", False), ("", "compress: off", False),
        ("compress: off", "compress: on", True), ("compress: {min_size: 5}", "", True),
    ],
)  # fmt: skip
def test_compression_is_on_unless_it_is_off(site: str, route: str, *, on: bool) -> None:
    found, own, first = file(site=site, route=route)
    assert (found.compress_of(own, first) is not None) == on


@pytest.mark.parametrize(
    ("site", "route", "on"),
    [
        ("", "", False), ("intercept_errors: on", "", True),
        ("intercept_errors: on", "intercept_errors: off", False),
        ("", "intercept_errors: on", True),
    ],
)  # fmt: skip
def test_interception(site: str, route: str, *, on: bool) -> None:
    found, own, first = file(site=site, route=route)
    assert found.intercepts_of(own, first) is on


def test_every_file_that_a_policy_names() -> None:
    found, _, _ = file(
        "error_pages: {404: a.html, 403: null}",
        "maintenance: {when: on, page: m.html}\n    basic_auth: {users_file: users}",
        "error_pages: {5xx: b.html}\n        maintenance: on",
    )
    assert list(found.named_files()) == [
        (("error_pages", "404"), "/srv/a.html"),
        (("sites", 0, "maintenance", "page"), "/srv/m.html"),
        (("sites", 0, "basic_auth", "users_file"), "/srv/users"),
        (("sites", 0, "routes", 0, "error_pages", "5xx"), "/srv/b.html"),
    ]
