import pytest

from proxy.settings.models import Maintenance
from tests.settings.loading import SITE, only, route, settings

KIND = "expected a file that ends in .html, .htm, .json, .txt"
STATUS = "expected a status from 400 to 599, or 4xx or 5xx"


def maintenance(text: str) -> object:
    found = settings(route(f"{{path: /, proxy: app, maintenance: {text}}}"))
    return found.sites[0].routes[0].maintenance


def test_error_pages() -> None:
    found = settings(f"error_pages: {{404: a.html, 5xx: /b/c.JSON, 4xx: d.txt, 503: null}}\n{SITE}")
    assert found.error_pages == {
        "404": "/srv/a.html", "5xx": "/b/c.JSON", "4xx": "/srv/d.txt", "503": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{404: a.php}", f'1:20: error_pages.404: {KIND}, found "a.php"'),
        ("{404: ''}", '1:20: error_pages.404: expected some text, not nothing, found ""'),
        ("{200: a.html}", f"1:15: error_pages.200: {STATUS}"),
        ("{6xx: a.html}", f"1:15: error_pages.6xx: {STATUS}"),
        ("{5XX: a.html}", f"1:15: error_pages.5XX: {STATUS}; did you mean `5xx`?"),
        ("a.html", '1:14: error_pages: expected a table of keys, found "a.html"'),
    ],
)  # fmt: skip
def test_mistakes_in_error_pages(text: str, message: str) -> None:
    assert only(f"error_pages: {text}\n{SITE}") == message


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("on", Maintenance(when=True)),
        ("{when: on}", Maintenance(when=True)),
        ("{when: off, status: 500}", Maintenance(when=False, status=500)),
        ("{when: /run/flag}", Maintenance(when="/run/flag")),
        ("{when: ./flag}", Maintenance(when="/srv/flag")),
        ("off", "off"),
    ],
)
def test_maintenance(text: str, found: object) -> None:
    assert maintenance(text) == found


def test_a_whole_maintenance() -> None:
    found = maintenance("{when: on, page: m.html, retry_after: 10m, allow: 10.0.0.0/8}")
    assert isinstance(found, Maintenance)
    assert (found.page, found.status, found.retry_after) == ("/srv/m.html", 503, 600)
    assert [str(network) for network in found.allow] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{page: a.html}", "maintenance.when: the key `when` is missing"),
        ("{when: flag}", "expected on, off or the path of a file, which holds a /, found"),
        ("{when: flag}", 'did you mean "./flag"?'),
        ("{when: on, page: a.php}", "expected a file that ends in .html"),
        ("{when: on, status: 200}", "at least 400"),
        ("{when: on, retry_after: 0}", "a time of nothing"),
        ("{when: on, allow: none}", "expected a network"),
    ],
)
def test_mistakes_in_maintenance(text: str, part: str) -> None:
    assert part in only(route(f"{{path: /, proxy: app, maintenance: {text}}}"))
