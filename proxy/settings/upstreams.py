"""Models of `upstreams`: servers, balancing, health, pools."""

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BeforeValidator, PlainValidator, model_validator

from proxy.settings import fields
from proxy.settings.addresses import ServerAddress
from proxy.settings.fields import Count, CountOrNone, Duration, DurationOrOff, Switch, Table
from proxy.settings.forms import BY_FORM, TABLE, WORD
from proxy.settings.headers import header_name
from proxy.settings.nearest import nearest
from proxy.settings.problem import WrongValueError

BALANCES = ("round_robin", "least_connections", "random_two", "ip_hash")
BUFFERINGS = ("auto", "on", "off")


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What a hash or a limit tells requests apart by: the `kind` and, for some, the `name`."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        """Return the key as it is written in the file."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


def request_key(value: object, plain: tuple[str, ...] = ()) -> RequestKey:
    """Read "cookie:NAME", "header:NAME" or one of the words in `plain`.

    Raises:
        WrongValueError: It is neither.
    """
    if isinstance(value, RequestKey):
        return value
    forms = " or ".join((*plain, "header:NAME", "cookie:NAME"))
    if not isinstance(value, str):
        raise WrongValueError(f"expected {forms}")
    if value in plain:
        return RequestKey(value)
    kind, colon, name = value.partition(":")
    if not colon or kind not in {"header", "cookie"}:
        near = nearest(kind, (*plain, "header", "cookie"))
        if near in {"header", "cookie"}:
            near = f"{near}:{name or 'NAME'}"
        raise WrongValueError(f"expected {forms}", near)
    return RequestKey(kind, header_name(name))


def _hash_key(value: object) -> RequestKey:
    return request_key(value)


