"""The model of `sites`: hosts, their certificate, and what holds for all of their routes."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from proxy.settings import fields
from proxy.settings.access import Access, BasicAuthChoice, ForwardAuthChoice
from proxy.settings.compression import Compress, CompressChoice
from proxy.settings.fields import Switch, Table
from proxy.settings.header_levels import Headers
from proxy.settings.hosts import host_name, is_local
from proxy.settings.limits import LimitNames
from proxy.settings.pages import ErrorPages, MaintenanceChoice
from proxy.settings.problem import WrongValueError
from proxy.settings.routes import Route
from proxy.settings.switched import OFF, null_as_off
from proxy.settings.tls import TlsChoice

_StatusSchema = WithJsonSchema({"enum": [301, 308, "off", "no", False, None]})


def _redirect_http(value: object) -> int | None:
    if fields.is_off(value):
        return None
    number = fields.count(100, 999)(value)
    if number not in {301, 308}:
        raise WrongValueError("expected 301, 308 or off")
    return number


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
    compress: Annotated[CompressChoice, BeforeValidator(null_as_off)] = Compress()
    """on, off or a table."""
    headers: Headers = Field(default=Headers(), repr=False)
    """Added to the file's; null removes one."""
    rate_limit: LimitNames = ()
    """Names of rate limits, for all routes that name none of their own."""
    allow: Access = ()
    """Networks that are let in, for all routes that say nothing of their own; no one else is."""
    deny: Access = ()
    """Networks that are kept out, for all routes that say nothing of their own."""
    basic_auth: BasicAuthChoice = OFF
    forward_auth: ForwardAuthChoice = OFF
    maintenance: Annotated[MaintenanceChoice, BeforeValidator(null_as_off)] = OFF
    error_pages: ErrorPages = Field(default_factory=dict)
    """Added to the file's; null takes one back."""
    intercept_errors: Switch = False
    """Whether error pages also take the place of the upstreams' own errors."""
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
