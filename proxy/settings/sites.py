"""Models of `sites`: hosts, routes, and what a route does with a request."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from proxy.settings import fields
from proxy.settings.addresses import IPNetwork, ServerAddress, network, server_address
from proxy.settings.fields import (
    AnswerHeaderName,
    Duration,
    HeaderName,
    HeaderValue,
    RequestHeaderName,
    Size,
    SizeOrOff,
    Switch,
    Table,
    Words,
)
from proxy.settings.headers import header_value
from proxy.settings.hosts import host_name, is_local
from proxy.settings.nearest import nearest
from proxy.settings.paths import redirect_target, route_path, route_regex
from proxy.settings.problem import WrongValueError
from proxy.settings.tls import TlsChoice
from proxy.settings.upstreams import off_as_none

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
RARE_METHODS = frozenset({
    "COPY", "LINK", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "PURGE", "QUERY", "REPORT",
    "SEARCH", "UNLINK", "UNLOCK",
})  # fmt: skip
ALGORITHMS = ("zstd", "br", "gzip")
HANDLERS = ("proxy", "redirect", "respond", "files")
"""What a route does with a request: exactly one of these."""

_UPSTREAM_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_BODILESS = frozenset({204, 205, 304})


def upstream_name(value: object) -> str:
    """Return the name of an upstream.

    Raises:
        WrongValueError: It holds something else than letters, digits, `_`, `-` and `.`.
    """
    text = str(value)
    if (
        isinstance(value, bool)
        or not isinstance(value, str | int)
        or not _UPSTREAM_NAME.fullmatch(text)
    ):
        raise WrongValueError("a name is made of letters, digits, _ - and .")
    return text


def _proxy(value: object) -> str | ServerAddress:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and ":" not in text and "/" not in text:
        return upstream_name(text)
    return server_address(text)


def _method(value: object) -> str:
    text = str(value).upper()
    if text in {"CONNECT", "TRACE"}:
        raise WrongValueError("CONNECT and TRACE are always refused")
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z][A-Z_-]{0,30}", text, re.ASCII):
        raise WrongValueError(f"expected a method such as {', '.join(METHODS)}")
    near = "" if text in RARE_METHODS else nearest(text, METHODS)
    if near and near != text:
        raise WrongValueError(f"expected a method such as {', '.join(METHODS)}", near)
    return text


def _status(*allowed: int) -> PlainValidator:
    def read(value: object) -> int:
        number = fields.count(100, 999)(value)
        if number not in allowed:
            raise WrongValueError(f"expected {', '.join(map(str, allowed))}")
        return number

    return PlainValidator(read)


def _redirect_http(value: object) -> int | None:
    if fields.is_off(value):
        return None
    number = fields.count(100, 999)(value)
    if number not in {301, 308}:
        raise WrongValueError("expected 301, 308 or off")
    return number


def _access(value: object) -> IPNetwork | Literal["all"]:
    return "all" if value == "all" else network(value)


def _names(value: object) -> object:
    return () if value is None else fields.as_list(value)


def _content_type(value: object) -> str:
    text = header_value(value)
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+(?:\s*;.*)?", text, re.ASCII):
        raise WrongValueError("expected a media type such as text/plain; charset=utf-8")
    return text


_StatusSchema = WithJsonSchema({"enum": [301, 308, "off", False, None]})
Access = tuple[Annotated[IPNetwork | Literal["all"], *fields.word(_access, "a CIDR or all")], ...]


class Redirect(Table):
    """An answer that sends the client elsewhere."""

    to: Annotated[str, *fields.word(redirect_target, "a path or an URL")]
    """A path or an URL; `{uri}` is the path and query of the request, `{host}` its host."""
    status: Annotated[
        int,
        _status(301, 302, 303, 307, 308),
        WithJsonSchema({"enum": [301, 302, 303, 307, 308]}),
    ] = 302


class Respond(Table):
    """A fixed answer."""

    status: Annotated[int, *fields.integer(200, 599)] = 200
    body: Annotated[str, PlainValidator(fields.plain_text), WithJsonSchema({"type": "string"})] = ""
    content_type: Annotated[str, *fields.word(_content_type, "a media type")] = (
        "text/plain; charset=utf-8"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.body and self.status in _BODILESS:
            raise WrongValueError(f"an answer with status {self.status} has no body (RFC 9110, 15)")
        return self


class RouteLimits(Table):
    """Limits that differ on a route."""

    body: SizeOrOff | None = None
    """Largest request body; off for none; the file's when absent."""


