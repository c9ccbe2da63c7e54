"""What is allowed and yet probably not meant: advice that `pyproxy check` prints."""

from collections.abc import Iterator

from proxy.settings.headers import misspelt
from proxy.settings.hosts import is_local
from proxy.settings.models import Settings
from proxy.settings.problem import Path, Problem, dotted
from proxy.settings.routes import Route
from proxy.settings.sites import Site

Finding = tuple[Path, str]

_HSTS = "strict-transport-security"
_HSTS_IN_TRIALS = (
    "browsers ignore it from a certificate they do not trust, and of a local name they trust they "
    "will ask https on every port: null removes it"
)
_XSS = (
    "browsers have removed X-XSS-Protection, and old ones could be harmed by it: "
    "a Content-Security-Policy does what it was for"
)


def _header_maps(settings: Settings) -> Iterator[tuple[Path, dict[str, str | None]]]:
    """Yield every place where headers of answers are set."""
    yield ("headers",), settings.headers.named
    for number, site in enumerate(settings.sites):
        yield ("sites", number, "headers"), site.headers.named
        for index, route in enumerate(site.routes):
            yield ("sites", number, "routes", index, "response_headers"), route.response_headers


def _headers(settings: Settings) -> Iterator[Finding]:
    for path, headers in _header_maps(settings):
        for name, value in headers.items():
            near = misspelt(name)
            if near:
                yield (*path, name), f"this is no familiar header; did you mean `{near}`?"
            if value is not None and name.lower() == "x-xss-protection":
                yield (*path, name), _XSS
            if value is not None and name.lower() == _HSTS and "max-age=" not in value.lower():
                yield (*path, name), "browsers ignore this without max-age (RFC 6797, 6.1.1)"


def _strict_transport(settings: Settings) -> Iterator[Finding]:
    """Say where Strict-Transport-Security, asked for in the file, comes to nothing or to harm."""
    for path, headers in _header_maps(settings):
        sites = settings.sites if path[0] == "headers" else (settings.sites[_index(path)],)
        for name, value in headers.items():
            if name.lower() != _HSTS or value is None:
                continue
            if all(site.tls == "off" for site in sites):
                yield (*path, name), "it is sent over TLS only, and no site it is for has TLS"
            elif all(map(_is_trial, sites)):
                yield (*path, name), _HSTS_IN_TRIALS


def _index(path: Path) -> int:
    return path[1] if isinstance(path[1], int) else 0


def _is_trial(site: Site) -> bool:
    """Tell whether a site is one for development: self-signed, or local names only."""
    local = bool(site.hosts) and all(map(is_local, site.hosts))
    return site.tls == "self_signed" or (site.tls != "off" and local)


def _unused(settings: Settings) -> Iterator[Finding]:
    used = {route.proxy for site in settings.sites for route in site.routes}
    for name in settings.upstreams:
        if name not in used:
            yield ("upstreams", name), "no route proxies to this upstream"


def _covers_all(route: Route) -> bool:
    return route.path == "/" and not route.constraints


def _unreachable(settings: Settings) -> Iterator[Finding]:
    for number, site in enumerate(settings.sites):
        if not any(map(_covers_all, site.routes)):
            continue
        for index, route in enumerate(site.routes):
            if route.path_regex is not None:
                path: Path = ("sites", number, "routes", index, "path_regex")
                yield path, "never reached: every `path` comes before it, and `/` covers everything"


def _trust(settings: Settings) -> Iterator[Finding]:
    for index, entry in enumerate(settings.trusted_proxies):
        if not isinstance(entry, str) and entry.prefixlen == 0:
            path: Path = ("trusted_proxies", index)
            yield path, "everybody is believed: any client can claim any address"
    if settings.proxy_protocol and not settings.trusted_proxies:
        yield ("proxy_protocol",), "`trusted_proxies` is empty, so that nobody's header is believed"
    for name, upstream in settings.upstreams.items():
        if not upstream.tls.verify:
            path = ("upstreams", name, "tls", "verify")
            yield path, "whoever can get in between reads and changes what is sent to this upstream"


def warnings(settings: Settings) -> tuple[Problem, ...]:
    """Return advice on settings that are right as they are, in the order of the file."""
    checks = (_headers, _strict_transport, _unused, _unreachable, _trust)
    found = (finding for check in checks for finding in check(settings))
    advice = [_located(settings, path, message) for path, message in found]
    return tuple(sorted(advice, key=lambda one: (one.line, one.col)))


def _located(settings: Settings, path: Path, message: str) -> Problem:
    if settings.document is None:
        return Problem("", 0, 0, dotted(path), message)
    return settings.document.problem(path, message, at_key=True)
