"""Rules between fields: what one part of the file says must agree with another."""

from collections.abc import Iterator
from itertools import combinations

from proxy.settings.addresses import ServerAddress
from proxy.settings.document import Document
from proxy.settings.models import Settings
from proxy.settings.nearest import nearest
from proxy.settings.problem import Path
from proxy.settings.sites import Route, Site
from proxy.settings.upstreams import Upstream
from proxy.settings.wording import seen

_NO_ACME = (
    "public names get their certificate by `tls: acme`, which is not built yet in this release; "
    "give `tls: self_signed` or `tls: {cert: …, key: …}` until then"
)
_NAMELESS = "a site without `hosts` needs `tls: {cert: …, key: …}` or `tls: off`"

Finding = tuple[Path, str]


def _listeners(settings: Settings) -> Iterator[Finding]:
    listen = settings.listen
    if not listen.http and not listen.https:
        yield ("listen",), "nothing to listen on: `http` and `https` are both off"
    taken = set(listen.http)
    for address in listen.https:
        if address in taken and address.port:
            yield ("listen", "https"), f"{address} is given for http already"


def _upstream(name: str, upstream: Upstream) -> Iterator[Finding]:
    path: Path = ("upstreams", name)
    if all(server.backup for server in upstream.servers):
        yield (*path, "servers"), "every server is a backup: one must serve in the first place"
    addresses: dict[ServerAddress, int] = {}
    for index, server in enumerate(upstream.servers):
        first = addresses.setdefault(server.url, index)
        if first != index:
            yield (*path, "servers", index), f"the same server as servers[{first}]: use `weight`"
    schemes = {server.url.scheme for server in upstream.servers}
    if "tls" in upstream.model_fields_set and "https" not in schemes:
        yield (*path, "tls"), "no server of this upstream is https://: `tls` means nothing"


def _hosts(settings: Settings) -> Iterator[Finding]:
    owners: dict[str, int] = {}
    for number, site in enumerate(settings.sites):
        for index, host in enumerate(site.hosts):
            first = owners.setdefault(host, number)
            if first != number:
                yield ("sites", number, "hosts", index), f"the host is in sites[{first}] already"
            elif host in site.hosts[:index]:
                yield ("sites", number, "hosts", index), "the host is given twice"
    defaults = [number for number, site in enumerate(settings.sites) if site.default]
    for number in defaults[1:]:
        yield ("sites", number, "default"), f"sites[{defaults[0]}] is the default already"


def _certificate(settings: Settings, number: int, site: Site) -> Iterator[Finding]:
    path: Path = ("sites", number)
    if site.tls == "off":
        if not settings.listen.http:
            yield path, "a site with `tls: off` needs `listen.http`, which is off"
        return
    if not settings.listen.https:
        yield (*path, "tls"), "nothing listens for https: only `tls: off` is possible"
    elif site.tls == "acme":
        # Given as a word it was refused before, so that it can only be the default here.
        yield (*path, "hosts"), _NO_ACME if site.hosts else _NAMELESS
    elif site.tls == "self_signed" and not site.hosts:
        yield (*path, "tls"), "a site without `hosts` has no name to sign: give {cert: …, key: …}"


def _handler(settings: Settings, document: Document, path: Path, route: Route) -> Iterator[Finding]:
    if isinstance(route.proxy, str) and route.proxy not in settings.upstreams:
        given = document.at(("upstreams",))
        names = tuple(given) if isinstance(given, dict) else ()
        if route.proxy not in names:
            near = nearest(route.proxy, names)
            hint = (
                f"; did you mean `{near}`?" if near else ", nor an address such as http://host:8000"
            )
            place = (*path, "proxy")
            yield place, f"no upstream is called {seen(document, place)}{hint}"


def overlap(one: Route, other: Route) -> bool:
    """Tell whether two routes of one path could both claim a request, neither before the other."""
    if one.constraints != other.constraints:
        return False
    if one.methods and other.methods and not set(one.methods) & set(other.methods):
        return False
    wanted = {name.lower(): value for name, value in one.headers.items()}
    return all(wanted.get(name.lower(), value) == value for name, value in other.headers.items())


def _ties(number: int, site: Site) -> Iterator[Finding]:
    pairs = combinations(enumerate(site.routes), 2)
    for (first, one), (second, other) in pairs:
        same = (one.path, one.path_regex) == (other.path, other.path_regex)
        if same and overlap(one, other):
            yield (
                ("sites", number, "routes", second),
                f"ties with routes[{first}]: same path, and neither has more `methods` and `headers`",
            )


def broken_rules(settings: Settings, document: Document) -> Iterator[Finding]:
    """Yield path and message for each rule between fields that the settings break."""
    yield from _listeners(settings)
    for name, upstream in settings.upstreams.items():
        yield from _upstream(name, upstream)
    yield from _hosts(settings)
    for number, site in enumerate(settings.sites):
        yield from _certificate(settings, number, site)
        for index, route in enumerate(site.routes):
            yield from _handler(settings, document, ("sites", number, "routes", index), route)
        yield from _ties(number, site)
