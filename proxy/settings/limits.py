"""Models of bounds: what clients may use, and how often they may ask."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from proxy.settings import fields
from proxy.settings.fields import Count, CountOrNone, Duration, Size, SizeOrOff, Switch, Table
from proxy.settings.names import given_name
from proxy.settings.problem import WrongValueError
from proxy.settings.switched import OFF, says_off
from proxy.settings.upstreams import RequestKey, request_key

_LIMIT_KEYS = ("client_ip", "host", "global")


def _limit_key(value: object) -> RequestKey:
    return request_key(value, _LIMIT_KEYS)


def limit_name(value: object) -> str:
    """Return the name of a rate limit.

    Raises:
        WrongValueError: It is none, or `rate_limit:` would take it for something else.
    """
    if says_off(value):
        raise WrongValueError("`rate_limit: off` means no limit: choose another name")
    return given_name(value)


def _limit_names(value: object) -> object:
    """Return names of rate limits, none for off: it takes away what a site says."""
    if says_off(value):
        return ()
    if value is None or value in ([], ()):
        raise WrongValueError("expected the name of a rate limit, a list of them, or off")
    if isinstance(value, dict):
        raise WrongValueError(
            "expected the name of a rate limit, found a table: that stands in the file's "
            "`rate_limits`, under a name"
        )
    return fields.as_list(value)


class Timeouts(Table):
    """How long the proxy waits for a client."""

    tls_handshake: Duration = 10.0
    request_header: Duration = 10.0
    """From the first byte of a request to the end of its head."""
    body_idle: Duration = 60.0
    """Between two pieces of a request's body."""
    keep_alive: Duration = 75.0
    """Between two requests on one connection."""
    write_idle: Duration = 60.0
    """While a client takes nothing of its answer."""


class Limits(Table):
    """Bounds on what clients may use."""

    connections: Count = 10000
    connections_per_ip: CountOrNone = 200
    websockets: CountOrNone = 10000
    """503 beyond."""
    websockets_per_ip: CountOrNone = 200
    """429 beyond."""
    header_size: Size = 32 * 1024
    """All header fields of a request together: 431 beyond."""
    headers: Count = 100
    """Header fields of a request: 431 beyond."""
    target: Size = 8 * 1024
    """The request target: 414 beyond."""
    body: SizeOrOff = 100 * 1024 * 1024
    """A request's body: 413 beyond; off for no limit."""


class RateLimit(Table):
    """A token bucket for each key."""

    rate: fields.RequestRate
    """How fast a bucket fills: 5/minute is one request every 12 s."""
    burst: CountOrNone = 0
    """How many requests beyond the rate may come at once."""
    delay: Switch = False
    """Whether those of the burst wait for their turn, or pass at once."""
    key: Annotated[RequestKey, *fields.word(_limit_key, "client_ip, header:NAME, …")] = RequestKey(
        "client_ip"
    )
    """client_ip (IPv6 by /64), header:NAME, cookie:NAME, host or global."""
    status: Annotated[int, *fields.integer(400, 599)] = 429
    """Of the answer to a request too many."""
    dry_run: Switch = False
    """Only log what would be refused."""
    exempt: Annotated[
        tuple[fields.Network, ...],
        BeforeValidator(
            fields.as_switched_list, json_schema_input_type=str | list[str] | fields.OffWord
        ),
    ] = ()
    """Clients that are not counted."""


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


LimitNames = Annotated[
    tuple[fields.Words, ...],
    AfterValidator(_once),
    PlainSerializer(lambda names: list(names) or OFF),
    BeforeValidator(_limit_names, json_schema_input_type=str | list[str] | fields.OffWord),
]
"""Names of rate limits, all of which must admit a request; empty for off."""
