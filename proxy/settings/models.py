"""The configuration as a whole: what `load.load` returns and the compiler reads.

The models of upstreams, sites and TLS live in modules of their own and are offered here too. Every
duration is seconds, every size bytes; a limit of 0 is no limit; paths of files are absolute.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from proxy.observe.access_log import compile_format
from proxy.observe.log_variables import FormatError, UnknownVariableError
from proxy.settings import fields, inheritance
from proxy.settings.access import AuthUrl, BasicAuth, ForwardAuth, Networks
from proxy.settings.addresses import IPNetwork, ListenAddress, ServerAddress, network
from proxy.settings.compression import Compress
from proxy.settings.document import Document
from proxy.settings.fields import ByteRate, DurationOrOff, Switch, Table
from proxy.settings.files import Cache, Files
from proxy.settings.header_levels import Headers
from proxy.settings.limits import Limits, RateLimit, Timeouts, limit_name
from proxy.settings.names import given_name
from proxy.settings.nearest import nearest
from proxy.settings.pages import ErrorPages, Maintenance
from proxy.settings.presets import PRESETS
from proxy.settings.problem import Path, WrongValueError
from proxy.settings.routes import (
    Redirect,
    Respond,
    Route,
    RouteLimits,
    RouteTimeouts,
    WebSocket,
)
from proxy.settings.sites import Site
from proxy.settings.tls import Acme, CertificateFiles, Tls
from proxy.settings.units import Rate
from proxy.settings.upstreams import (
    Buffering,
    HashBalance,
    HealthCheck,
    KeepAlive,
    RequestKey,
    Server,
    Upstream,
    UpstreamTimeouts,
    UpstreamTls,
    lone_server,
)

__all__ = [
    "Acme", "AuthUrl", "BasicAuth", "Buffering", "Cache", "CertificateFiles", "Compress", "Files",
    "ForwardAuth", "HashBalance", "Headers", "HealthCheck", "KeepAlive", "Limits", "Listen",
    "ListenAddress", "Log", "Maintenance", "Networks", "Rate", "RateLimit", "Redirect",
    "RequestKey", "Respond", "Route", "RouteLimits", "RouteTimeouts", "Server", "ServerAddress",
    "Settings", "Site", "Timeouts", "Tls", "Upstream", "UpstreamTimeouts", "UpstreamTls",
    "WebSocket", "lone_server",
]  # fmt: skip

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("combined", "json")


def _workers(value: object) -> int | Literal["auto"]:
    return "auto" if value == "auto" else fields.count(1, 1024)(value)


def _shared_state(value: object) -> str:
    if isinstance(value, str) and value.startswith(("redis://", "rediss://", "unix://")):
        return value
    if value != "memory":
        raise WrongValueError("expected memory or redis://host:6379/0")
    return "memory"


def _proxy_protocol(value: object) -> bool:
    if fields.is_off(value):
        return False
    if value in ("accept", "on", True):
        return True
    raise WrongValueError("expected off or accept", nearest(str(value), ("off", "accept")))


def _trusted(value: object) -> str | IPNetwork:
    if isinstance(value, str) and value in PRESETS:
        return value
    try:
        return network(value)
    except WrongValueError as error:
        near = error.suggestion or nearest(str(value), PRESETS)
        raise WrongValueError(f"{error.reason}, or {', '.join(PRESETS)}", near) from None


def _format(value: object) -> str:
    text = fields.plain_text(value)
    if "$" not in text and text not in FORMATS:
        near = nearest(text, FORMATS)
        raise WrongValueError("expected combined, json, or a format with $variables", near)
    try:
        compile_format(text)
    except UnknownVariableError as error:
        # The name is part of the value, so that the message itself cannot have it.
        near = f"${error.suggestion}" if error.suggestion else ""
        raise WrongValueError("there is no such variable for a log", near) from None
    except FormatError as error:
        raise WrongValueError(str(error)) from None
    return text


def _level(value: object) -> str:
    text = {"warn": "warning", "err": "error"}.get(str(value), str(value))
    return fields.one_of(text, LEVELS)


def _off_as_null(value: object) -> object:
    return None if fields.is_off(value) else value


def _tables(value: object) -> object:
    return {} if value is None else value


def _log(value: object) -> object:
    return (
        {"to": "off" if fields.is_off(value) else value}
        if not isinstance(value, Mapping | Table)
        else value
    )


Listeners = Annotated[
    tuple[fields.Listener, ...],
    BeforeValidator(
        fields.as_switched_list,
        json_schema_input_type=fields.Listener | list[fields.Listener] | fields.OffWord,
    ),
]


class Listen(Table):
    """Where clients reach the proxy."""

    http: Listeners = (ListenAddress("", 80),)
    https: Listeners = (ListenAddress("", 443),)


class AccessLog(Table):
    """One line a request."""

    to: fields.LogTarget = "stdout"
    """stdout, stderr, off, or a file that SIGUSR1 reopens."""
    format: Annotated[str, *fields.word(_format, "combined, json or a format")] = "combined"


class ErrorLog(Table):
    """What went wrong, and what the proxy itself did."""

    to: fields.LogTarget = "stderr"
    level: Annotated[str, PlainValidator(_level), fields.words_schema(*LEVELS)] = "info"


class Log(Table):
    """Both logs."""

    access: Annotated[
        AccessLog, BeforeValidator(_log, json_schema_input_type=AccessLog | fields.LogTarget)
    ] = AccessLog()
    error: Annotated[
        ErrorLog, BeforeValidator(_log, json_schema_input_type=ErrorLog | fields.LogTarget)
    ] = ErrorLog()


class Settings(Table):
    """The whole of proxy.yaml, checked."""

    listen: Listen = Listen()
    workers: Annotated[
        int | Literal["auto"],
        PlainValidator(_workers),
        WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]}),
    ] = "auto"
    """Processes; auto is one for each CPU this process may use."""
    user: fields.Words | None = "www-data"
    """Whom the workers run as when started as root; null stays root."""
    state_dir: Annotated[fields.FilePath, Field(validate_default=True)] = "certs"
    """Certificates, keys of tickets, the control socket."""
    shared_state: Annotated[str, *fields.word(_shared_state, "memory or redis://host/0")] = "memory"
    drain_timeout: DurationOrOff = 30.0
    """How long a stop or a reload lets running requests and WebSockets finish."""
    trusted_proxies: Annotated[
        tuple[Annotated[str | IPNetwork, *fields.word(_trusted, "a CIDR or a preset")], ...],
        BeforeValidator(
            fields.as_switched_list, json_schema_input_type=str | list[str] | fields.OffWord
        ),
    ] = ()
    """Whose X-Forwarded-* and PROXY protocol are believed: CIDRs, cloudflare, private, loopback."""
    proxy_protocol: Annotated[
        bool,
        PlainValidator(_proxy_protocol),
        PlainSerializer(lambda on: "accept" if on else "off"),
        WithJsonSchema({"enum": ["off", "no", "accept", "on", True, False, None]}),
    ] = False
    forwarded_header: Switch = False
    """Also send `Forwarded` (RFC 7239) to upstreams."""
    log: Log = Log()
    admin: Annotated[fields.Listener | None, BeforeValidator(_off_as_null)] = None
    timeouts: Timeouts = Timeouts()
    min_rate: ByteRate = 500.0
    """A body slower than this over 60 s is cut."""
    limits: Limits = Limits()
    tls: Tls = Tls()
    acme: Acme | None = None
    upstreams: Annotated[
        dict[Annotated[str, *fields.word(given_name, "a name")], Upstream],
        BeforeValidator(_tables),
    ] = Field(default_factory=dict)
    rate_limits: Annotated[
        dict[Annotated[str, *fields.word(limit_name, "a name")], RateLimit],
        BeforeValidator(_tables),
    ] = Field(default_factory=dict)
    """By name; routes and sites say which of them are theirs."""
    headers: Headers = Field(default=Headers(), repr=False)
    """Added to the defaults; null removes one."""
    error_pages: ErrorPages = Field(default_factory=dict)
    """What is sent in place of the proxy's own error pages, by status or class of statuses."""
    sites: Annotated[tuple[Site, ...], BeforeValidator(fields.filled_list)]

    _document: Document | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _plain_sites(cls, value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        """Give the sites `tls: off` where nothing listens for https."""
        listen = value.get("listen") if isinstance(value, Mapping) else None
        sites = value.get("sites") if isinstance(value, Mapping) else None
        if not isinstance(listen, Mapping) or not isinstance(sites, list):
            return value
        if "https" not in listen or not (fields.is_off(listen["https"]) or listen["https"] == []):
            return value
        plain = [{"tls": "off", **site} if isinstance(site, Mapping) else site for site in sites]
        return {**value, "sites": plain}

    def read_from(self, document: Document) -> Self:
        """Return these settings with the document they came from, for advice and for printing."""
        self._document = document
        return self

    @property
    def document(self) -> Document | None:
        """Return the document the settings were loaded from; None for settings made by hand."""
        return self._document

    @property
    def trusted_networks(self) -> tuple[IPNetwork, ...]:
        """Return `trusted_proxies` with the presets spelt out."""
        found: list[IPNetwork] = []
        for entry in self.trusted_proxies:
            found.extend(PRESETS[entry] if isinstance(entry, str) else (entry,))
        return tuple(dict.fromkeys(found))

    def upstream_of(self, route: Route) -> Upstream | None:
        """Return the upstream a route proxies to, or None; an address is one of its own."""
        if route.proxy is None:
            return None
        if isinstance(route.proxy, ServerAddress):
            return lone_server(route.proxy)
        return self.upstreams[route.proxy]

    def headers_of(
        self, site: Site | None = None, route: Route | None = None
    ) -> dict[str, str | None]:
        """Return the header fields of a site's answers, or of one route's, names as written.

        Without either: of answers for which no site is known.

        A text is set in place of whatever the upstream sends under the name. None, which only a
        route can bring about, removes the upstream's too; a null of the file or of a site just
        takes back what an upper level set.
        """
        return inheritance.headers(self.headers, site, route)

    def error_pages_of(
        self, site: Site | None = None, route: Route | None = None
    ) -> dict[str, str]:
        """Return paths of error pages by "404" or "5xx"; an exact status goes before a class."""
        return inheritance.error_pages(self.error_pages, site, route)

    def rate_limits_of(self, site: Site, route: Route) -> tuple[tuple[str, RateLimit], ...]:
        """Return the rate limits that a request must pass, each with its name."""
        names = site.rate_limit if route.rate_limit is None else route.rate_limit
        return tuple((name, self.rate_limits[name]) for name in names)

    def access_of(self, site: Site, route: Route) -> tuple[Networks, Networks] | None:
        """Return the networks let in and those kept out, or None where everyone is let in.

        Of several that fit the narrowest counts, and of two alike the one kept out. Whom none
        fits is let in where there are none to let in, and kept out otherwise.
        """
        return inheritance.access(site, route)

    def basic_auth_of(self, site: Site, route: Route) -> BasicAuth | None:
        """Return the names and passwords a request needs, if any."""
        return inheritance.chosen(site.basic_auth, route.basic_auth)

    def forward_auth_of(self, site: Site, route: Route) -> ForwardAuth | None:
        """Return who is asked about a request, if anybody."""
        return inheritance.chosen(site.forward_auth, route.forward_auth)

    def maintenance_of(self, site: Site, route: Route) -> Maintenance | None:
        """Return what is on, or could come on by its flag file, if anything."""
        found = inheritance.chosen(site.maintenance, route.maintenance)
        return found if found is not None and found.when is not False else None

    def compress_of(self, site: Site, route: Route) -> Compress | None:
        """Return how answers are compressed, None for not at all."""
        return inheritance.chosen(site.compress, route.compress)

    def intercepts_of(self, site: Site, route: Route) -> bool:
        """Tell whether error pages take the place of the upstream's own errors."""
        own = route.intercept_errors
        return site.intercept_errors if own is None else own

    def named_files(self) -> Iterator[tuple[Path, str]]:
        """Yield every file that policies name: where in the document, and its absolute path."""
        yield from inheritance.named_files(self.error_pages, self.sites)