class RouteTimeouts(Table):
    """Times that differ from those of the upstream."""

    connect: Duration | None = None
    response: Duration | None = None
    idle: Duration | None = None


class WebSocket(Table):
    """How upgraded connections are kept."""

    idle_timeout: Duration = 3600.0
    """Without a byte in either direction."""
    ping_interval: Duration | None = None
    max_message: Size | None = None


class Compress(Table):
    """How answers are compressed."""

    algorithms: Annotated[
        tuple[
            Annotated[str, *fields.word(lambda v: fields.one_of(str(v), ALGORITHMS), "a coding")],
            ...,
        ],
        BeforeValidator(fields.filled_list),
    ] = ALGORITHMS
    types: tuple[Words, ...] = ("text/*", "application/json", "application/javascript")
    min_size: Size = 1024


def _as_redirect(value: object) -> object:
    return {"to": value} if isinstance(value, str) else value


def _as_respond(value: object) -> object:
    return {"status": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Route(Table):
    """What is done with some paths' requests: exactly one of `proxy`, `redirect`, `respond`."""

    path: Annotated[str, *fields.word(route_path, "a path")] | None = None
    """With a `/` at its end it covers everything beneath it; any other is exact."""
    path_regex: Annotated[str, *fields.word(route_regex, "a regular expression")] | None = None
    """Searched for in the normalised path; ranks after every `path`."""
    methods: (
        Annotated[
            tuple[Annotated[str, *fields.word(_method, "a method")], ...],
            BeforeValidator(fields.filled_list, json_schema_input_type=str | list[str]),
        ]
        | None
    ) = None
    """Only these; all when absent. GET covers HEAD."""
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    """Headers the request must carry, each with this very value."""
    proxy: (
        Annotated[str | ServerAddress, *fields.word(_proxy, "an upstream's name or an address")]
        | None
    ) = None
    """The name of an upstream, or the address of a server."""
    redirect: Annotated[
        Redirect | None, BeforeValidator(_as_redirect, json_schema_input_type=Redirect | str | None)
    ] = None
    respond: Annotated[
        Respond | None, BeforeValidator(_as_respond, json_schema_input_type=Respond | int | None)
    ] = None
    files: fields.FilePath | None = None
    cache: Duration | None = None
    fallback: Words | None = None
    rate_limit: Annotated[tuple[Words, ...], BeforeValidator(_names)] = ()
    allow: Annotated[Access, BeforeValidator(_names)] = ()
    deny: Annotated[Access, BeforeValidator(_names)] = ()
    limits: RouteLimits = RouteLimits()
    request_headers: dict[RequestHeaderName, HeaderValue | None] = Field(
        default_factory=dict, repr=False
    )
    """Set on what is forwarded; null removes one."""
    response_headers: dict[AnswerHeaderName, HeaderValue | None] = Field(
        default_factory=dict, repr=False
    )
    """Set on the answer, over what site and file set; null removes one."""
    strip_prefix: Annotated[
        bool | str,
        PlainValidator(fields.prefix),
        WithJsonSchema({"type": ["boolean", "string"]}),
    ] = False
    """true cuts `path` off what is forwarded, a text cuts off that prefix."""
    timeouts: RouteTimeouts = RouteTimeouts()
    websocket: WebSocket = WebSocket()

    @property
    def constraints(self) -> int:
        """Return how many conditions beside the path it makes: more come first on one path."""
        return (self.methods is not None) + len(self.headers)

    @property
    def strip(self) -> str:
        """Return the prefix to cut off the forwarded path, without its final slash; "" for none."""
        prefix = self.path if self.strip_prefix is True else self.strip_prefix
        return prefix.rstrip("/") if isinstance(prefix, str) else ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.path is None) == (self.path_regex is None):
            raise WrongValueError("a route has either `path` or `path_regex`")
        given = [name for name in HANDLERS if getattr(self, name) is not None]
        if len(given) != 1:
            seen = f", not {' and '.join(given)}" if given else ""
            raise WrongValueError(f"a route has exactly one of proxy, redirect and respond{seen}")
        for name, value in self.request_headers.items():
            if name.lower() == "host":
                self._check_host(value)
        if self.strip_prefix is not False:
            self._check_strip()
        return self

    def _check_host(self, value: str | None) -> None:
        if value is None:
            raise WrongValueError("`request_headers` cannot remove Host: every request has one")
        try:
            fields.host_header(value)
        except WrongValueError:
            raise WrongValueError("`request_headers` gives a Host that is no host name") from None

    def _check_strip(self) -> None:
        if self.proxy is None:
            raise WrongValueError("`strip_prefix` means something with `proxy` only")
        if self.path is None:
            raise WrongValueError("`strip_prefix` needs a `path`, not a `path_regex`")
        if self.strip_prefix is True and not self.path.endswith("/"):
            raise WrongValueError("`strip_prefix: true` needs a `path` that ends in /")
        whole = self.strip + "/"
        if not (self.path + "/").startswith(whole):
            raise WrongValueError(
                "`strip_prefix` is not the beginning of `path`: it would never be cut"
            )


