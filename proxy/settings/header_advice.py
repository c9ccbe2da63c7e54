"""Advice on headers of answers: what browsers ignore, and what contradicts itself."""

from collections.abc import Iterator, Mapping

from proxy.settings import csp
from proxy.settings.header_levels import Headers
from proxy.settings.headers import HEADER_PRESETS, PRESET, misspelt
from proxy.settings.hosts import is_local
from proxy.settings.models import Settings
from proxy.settings.problem import Path
from proxy.settings.sites import Site

Finding = tuple[Path, str]

_HSTS = "strict-transport-security"
_CSP = "content-security-policy"
_REPORT = "content-security-policy-report-only"
_FRAMES = "x-frame-options"
_HSTS_IN_TRIALS = (
    "browsers ignore it from a certificate they do not trust, and of a local name they trust they "
    "will ask https on every port: null removes it"
)
_XSS = (
    "browsers have removed X-XSS-Protection, and old ones could be harmed by it: "
    "a Content-Security-Policy does what it was for"
)


def _header_maps(settings: Settings) -> Iterator[tuple[Path, Mapping[str, str | None]]]:
    """Yield every place where headers of answers are set."""
    yield ("headers",), settings.headers.named
    for number, site in enumerate(settings.sites):
        yield ("sites", number, "headers"), site.headers.named
        for index, route in enumerate(site.routes):
            yield ("sites", number, "routes", index, "response_headers"), route.response_headers


def on_headers(settings: Settings) -> Iterator[Finding]:
    """Yield advice on each header by itself."""
    for path, headers in _header_maps(settings):
        for name, value in headers.items():
            near = misspelt(name)
            if near:
                yield (*path, name), f"this is no familiar header; did you mean `{near}`?"
            if value is None:
                continue
            if name.lower() == "x-xss-protection":
                yield (*path, name), _XSS
            if name.lower() == _HSTS and "max-age=" not in value.lower():
                yield (*path, name), "browsers ignore this without max-age (RFC 6797, 6.1.1)"
            if name.lower() in {_CSP, _REPORT}:
                yield from (((*path, name), told) for told in csp.troubles(value))


def on_strict_transport(settings: Settings) -> Iterator[Finding]:
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
    yield from _by_preset(settings)


def _by_preset(settings: Settings) -> Iterator[Finding]:
    """Say the same of sets that hold it. The default one is nobody's choice, so nothing is said."""
    places: list[tuple[Path, Headers, tuple[Site, ...]]] = [
        (("headers",), settings.headers, settings.sites),
        *((("sites", number, "headers"), site.headers, (site,))
          for number, site in enumerate(settings.sites)),
    ]  # fmt: skip
    for path, headers, sites in places:
        held = {name.lower() for name in HEADER_PRESETS.get(headers.preset or "", ())}
        sending = [site for site in sites if _sends_hsts(settings, site)]
        if _HSTS in held and sending and all(map(_is_trial, sending)):
            told = f"it sends Strict-Transport-Security, and {_HSTS_IN_TRIALS}"
            yield (*path, PRESET), told


def _sends_hsts(settings: Settings, site: Site) -> bool:
    headers = {name.lower(): value for name, value in settings.headers_of(site).items()}
    return headers.get(_HSTS) is not None and site.tls != "off"


def on_frames(settings: Settings) -> Iterator[Finding]:
    """Say where frame-ancestors and X-Frame-Options, as they go out together, differ."""
    for path, headers in _header_maps(settings):
        given = {name.lower(): name for name, value in headers.items() if value is not None}
        name = given.get(_FRAMES) or given.get(_CSP)
        if name is None:
            continue
        whole = {each.lower(): value or "" for each, value in _in_force(settings, path).items()}
        ancestors = csp.sources(whole.get(_CSP, ""), "frame-ancestors")
        frames = whole.get(_FRAMES, "").strip().upper()
        if ancestors is None or not frames:
            continue
        told = f"X-Frame-Options says {frames} and frame-ancestors {' '.join(ancestors)}"
        if (frames == "DENY") != (ancestors in ([], ["'none'"])):
            yield (*path, name), f"{told}: browsers that know both follow frame-ancestors"


def _in_force(settings: Settings, path: Path) -> dict[str, str | None]:
    """Return the headers that go out where the map at `path` is the last word."""
    if path[0] == "headers":
        return settings.headers_of()
    site = settings.sites[_index(path)]
    route = site.routes[path[3]] if len(path) > 4 and isinstance(path[3], int) else None
    return settings.headers_of(site, route)


def _index(path: Path) -> int:
    return path[1] if isinstance(path[1], int) else 0


def _is_trial(site: Site) -> bool:
    """Tell whether a site is one for development: self-signed, or local names only."""
    local = bool(site.hosts) and all(map(is_local, site.hosts))
    return site.tls == "self_signed" or (site.tls != "off" and local)
