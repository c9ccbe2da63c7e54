"""Models of routes: which requests are meant, and what is done with them."""

import re
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from proxy.settings import fields
from proxy.settings.access import Access, BasicAuthChoice, ForwardAuthChoice
from proxy.settings.addresses import ServerAddress, server_address
from proxy.settings.compression import CompressChoice
from proxy.settings.fields import (
    AnswerHeaderName,
    Duration,
    DurationOrOff,
    HeaderName,
    HeaderValue,
    RequestHeaderName,
    SizeOrOff,
    Switch,
    Table,
)
from proxy.settings.files import CacheChoice, FallbackPath, FilesChoice
from proxy.settings.headers import header_value
from proxy.settings.limits import LimitNames
from proxy.settings.names import given_name
from proxy.settings.nearest import nearest
from proxy.settings.pages import ErrorPages, MaintenanceChoice
from proxy.settings.paths import redirect_target, route_path, route_regex
from proxy.settings.problem import WrongValueError
from proxy.settings.switched import null_as_off, said

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
RARE_METHODS = frozenset({
    "COPY", "LINK", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "PURGE", "QUERY", "REPORT",
    "SEARCH", "UNLINK", "UNLOCK",
})  # fmt: skip
HANDLERS = ("proxy", "redirect", "respond", "files")
"""What a route does with a request: exactly one of these."""

_HANDLERS = f"{', '.join(HANDLERS[:-1])} and {HANDLERS[-1]}"
_UPSTREAMS_OWN = ("request_headers", "timeouts", "websocket")

_BODILESS = frozenset({204, 205, 304})


def _proxy(value: object) -> str | ServerAddress:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and ":" not in text and "/" not in text:
        return given_name(text)
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


def _content_type(value: object) -> str:
    text = header_value(value)
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+(?:\s*;.*)?", text, re.ASCII):
        raise WrongValueError("expected a media type such as text/plain; charset=utf-8")
    return text


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
    """While nothing is said in either direction; pings of the proxy's own do not count."""
    ping_interval: DurationOrOff = 0.0
    """After so much silence of an end the proxy sends it a ping."""
    max_message: SizeOrOff = 0
    """A message as it is on the wire, all its frames together: 1009 beyond."""


def _as_redirect(value: object) -> object:
    return {"to": value} if isinstance(value, str) else value


def _as_respond(value: object) -> object:
    return {"status": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Route(Table):
    """What is done with some paths' requests: exactly one of HANDLERS."""

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
    files: FilesChoice | None = None
    """A folder, or a table with `root`."""
    fallback: FallbackPath | None = None
    """With `files`: the file for paths that name none, as single-page applications want it."""
    cache: CacheChoice | None = None
    """A time, {age, immutable}, no-store, no-cache or off."""
    rate_limit: Annotated[LimitNames | None, BeforeValidator(said)] = None
    """Names of rate limits, in place of the site's."""
    allow: Annotated[Access | None, BeforeValidator(said)] = None
    """Networks that are let in, in place of the site's; everyone else is not."""
    deny: Annotated[Access | None, BeforeValidator(said)] = None
    """Networks that are kept out, in place of the site's; of two that fit the narrower counts."""
    basic_auth: Annotated[BasicAuthChoice | None, BeforeValidator(said)] = None
    forward_auth: Annotated[ForwardAuthChoice | None, BeforeValidator(said)] = None
    maintenance: Annotated[MaintenanceChoice | None, BeforeValidator(null_as_off)] = None
    error_pages: ErrorPages = Field(default_factory=dict)
    """Added to the site's; null takes one back."""
    intercept_errors: Switch | None = None
    """Whether error pages also take the place of the upstream's own errors."""
    compress: Annotated[CompressChoice | None, BeforeValidator(null_as_off)] = None
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

    @property
    def files_prefix(self) -> str:
        """Return what is cut off a path before it is looked for beneath the root of `files`.

        "/static/" for `path: /static/`, "/" for `path: /favicon.ico` and for a `path_regex`.
        """
        path = self.path or "/"
        return path[: path.rfind("/") + 1]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.path is None) == (self.path_regex is None):
            raise WrongValueError("a route has either `path` or `path_regex`")
        given = [name for name in HANDLERS if getattr(self, name) is not None]
        if len(given) != 1:
            seen = f", not {' and '.join(given)}" if given else ""
            raise WrongValueError(f"a route has exactly one of {_HANDLERS}{seen}")
        for name, value in self.request_headers.items():
            if name.lower() == "host":
                self._check_host(value)
        if self.strip_prefix is not False:
            self._check_strip()
        self._check_files()
        return self

    def _check_files(self) -> None:
        if self.intercept_errors and self.proxy is None:
            raise WrongValueError("`intercept_errors` means something with `proxy` only")
        if self.files is None:
            if self.fallback is not None:
                raise WrongValueError("`fallback` means something with `files` only")
            return
        for name in _UPSTREAMS_OWN:
            if getattr(self, name) != type(self).model_fields[name].get_default(
                call_default_factory=True
            ):
                raise WrongValueError(f"`{name}` is for upstreams: it means nothing with `files`")
        if self.methods is not None and not {"GET", "HEAD"} & set(self.methods):
            raise WrongValueError("`files` answers GET and HEAD only")

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