def _with_defaults(value: object) -> object:
    """Return a site's table with the `tls` that its hosts ask for, and no redirect without TLS."""
    if not isinstance(value, Mapping):
        return value
    given = dict(value)
    if "tls" not in given:
        names = fields.as_list(given.get("hosts"))
        given["tls"] = "self_signed" if _all_local(names) else "acme"
    if fields.is_off(given["tls"]):
        given.setdefault("redirect_http", None)
    return given


def _all_local(names: object) -> bool:
    try:
        return (
            isinstance(names, list) and bool(names) and all(is_local(host_name(n)) for n in names)
        )
    except WrongValueError:
        return False


class Site(Table):
    """The hosts that share routes, headers and a certificate."""

    hosts: Annotated[
        tuple[fields.Host, ...],
        BeforeValidator(fields.as_list, json_schema_input_type=fields.Host | list[fields.Host]),
    ] = ()
    """Exact names, `*.example.com` (one label deep) or IP addresses, without a port."""
    default: Switch = False
    """Serves every host that no site names. Only one site may."""
    tls: TlsChoice = "acme"
    """self_signed, off, or {cert: cert.pem, key: key.pem}; by default what the hosts allow."""
    redirect_http: Annotated[int | None, PlainValidator(_redirect_http), _StatusSchema] = 301
    """The status that sends http to https; off serves both."""
    compress: Annotated[
        Compress | None,
        BeforeValidator(off_as_none, json_schema_input_type=Compress | fields.OffWord),
    ] = None
    headers: dict[AnswerHeaderName, HeaderValue | None] = Field(default_factory=dict, repr=False)
    """Added to the file's; null removes one."""
    routes: Annotated[tuple[Route, ...], BeforeValidator(fields.filled_list)]

    _defaults = model_validator(mode="before")(_with_defaults)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.hosts and not self.default:
            raise WrongValueError("a site names its `hosts`, or is marked `default: true`")
        if self.tls == "off" and self.redirect_http is not None:
            raise WrongValueError(
                "`redirect_http` would lead to https, which `tls: off` switches off"
            )
        return self
