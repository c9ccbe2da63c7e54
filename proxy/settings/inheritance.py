"""How what the file says and what a site says come down to a route."""

from collections.abc import Iterator, Mapping
from typing import Literal, TypeVar

from proxy.settings.access import BasicAuth, Networks
from proxy.settings.header_levels import Headers
from proxy.settings.headers import HEADER_PRESETS, merged
from proxy.settings.pages import Maintenance
from proxy.settings.problem import Path
from proxy.settings.routes import Route
from proxy.settings.sites import Site

_T = TypeVar("_T")


def chosen(site: _T | Literal["off"], route: _T | Literal["off"] | None) -> _T | None:
    """Return the table in force: the route's own if it has one, else the site's; None for off."""
    said = site if route is None else route
    return None if isinstance(said, str) else said


def headers(
    file: Headers, site: Site | None = None, route: Route | None = None
) -> dict[str, str | None]:
    """Return the headers of answers; None for those to remove from what an upstream sends.

    A preset stands in for the one of the level above; whatever is given by name, on whichever
    level, wins over it.
    """
    own = site.headers if site else Headers()
    preset = HEADER_PRESETS[own.preset or file.preset or "default"]
    levels = merged(preset, file.named, own.named)
    standing = {name: value for name, value in levels.items() if value is not None}
    return merged(standing, route.response_headers if route else {})


def error_pages(
    file: Mapping[str, str | None], site: Site | None = None, route: Route | None = None
) -> dict[str, str]:
    """Return paths of error pages by status or class of statuses."""
    found: dict[str, str | None] = dict(file)
    found |= site.error_pages if site else {}
    found |= route.error_pages if route else {}
    return {status: path for status, path in found.items() if path is not None}


def access(site: Site, route: Route) -> tuple[Networks, Networks] | None:
    """Return networks let in and networks kept out; None where there are none of either."""
    allow = site.allow if route.allow is None else route.allow
    deny = site.deny if route.deny is None else route.deny
    return (allow, deny) if allow or deny else None


def named_files(
    error_pages: Mapping[str, str | None], sites: tuple[Site, ...]
) -> Iterator[tuple[Path, str]]:
    """Yield every file that policies name: where in the document, and its absolute path."""
    yield from _pages((), error_pages)
    for number, site in enumerate(sites):
        path: Path = ("sites", number)
        yield from _files(path, site)
        for index, route in enumerate(site.routes):
            yield from _files((*path, "routes", index), route)


def _files(path: Path, level: Site | Route) -> Iterator[tuple[Path, str]]:
    yield from _pages(path, level.error_pages)
    if isinstance(level.maintenance, Maintenance) and level.maintenance.page is not None:
        yield (*path, "maintenance", "page"), level.maintenance.page
    if isinstance(level.basic_auth, BasicAuth) and level.basic_auth.users_file is not None:
        yield (*path, "basic_auth", "users_file"), level.basic_auth.users_file


def _pages(path: Path, pages: Mapping[str, str | None]) -> Iterator[tuple[Path, str]]:
    for status, page in pages.items():
        if page is not None:
            yield (*path, "error_pages", status), page
