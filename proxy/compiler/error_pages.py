"""Error pages of the file, a site and a route to those that hold at one place."""

from collections.abc import Mapping

from proxy.compiler.kept_once import kept_once
from proxy.exchange.error_pages import ErrorPage, ErrorPages
from proxy.settings.models import Route, Settings, Site
from proxy.settings.pages import PAGE_KINDS


def compile_error_pages(
    settings: Settings, site: Site | None, route: Route | None, contents: Mapping[str, bytes]
) -> ErrorPages:
    """Return the pages of a route, of a site where no route is known, or where no site is.

    Levels are merged key by key: what a route says of 404 takes the place of what its site says of
    404, and of nothing else; with `null` what is left of 404 is its class, 4xx.

    Args:
        settings: What was checked.
        site: Where, if one is known.
        route: Where, if one is known.
        contents: What is in the files, by their path as the settings have it.

    Raises:
        KeyError: A file is missing.
    """
    paths = settings.error_pages_of(site, route)
    return _pages(tuple((key, compile_page(path, contents)) for key, path in sorted(paths.items())))


def compile_page(path: str, contents: Mapping[str, bytes]) -> ErrorPage:
    """Return the page in a file; its type is told by the end of its name.

    Raises:
        KeyError: The file is missing.
    """
    return _page(contents[path], PAGE_KINDS[path[path.rfind(".") :].lower()])


@kept_once
def _page(content: bytes, media_type: str) -> ErrorPage:
    return ErrorPage(content, media_type)


@kept_once
def _pages(pages: tuple[tuple[str, ErrorPage], ...]) -> ErrorPages:
    return ErrorPages(dict(pages))