def _balance(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError(f'expected {" or ".join(BALANCES)}, or {{hash: "cookie:NAME"}}')
    return fields.one_of(value, BALANCES)


def _buffering(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, str):
        raise WrongValueError(f"expected {' or '.join(BUFFERINGS)}")
    return fields.one_of(value, BUFFERINGS)


def _as_server(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


def off_as_none(value: object) -> object:
    """Return None for off, no, false and null; an empty table for on, yes and true.

    Raises:
        WrongValueError: It is another word.
    """
    if fields.is_off(value):
        return None
    if value is True or value in ("on", "yes", "true"):
        return {}
    if isinstance(value, str):
        raise WrongValueError("expected on, off or a table of keys")
    return value


def _keep_alive(value: object) -> object:
    return {"connections": 0} if fields.is_off(value) else value


def _both_alike(value: object) -> object:
    return {"request": value, "response": value} if isinstance(value, str | bool) else value


Buffer = Annotated[str, PlainValidator(_buffering), fields.words_schema(*BUFFERINGS)]


class Server(Table):
    """One server of an upstream."""

    url: fields.Server
    """`http://host:port`, `https://host:port`, `h2c://host:port` (HTTP/2 without TLS) or
    `unix:/path/to.sock`."""
    weight: Annotated[int, *fields.integer(1, 10000)] = 1
    """Its share of the requests beside the other servers."""
    backup: Switch = False
    """Used only while no other server can be."""


class HashBalance(Table):
    """Requests that are alike in one thing go to one server."""

    hash: Annotated[RequestKey, *fields.word(_hash_key, "cookie:NAME or header:NAME")]
    """`cookie:NAME` or `header:NAME`."""


class HealthCheck(Table):
    """Asking each server at intervals, whether there are requests or not."""

    path: fields.RequestTarget = "/"
    """What is asked for, with GET."""
    interval: Duration = 10.0
    """From one question to the next."""
    timeout: Duration = 2.0
    """How long a server may take to answer."""
    rise: Count = 2
    """Good answers in a row that bring a server back."""
    fall: Count = 3
    """Bad answers in a row that take a server out."""
    expect: Annotated[int, *fields.integer(200, 599)] = 200
    """The status of a good answer."""
    host: Annotated[str, *fields.word(fields.host_header, "a host name")] | None = None
    """The Host header of the question; by default the server's own address. Django answers 400
    to a host that ALLOWED_HOSTS does not name."""


class KeepAlive(Table):
    """Idle connections kept open to a server."""

    connections: CountOrNone = 64
    """How many, for each server and worker; 0 keeps none."""
    idle: Duration = 60.0
    """How long one may idle before it is closed."""


class UpstreamTimeouts(Table):
    """How long the proxy waits for a server."""

    connect: Duration = 5.0
    """For a connection, TLS handshake included."""
    response: Duration = 60.0
    """From the end of the request to the head of the answer."""
    idle: Duration = 60.0
    """Between two pieces of an answer's body."""


class Buffering(Table):
    """Whether a body is collected before it goes on, which frees a synchronous worker early."""

    request: Buffer = "auto"
    response: Buffer = "auto"


class UpstreamTls(Table):
    """How `https://` servers are spoken to."""

    verify: Switch = True
    """false takes any certificate: only for networks that nobody else is in."""
    ca_file: fields.FilePath | None = None
    """PEM file of the authorities that are believed; the system's when absent."""
    server_name: fields.Host | None = None
    """The name sent as SNI and looked for in the certificate; by default the server's host."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.verify and self.ca_file is not None:
            raise WrongValueError(
                "`ca_file` means nothing with `verify: false`: remove one of them"
            )
        return self


Balance = Annotated[
    Annotated[str, PlainValidator(_balance), fields.words_schema(*BALANCES), WORD]
    | Annotated[HashBalance, TABLE],
    BY_FORM,
]


class Upstream(Table):
    """A pool of servers that do the same work."""

    servers: Annotated[
        tuple[
            Annotated[Server, BeforeValidator(_as_server, json_schema_input_type=str | Server)], ...
        ],
        BeforeValidator(
            fields.filled_list, json_schema_input_type=str | Server | list[str | Server]
        ),
    ]
    """An address each, or a table with `url`, `weight`, `backup`."""
    balance: Balance = "round_robin"
    """round_robin, least_connections, random_two, ip_hash or {hash: "cookie:NAME"}."""
    health_check: Annotated[
        HealthCheck | None,
        BeforeValidator(off_as_none, json_schema_input_type=HealthCheck | fields.SwitchWord),
    ] = None
    """Active checks; off when absent."""
    max_fails: CountOrNone = 3
    """Failures within `fail_timeout` that take a server out for as long; 0 never does."""
    fail_timeout: Duration = 10.0
    retries: Annotated[int, *fields.integer(0, 100)] = 1
    """Further tries on another server, where nothing of the answer was sent and the request may
    be repeated."""
    keep_alive: Annotated[
        KeepAlive, BeforeValidator(_keep_alive, json_schema_input_type=KeepAlive | fields.OffWord)
    ] = KeepAlive()
    hold: DurationOrOff = 10.0
    """While every server refuses, requests wait this long before they get 503; off: not at all."""
    timeouts: UpstreamTimeouts = UpstreamTimeouts()
    max_connections: Count = 200
    """To one server, by all workers together; further requests queue."""
    queue_timeout: Duration = 10.0
    """How long a request queues for a connection before it gets 503."""
    buffering: Annotated[
        Buffering, BeforeValidator(_both_alike, json_schema_input_type=Buffering | Buffer)
    ] = Buffering()
    http2: Switch = False
    """Offer HTTP/2 to `https://` servers; they choose. `h2c://` servers are spoken to in nothing
    else."""
    tls: UpstreamTls = UpstreamTls()
    """How `https://` servers are verified."""

    @model_validator(mode="after")
    def _http2_where_it_can_be(self) -> Self:
        if self.http2 and all(server.url.scheme != "https" for server in self.servers):
            raise WrongValueError(
                "`http2` speaks of https:// servers, and there are none; "
                "for HTTP/2 without TLS write h2c:// instead of http://"
            )
        return self


def lone_server(address: ServerAddress) -> Upstream:
    """Return the upstream that an address given straight to `proxy:` stands for."""
    return Upstream.model_construct(servers=(Server.model_construct(url=address),))
