"""Advice to whoever has another proxy's habits: what means something else here."""

import re
from collections.abc import Iterator

from proxy.settings.models import Settings
from proxy.settings.problem import Path
from proxy.settings.routes import Route

Finding = tuple[Path, str]

_OF_ANSWERS = frozenset({
    "access-control-allow-credentials", "access-control-allow-headers",
    "access-control-allow-methods", "access-control-allow-origin", "access-control-expose-headers",
    "access-control-max-age", "content-security-policy", "content-security-policy-report-only",
    "cross-origin-embedder-policy", "cross-origin-opener-policy", "cross-origin-resource-policy",
    "etag", "expires", "last-modified", "location", "permissions-policy", "referrer-policy",
    "server", "set-cookie", "strict-transport-security", "vary", "www-authenticate",
    "x-content-type-options", "x-frame-options", "x-powered-by", "x-robots-tag",
    "x-xss-protection",
})  # fmt: skip
"""Headers that no request carries."""
_VARIABLE = re.compile(r"\$[a-z][a-z0-9_]*|\$[0-9]", re.ASCII)


def _routes(settings: Settings) -> Iterator[tuple[Path, Route]]:
    for number, site in enumerate(settings.sites):
        for index, route in enumerate(site.routes):
            yield ("sites", number, "routes", index), route


def on_conditions(settings: Settings) -> Iterator[Finding]:
    """Say which routes wait for requests with a header that only answers have."""
    told = "a route's `headers` are what a request must carry; `response_headers` sets one"
    for path, route in _routes(settings):
        for name in route.headers:
            if name.lower() in _OF_ANSWERS:
                yield (*path, "headers", name), told


def on_variables(settings: Settings) -> Iterator[Finding]:
    """Say where a variable, as nginx has them, goes out as it is written."""
    for path, route in _routes(settings):
        if route.redirect is not None and (found := _VARIABLE.search(route.redirect.to)):
            told = f"{found[0]} is sent as it stands; there are {{uri}} and {{host}}"
            yield (*path, "redirect"), told
        for key, headers in (
            ("request_headers", route.request_headers),
            ("response_headers", route.response_headers),
        ):
            for name, value in headers.items():
                if value is not None and (found := _VARIABLE.fullmatch(value)):
                    yield (*path, key, name), f"{found[0]} is sent as it stands"
