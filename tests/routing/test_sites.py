import pytest

from proxy.routing.sites import Site, SiteTable
from proxy.routing.table import RouteTable


def site(label: str) -> Site:
    return Site(label, RouteTable({}, {}))


EXACT, WILD, DEEP, DEFAULT = map(site, ("exact", "wild", "deep", "default"))
EXACT_HOSTS = {"a.example": EXACT, "www.a.example": EXACT, "::1": EXACT}
WILDCARDS = {".a.example": WILD, ".deep.a.example": DEEP}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a.example", EXACT),
        ("www.a.example", EXACT),
        ("::1", EXACT),
        ("x.a.example", WILD),
        ("deep.a.example", WILD),
        ("x.deep.a.example", DEEP),
        ("x.y.a.example", None),
        (".a.example", None),
        ("b.example", None),
        ("example", None),
        ("", None),
    ],
)
def test_exact_then_wildcard_then_default(host: str, expected: Site | None) -> None:
    assert SiteTable(EXACT_HOSTS, WILDCARDS).find(host) is expected
    assert SiteTable(EXACT_HOSTS, WILDCARDS, DEFAULT).find(host) is (expected or DEFAULT)


def test_without_wildcards() -> None:
    assert SiteTable(EXACT_HOSTS, {}).find("x.a.example") is None


def test_every_site_is_listed_once() -> None:
    assert SiteTable(EXACT_HOSTS, WILDCARDS, DEFAULT).sites == (EXACT, WILD, DEEP, DEFAULT)
    assert SiteTable(EXACT_HOSTS, WILDCARDS, EXACT).sites == (EXACT, WILD, DEEP)
