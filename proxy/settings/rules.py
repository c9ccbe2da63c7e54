"""Rules between fields: what one part of the file says must agree with another."""

import os
from collections.abc import Callable, Iterator
from pathlib import PurePath

from proxy.settings.addresses import ServerAddress
from proxy.settings.document import Document
from proxy.settings.models import CertificateFiles, Settings
from proxy.settings.nearest import nearest
from proxy.settings.problem import Path, dotted
from proxy.settings.routes import Route
from proxy.settings.sites import Site
from proxy.settings.upstreams import Upstream
from proxy.settings.wording import seen

Finding = tuple[Path, str]

_NO_ACME = (
    "public names get their certificate by `tls: acme`, which is not built yet in this release; "
    "give `tls: self_signed` or `tls: {cert: …, key: …}` until then"
)
_NAMELESS = "a site without `hosts` needs `tls: {cert: …, key: …}` or `tls: off`"


def _named(limits: tuple[str, ...]) -> str:
    """Say which rate limits there are."""
    if not limits:
        return "the file's `rate_limits` gives one its rate and its name"
    more = " and more" if len(limits) > 8 else ""
    return f"`rate_limits` has {', '.join(limits[:8])}{more}"


def _is_beneath(path: str, folder: str) -> bool:
    """Tell whether a path leads into a folder, as it is written or by what links make of it."""
    real = PurePath(os.path.realpath(path))
    return PurePath(path).is_relative_to(folder) or real.is_relative_to(os.path.realpath(folder))


def overlap(one: Route, other: Route) -> bool:
    """Tell whether two routes of one path could both claim a request, neither before the other."""
    if one.constraints != other.constraints:
        return False
    if one.methods and other.methods and not set(one.methods) & set(other.methods):
        return False
    wanted = {name.lower(): value for name, value in one.headers.items()}
    return all(wanted.get(name.lower(), value) == value for name, value in other.headers.items())


