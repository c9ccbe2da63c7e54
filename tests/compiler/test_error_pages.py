import pytest

from proxy.compiler.error_pages import compile_error_pages, compile_page
from proxy.exchange.error_pages import NO_PAGES, ErrorPages
from proxy.settings.models import Settings
from tests.compiler.compiling import settings

TEXT = """
    error_pages: {404: a.html, 4xx: b.txt, 5xx: c.json}
    sites:
      - hosts: [localhost]
        error_pages: {404: d.HTM, 5xx: null}
        routes:
          - {path: /, respond: 204, error_pages: {404: null, 503: sub/e.html}}
          - {path: /more/, respond: 204}
"""
CONTENTS = {
    f"/srv/{name}": name.encode() for name in ("a.html", "b.txt", "c.json", "d.HTM", "sub/e.html")
}


def content(pages: ErrorPages, status: int) -> str:
    page = pages.find(status)
    return page.render(status, "", None).decode() if page is not None else ""


def at(where: Settings, site: int | None = None, route: int | None = None) -> ErrorPages:
    chosen = where.sites[site] if site is not None else None
    own = chosen.routes[route] if chosen is not None and route is not None else None
    return compile_error_pages(where, chosen, own, CONTENTS)


def test_levels_are_merged_key_by_key() -> None:
    where = settings(TEXT)
    pages = {"file": at(where), "site": at(where, 0), "route": at(where, 0, 0)}
    found = {
        name: [content(level, status) for status in (404, 403, 500, 503)]
        for name, level in pages.items()
    }
    assert found == {
        "file": ["a.html", "b.txt", "c.json", "c.json"],
        "site": ["d.HTM", "b.txt", "", ""],
        "route": ["b.txt", "b.txt", "", "sub/e.html"],
    }


def test_equal_pages_are_kept_once() -> None:
    where = settings(TEXT)
    assert at(where, 0, 1) is at(where, 0)


def test_no_pages() -> None:
    where = settings("sites: [{hosts: [localhost], routes: [{path: /, respond: 204}]}]")
    assert not at(where, 0, 0)
    assert at(where).find(404) is NO_PAGES.find(404)


def test_a_file_that_is_missing() -> None:
    with pytest.raises(KeyError, match=r"a\.html"):
        compile_error_pages(settings(TEXT), None, None, {})


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/a.d/x.html", "text/html; charset=utf-8"),
        ("/x.HTM", "text/html; charset=utf-8"),
        ("/x.html.txt", "text/plain; charset=utf-8"),
        ("/x.json", "application/json"),
    ],
)
def test_the_type_is_told_by_the_name(path: str, kind: str) -> None:
    assert compile_page(path, {path: b"x"}).content_type == kind
