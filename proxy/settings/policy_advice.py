"""Advice on policies: limits nobody uses, doors that only look shut, folders better not served."""

import os
from collections.abc import Iterator
from pathlib import PurePath

from proxy.settings.access import BasicAuth
from proxy.settings.files import Cache
from proxy.settings.models import Settings
from proxy.settings.problem import Path
from proxy.settings.routes import Route
from proxy.settings.sites import Site

Finding = tuple[Path, str]

_DAY = 86400
_SYSTEM = ("/", "/bin", "/boot", "/dev", "/etc", "/home", "/proc", "/root", "/run", "/sys", "/usr",
           "/var", "/var/lib", "/var/log", "/var/run")  # fmt: skip
"""Folders whose whole content nobody means to publish."""
_SECRET = ("/boot", "/dev", "/etc", "/proc", "/root", "/sys")
"""Folders nothing of which anybody means to publish."""


def _levels(settings: Settings) -> Iterator[tuple[Path, Site, Route | None]]:
    """Yield every site, and after it each of its routes."""
    for number, site in enumerate(settings.sites):
        yield ("sites", number), site, None
        for index, route in enumerate(site.routes):
            yield ("sites", number, "routes", index), site, route


def on_rate_limits(settings: Settings) -> Iterator[Finding]:
    """Say which limits limit nothing, and which would refuse what a page needs."""
    used: set[str] = set()
    browsed: set[str] = set()
    for site in settings.sites:
        for route in site.routes:
            names = [name for name, _ in settings.rate_limits_of(site, route)]
            used.update(names)
            if route.methods is None or {"GET", "HEAD"} & set(route.methods):
                browsed.update(names)
    for name, limit in settings.rate_limits.items():
        if name not in used:
            yield ("rate_limits", name), "no route uses this rate limit"
        elif name in browsed and not limit.burst and limit.key.kind == "client_ip":
            told = "without a `burst` the second of two requests at once is refused, and pages make"
            yield ("rate_limits", name), f"{told} several"


def on_access(settings: Settings) -> Iterator[Finding]:
    """Say which entries of `allow` let nobody in, or change nothing."""
    for path, site, route in _levels(settings):
        own = site.allow if route is None else route.allow
        deny = site.deny if route is None or route.deny is None else route.deny
        open_door = not deny or "all" not in deny
        for index, network in enumerate(own or ()):
            place = (*path, "allow", index)
            if network in deny:
                yield place, "it is denied too, and of two alike `deny` counts: no effect"
            elif open_door and not deny and (network == "all" or _whole(network)):
                yield place, "everybody is let in without it, too"


def _whole(network: object) -> bool:
    return getattr(network, "prefixlen", None) == 0


def on_bare_paths(settings: Settings) -> Iterator[Finding]:
    """Say where a path without its slash is another route's, which lets in who is kept out.

    Many servers take `/admin` for `/admin/`.
    """
    for path, site, route in _levels(settings):
        if route is None or route.path is None or route.path == "/" or route.path[-1] != "/":
            continue
        bare = route.path[:-1]
        other = _serving(site, bare)
        guards, others = _guards(settings, site, route), _guards(settings, site, other)
        if other is None or other.redirect is not None:
            continue
        if any(own and own != its for own, its in zip(guards, others, strict=True)):
            told = f"{bare} is not beneath it: that is the route {other.path}'s, which has other"
            told += " rules of access, and many servers make no difference"
            cure = f"{{path: {bare}, redirect: {route.path}}}"
            yield (*path, "path"), f"{told}; what helps is a route {cure}"


def _serving(site: Site, path: str) -> Route | None:
    """Return the route that serves a path whatever the request, None where there is none."""
    fitting = [
        route
        for route in site.routes
        if route.path is not None
        and not route.constraints
        and (path == route.path or (route.path[-1] == "/" and path.startswith(route.path)))
    ]
    return max(fitting, key=lambda route: len(route.path or ""), default=None)


def _guards(settings: Settings, site: Site, route: Route | None) -> tuple[object, ...]:
    if route is None:
        return None, None, None
    return (
        settings.access_of(site, route),
        settings.basic_auth_of(site, route),
        settings.forward_auth_of(site, route),
    )


def on_authentication(settings: Settings) -> Iterator[Finding]:
    """Say where passwords would cross a network that anybody reads."""
    if settings.trusted_proxies:
        return  # TLS may well end before this proxy.
    for path, site, route in _levels(settings):
        level = site if route is None else route
        if not isinstance(level.basic_auth, BasicAuth):
            continue
        if site.tls == "off":
            yield (*path, "basic_auth"), "without TLS whoever is in between reads the passwords"
        elif site.redirect_http is None and settings.listen.http:
            told = "`redirect_http` is off: over http whoever is in between reads the passwords"
            yield (*path, "basic_auth"), told


def on_pages(settings: Settings) -> Iterator[Finding]:
    """Say where errors are to be replaced and there is nothing to replace them by."""
    for path, site, route in _levels(settings):
        level = site if route is None else route
        if not level.intercept_errors:
            continue
        routes = site.routes if route is None else (route,)
        if not any(settings.error_pages_of(site, each) for each in routes):
            yield (*path, "intercept_errors"), "there are no `error_pages` to put in their place"


def on_files(settings: Settings) -> Iterator[Finding]:
    """Say which folders are missing, or hold what nobody means to publish."""
    for path, _, route in _levels(settings):
        if route is None or route.files is None:
            continue
        root = route.files.root
        place = (*path, "files")
        if settings.document is not None and settings.document.given((*place, "root")):
            place = (*place, "root")
        if not os.path.isdir(root):  # noqa: PTH112 - text, as the settings have it
            # A route for one path alone may have that one file for a root.
            if not (_is_exact(route) and os.path.isfile(root)):  # noqa: PTH113 - see above
                yield place, _no_folder(root)
            continue
        yield from ((place, told) for told in _exposed(root, settings))
        fallback = os.path.join(root, route.fallback or "")  # noqa: PTH118 - see above
        if route.fallback and not os.path.isfile(fallback):  # noqa: PTH113 - see above
            yield (*path, "fallback"), f"there is no file {fallback}"


def on_fallbacks(settings: Settings) -> Iterator[Finding]:
    """Say where an application's first page is kept for longer than a release lasts."""
    for path, _, route in _levels(settings):
        if route is None or route.fallback is None or not isinstance(route.cache, Cache):
            continue
        if route.cache.age > _DAY:
            told = f"clients keep {route.fallback} as long and see no new release"
            yield (*path, "cache"), f"{told}: give it to a route for the assets alone"


def _is_exact(route: Route) -> bool:
    return route.path is not None and not route.path.endswith("/")


def _no_folder(root: str) -> str:
    if os.path.isfile(root):  # noqa: PTH113 - text, as the settings have it
        return f"{root} is a file: that serves a `path` which names one file alone"
    return f"there is no folder {root}"


def _exposed(root: str, settings: Settings) -> Iterator[str]:
    """Yield what of a folder's surroundings speaks against serving it."""
    real = os.path.realpath(root)
    if real in _SYSTEM or any(PurePath(real).is_relative_to(each) for each in _SECRET):
        yield "a folder of the system: whatever is in it is served"
    source = settings.document.source.name if settings.document else ""
    folder = os.path.realpath(os.path.dirname(os.path.abspath(source))) if source else ""  # noqa: PTH100, PTH120 - see above
    if folder and os.path.isfile(source) and PurePath(folder).is_relative_to(real):  # noqa: PTH113 - see above
        yield "the configuration itself lies beneath it, and is served"
