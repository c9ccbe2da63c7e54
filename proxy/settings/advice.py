"""What is allowed and yet probably not meant: advice that `pyproxy check` prints."""

from collections.abc import Iterator

from proxy.settings import habit_advice, header_advice, policy_advice
from proxy.settings.models import Settings
from proxy.settings.problem import Path, Problem, dotted
from proxy.settings.routes import Route

Finding = tuple[Path, str]


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
    checks = (
        header_advice.on_headers, header_advice.on_strict_transport, header_advice.on_frames,
        policy_advice.on_rate_limits, policy_advice.on_access, policy_advice.on_bare_paths,
        policy_advice.on_authentication, policy_advice.on_pages, policy_advice.on_files,
        policy_advice.on_fallbacks, habit_advice.on_conditions, habit_advice.on_variables,
        _unused, _unreachable, _trust,
    )  # fmt: skip
    found = (finding for check in checks for finding in check(settings))
    advice = [_located(settings, path, message) for path, message in found]
    return tuple(sorted(advice, key=lambda one: (one.line, one.col)))


def _located(settings: Settings, path: Path, message: str) -> Problem:
    if settings.document is None:
        return Problem("", 0, 0, dotted(path), message)
    return settings.document.problem(path, message, at_key=True)
