"""Models of who gets in: networks, names with passwords, and the word of another server."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from proxy.settings import fields
from proxy.settings.addresses import IPNetwork, ServerAddress, network, server_address
from proxy.settings.fields import Duration, FilePath, Table
from proxy.settings.forms import BY_FORM, TABLE
from proxy.settings.headers import FORWARDING, header_name, in_requests
from proxy.settings.problem import WrongValueError
from proxy.settings.switched import OFF, OffWord, says_off
from proxy.settings.users import password_hash, user_name

_NETWORKS = "a network such as 10.0.0.0/8, an address, or all"
_REALM = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,200}", re.ASCII)
_TARGET = re.compile(r"/[\x21-\x22\x24-\x7e]{0,2000}", re.ASCII)
_URL = re.compile(r"((?:https?|h2c)://[^/?#]*)(.*)", re.ASCII | re.DOTALL)
_URL_FORMS = (
    'expected an address with a path, such as "http://auth:9091/verify" or '
    '"unix:/run/auth.sock:/verify"'
)
_NOT_COPIED = FORWARDING | {"host", "http2-settings", "proxy", "proxy-authorization"}
_DEFAULT_REALM = "Restricted"


def _access(value: object) -> IPNetwork | Literal["all"]:
    return "all" if value == "all" else network(value)


def _access_list(value: object) -> object:
    """Return a list of networks, an empty one for off: it takes away what a site says."""
    if says_off(value):
        return ()
    if value is None or value in ("none", "never", [], ()):
        raise WrongValueError(
            f"expected {_NETWORKS}; `off` takes the site's away, `deny: all` shuts all out"
        )
    return fields.as_list(value)


Networks = tuple[Annotated[IPNetwork | Literal["all"], *fields.word(_access, "a CIDR or all")], ...]
Access = Annotated[
    Networks,
    PlainSerializer(lambda networks: [str(one) for one in networks] or OFF),
    BeforeValidator(_access_list, json_schema_input_type=str | list[str] | Literal[False]),
]
"""Networks to let in or keep out; empty for off."""


@dataclass(frozen=True, slots=True)
class AuthUrl:
    """What is asked whether a request may pass: a server, and the path and query asked for."""

    server: ServerAddress
    target: str

    def __str__(self) -> str:
        """Return the address as it is written in the file."""
        colon = ":" if self.server.scheme == "unix" else ""
        return f"{self.server}{colon}{self.target}"


def auth_url(value: object) -> AuthUrl:
    """Read "http://auth:9091/verify?x", or "unix:/run/auth.sock:/verify".

    Raises:
        WrongValueError: It is neither.
    """
    if isinstance(value, AuthUrl):
        return value
    if not isinstance(value, str):
        raise WrongValueError(_URL_FORMS)
    if value.startswith("unix:"):
        path, colon, target = value.removeprefix("unix:").partition(":")
        server = f"unix:{path}"
        target = target if colon else ""
    else:
        found = _URL.fullmatch(value)
        if found is None:
            raise WrongValueError(_URL_FORMS)
        server, target = found.groups()
    address = server_address(server)
    if address.scheme == "h2c":
        raise WrongValueError(_URL_FORMS)
    if not target:
        separator = ":/" if address.scheme == "unix" else "/"
        raise WrongValueError(f"it has no path; {_URL_FORMS}", f"{value}{separator}")
    if not _TARGET.fullmatch(target):
        raise WrongValueError(f"its path is none that a request could carry; {_URL_FORMS}")
    return AuthUrl(address, target)


def _copied(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError("expected a header name")
    if in_requests(header_name(value)).lower() in _NOT_COPIED:
        raise WrongValueError("the proxy itself writes this header")
    return value


def _realm(value: object) -> str:
    text = fields.plain_text(value)
    if not _REALM.fullmatch(text):
        raise WrongValueError("expected printable ASCII without quotes and backslashes")
    return text


class BasicAuth(Table):
    """Names and passwords that a browser asks for (RFC 7617)."""

    realm: Annotated[str, *fields.word(_realm, "what the browser shows")] = _DEFAULT_REALM
    """What the browser shows, and tells sets of passwords apart by."""
    users: dict[
        Annotated[str, *fields.word(user_name, "a user's name")],
        Annotated[
            str,
            PlainValidator(password_hash),
            PlainSerializer(lambda _: "***"),
            WithJsonSchema({"type": "string", "description": "a hash by `pyproxy hash-password`"}),
        ],
    ] = Field(default_factory=dict, repr=False)
    """By name, an argon2 or bcrypt hash each; `pyproxy hash-password` makes them."""
    users_file: FilePath | None = None
    """A file of further ones, `name:hash` a line; what `users` says goes before it."""

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.users and self.users_file is None:
            raise WrongValueError("nobody could get in: give `users`, or a `users_file`")
        return self


class ForwardAuth(Table):
    """Another server decides: its 2xx lets a request in, any other answer is the client's."""

    url: Annotated[AuthUrl, *fields.word(auth_url, "http://host:port/path")]
    """Server, path and query of the question, which is a GET."""
    copy_headers: Annotated[
        tuple[Annotated[str, *fields.word(_copied, "a header name")], ...],
        BeforeValidator(fields.as_switched_list, json_schema_input_type=str | list[str]),
    ] = ()
    """Headers of its answer that go on to the upstream; the client's own are dropped."""
    timeout: Duration = 5.0
    """For the whole answer; 504 beyond."""


BasicAuthChoice = Annotated[OffWord | Annotated[BasicAuth, TABLE], BY_FORM]
ForwardAuthChoice = Annotated[OffWord | Annotated[ForwardAuth, TABLE], BY_FORM]