class Rules:
    """The rules between fields, put to one configuration.

    Where mistakes were taken out of a file before, its lists have become shorter: `original`
    leads from a path in the settings to the path in the file, which is what people are told.
    """

    def __init__(
        self, settings: Settings, document: Document, original: Callable[[Path], Path]
    ) -> None:
        self._settings = settings
        self._document = document
        self._original = original

    def broken(self) -> Iterator[Finding]:
        """Yield path in the file and message for each rule that the settings break."""
        for path, message in self._findings():
            yield self._original(path), message

    def _findings(self) -> Iterator[Finding]:
        yield from self._listeners()
        for name, upstream in self._settings.upstreams.items():
            yield from self._upstream(("upstreams", name), upstream)
        yield from self._hosts()
        yield from self._defaults()
        for number, site in enumerate(self._settings.sites):
            path: Path = ("sites", number)
            yield from self._certificate(path, site)
            yield from self._rate_limits(path, site)
            for index, route in enumerate(site.routes):
                yield from self._proxy((*path, "routes", index), route)
                yield from self._rate_limits((*path, "routes", index), route)
                yield from self._files((*path, "routes", index), route)
            yield from self._ties(path, site)

    def _name(self, path: Path) -> str:
        """Return the path in the file, as people write it."""
        return dotted(self._original(path))

    def _listeners(self) -> Iterator[Finding]:
        listen = self._settings.listen
        if not listen.http and not listen.https:
            yield ("listen",), "nothing to listen on: `http` and `https` are both off"
        taken = {address for address in listen.http if address.port}
        if any(address in taken for address in listen.https):
            yield ("listen", "https"), "the same address is given for http"
        for kind in ("http", "https"):
            addresses = [address for address in getattr(listen, kind) if address.port]
            if len(set(addresses)) < len(addresses):
                yield ("listen", kind), "an address is given twice"

    def _upstream(self, path: Path, upstream: Upstream) -> Iterator[Finding]:
        if upstream.servers and all(server.backup for server in upstream.servers):
            yield (*path, "servers"), "every server is a backup: one must serve in the first place"
        first: dict[ServerAddress, int] = {}
        for index, server in enumerate(upstream.servers):
            if first.setdefault(server.url, index) != index:
                other = self._name((*path, "servers", first[server.url]))
                yield (*path, "servers", index), f"the same server as {other}: give it a `weight`"
        secure = any(server.url.scheme == "https" for server in upstream.servers)
        if "tls" in upstream.model_fields_set and not secure:
            yield (*path, "tls"), "no server of this upstream is https://: `tls` means nothing here"

    def _hosts(self) -> Iterator[Finding]:
        owners: dict[str, Path] = {}
        for number, site in enumerate(self._settings.sites):
            for index, host in enumerate(site.hosts):
                path: Path = ("sites", number, "hosts", index)
                first = owners.setdefault(host, path)
                if first != path:
                    yield path, f"this host is given already, as {self._name(first)}"

    def _defaults(self) -> Iterator[Finding]:
        sites = [number for number, site in enumerate(self._settings.sites) if site.default]
        for number in sites[1:]:
            first = self._name(("sites", sites[0]))
            yield ("sites", number, "default"), f"only one site can be the default: {first} is"

    def _certificate(self, path: Path, site: Site) -> Iterator[Finding]:
        listen = self._settings.listen
        if site.tls == "off":
            if listen.https and not listen.http:
                yield path, "a site with `tls: off` is served by http, and `listen.http` is off"
        elif not listen.https:
            if listen.http:
                yield (*path, "tls"), "`listen.https` is off, so that only `tls: off` is possible"
        elif site.tls == "acme":
            # Given as a word it was refused before, so that it can only be the default here.
            yield (*path, "hosts"), _NO_ACME if site.hosts else _NAMELESS
        elif site.tls == "self_signed" and not site.hosts:
            yield (*path, "tls"), _NAMELESS

    def _proxy(self, path: Path, route: Route) -> Iterator[Finding]:
        if not isinstance(route.proxy, str) or route.proxy in self._settings.upstreams:
            return
        given = self._document.at(("upstreams",))
        names = tuple(given) if isinstance(given, dict) else ()
        if route.proxy in names:
            return  # An upstream with a mistake of its own, which was told.
        near = nearest(route.proxy, names)
        hint = f"did you mean `{near}`?" if near else "nor is it an address such as http://host:80"
        value = seen(self._document, self._original((*path, "proxy")))
        yield (*path, "proxy"), f"no upstream has this name, found {value}; {hint}"

    def _rate_limits(self, path: Path, level: Site | Route) -> Iterator[Finding]:
        given = self._document.at(("rate_limits",))
        known = tuple(given) if isinstance(given, dict) else ()
        listed = isinstance(self._document.at(self._original((*path, "rate_limit"))), list)
        for index, name in enumerate(level.rate_limit or ()):
            if name in known:
                continue  # If it is not in the settings, its own mistake was told.
            place: Path = (*path, "rate_limit", index) if listed else (*path, "rate_limit")
            near = nearest(name, known)
            hint = f"; did you mean `{near}`?" if near else f"; {_named(known)}"
            value = seen(self._document, self._original(place))
            yield place, f"no rate limit has this name, found {value}{hint}"

    def _files(self, path: Path, route: Route) -> Iterator[Finding]:
        if route.files is None:
            return
        place = (*path, "files")
        if self._document.given(self._original((*place, "root"))):
            place = (*place, "root")
        for what, secret in self._secrets():
            if _is_beneath(secret, route.files.root):
                yield place, f"{what} lies in this folder, and would be served to everybody"
        root, state = route.files.root, self._settings.state_dir
        if _is_beneath(root, state) and not _is_beneath(state, root):
            yield place, "this folder lies in `state_dir`, where private keys are"

    def _secrets(self) -> Iterator[tuple[str, str]]:
        """Yield what nobody may ever be served, and where it is."""
        yield "`state_dir`, with its private keys,", self._settings.state_dir
        for site in self._settings.sites:
            if isinstance(site.tls, CertificateFiles):
                yield f"the private key of {self._site_name(site)}", site.tls.key
        for path, file in self._settings.named_files():
            if path[-1] == "users_file":
                yield self._name(path), file

    def _site_name(self, site: Site) -> str:
        return site.hosts[0] if site.hosts else "the default site"

    def _ties(self, path: Path, site: Site) -> Iterator[Finding]:
        rivals: dict[tuple[str | None, str | None], list[tuple[int, Route]]] = {}
        for number, route in enumerate(site.routes):
            earlier = rivals.setdefault((route.path, route.path_regex), [])
            first = next((index for index, one in earlier if overlap(one, route)), None)
            earlier.append((number, route))
            if first is not None:
                rival = self._name((*path, "routes", first))
                message = (
                    f"ties with {rival}: same path, and neither has more `methods` and `headers`"
                )
                yield (*path, "routes", number), message
