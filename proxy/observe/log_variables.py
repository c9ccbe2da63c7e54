"""The variables of a log format: nginx's names, and our own for what nginx does not have.

Every variable is a function of an exchange, its duration in seconds and the stamp of its time. It
returns "" for what there is not. Times are in seconds. Two differ from nginx: $upstream_addr is
the server's URL, and $upstream_response_time ends with the head of the answer, as does
$upstream_header_time.
"""

import difflib
from collections.abc import Callable

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.exchange.phases import Phase
from proxy.message.head import RequestHead
from proxy.observe.log_fields import field_finder
from proxy.observe.log_time import ISO, LOCAL

Variable = Callable[[Exchange, float, str], str]

PHASE_NAMES = tuple(phase.name.lower() for phase in Phase)

MASK = "***"

_SECRET_FIELDS = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "x-auth-token"}
)
# Fields that speak of a connection, not of a request; heads do not keep them.
_HOP_FIELDS = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"}
)


class FormatError(ValueError):
    """A log format that cannot be."""


class UnknownVariableError(FormatError):
    """A format asks for a variable that there is not.

    Attributes:
        name: The variable, without its dollar sign.
        suggestion: What was probably meant, or "".
    """

    def __init__(self, name: str, suggestion: str, reason: str = "") -> None:
        self.name = name
        self.suggestion = suggestion
        hint = f"; did you mean ${suggestion}?" if suggestion else ""
        super().__init__(f"unknown variable ${name}{reason}{hint}")


def request_line(head: RequestHead) -> str:
    """Return the first line of a request, or "" where none could be read."""
    return f"{head.method} {head.target} {head.version}" if head.method else ""


def error_text(error: Exception | None) -> str:
    """Return what the log says of an exchange's error, or ""."""
    if error is None:
        return ""
    if isinstance(error, ProxyError):
        return error.detail
    return f"{type(error).__name__}: {error}"


def user_text(user: str) -> str:
    """Return a user's name as one word: with a space in it, it could pass for further fields."""
    return user.replace(" ", "%20") if " " in user else user


def masked_address(address: str) -> str:
    """Return an address that names no person: an IPv4 network of 256, an IPv6 /48."""
    if ":" not in address:
        network, dot, _ = address.rpartition(".")
        return f"{network}.0" if dot else address
    if "." in address:  # ::ffff:192.0.2.1
        return f"{address.rpartition('.')[0]}.0"
    if address.startswith("unix:"):
        return address
    groups = address.partition("::")[0].split(":")[:3]
    return f"{':'.join(groups)}::"


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value >= 0.0 else ""


_content_type = field_finder("Content-Type")

VARIABLES: dict[str, Variable] = {
    "remote_addr": lambda x, _d, _t: x.address,
    "remote_addr_masked": lambda x, _d, _t: masked_address(x.address),
    "remote_port": lambda x, _d, _t: str(x.client.port),
    # Unlike nginx's, a name that was proven: what a client merely claims is not told.
    "remote_user": lambda x, _d, _t: user_text(x.user),
    "realip_remote_addr": lambda x, _d, _t: x.client.peer,
    "time_local": lambda _x, _d, stamp: stamp[LOCAL],
    "time_iso8601": lambda _x, _d, stamp: stamp[ISO],
    "request": lambda x, _d, _t: request_line(x.head),
    "request_method": lambda x, _d, _t: x.head.method,
    "request_uri": lambda x, _d, _t: x.head.target,
    "uri": lambda x, _d, _t: x.head.path,
    "args": lambda x, _d, _t: x.head.target.partition("?")[2],
    "query_string": lambda x, _d, _t: x.head.target.partition("?")[2],
    "server_protocol": lambda x, _d, _t: x.head.version,
    "scheme": lambda x, _d, _t: x.scheme,
    "host": lambda x, _d, _t: x.head.host,
    "server_name": lambda x, _d, _t: x.site,
    "server_port": lambda x, _d, _t: str(x.client.local_port),
    "request_id": lambda x, _d, _t: x.request_id,
    "request_time": lambda _x, duration, _t: f"{duration:.3f}",
    "status": lambda x, _d, _t: f"{x.status:03d}",
    "body_bytes_sent": lambda x, _d, _t: str(x.sent),
    "body_bytes_received": lambda x, _d, _t: str(x.received),
    "upstream_addr": lambda x, _d, _t: x.upstream,
    "upstream_connect_time": lambda x, _d, _t: _seconds(x.connect_time),
    "upstream_header_time": lambda x, _d, _t: _seconds(x.response_time),
    "upstream_response_time": lambda x, _d, _t: _seconds(x.response_time),
    "upstream_tries": lambda x, _d, _t: str(x.tries),
    "ssl_protocol": lambda x, _d, _t: x.client.tls_version,
    "ssl_cipher": lambda x, _d, _t: x.client.tls_cipher,
    "ssl_server_name": lambda x, _d, _t: x.client.server_name,
    "limit_req_status": lambda x, _d, _t: x.limited,
    "site": lambda x, _d, _t: x.site,
    "route": lambda x, _d, _t: x.route,
    "phase": lambda x, _d, _t: PHASE_NAMES[x.phase],
    "error": lambda x, _d, _t: error_text(x.error),
    "http_host": lambda x, _d, _t: x.head.authority,
    "http_upgrade": lambda x, _d, _t: x.head.upgrade,
    "http_expect": lambda x, _d, _t: "100-continue" if x.head.expect_continue else "",
    "http_content_length": lambda x, _d, _t: _length(x.head),
    "content_length": lambda x, _d, _t: _length(x.head),
    "content_type": lambda x, _d, _t: _content_type(x.head.block),
}


def variable(name: str) -> Variable:
    """Return a variable by its name without the dollar sign.

    `http_NAME` is a field of the request: $http_x_forwarded_for. Of fields that hold credentials
    only their presence is told.

    Raises:
        UnknownVariableError: There is no such variable.
    """
    known = VARIABLES.get(name)
    if known is not None:
        return known
    if name.startswith("http_") and len(name) > len("http_"):
        return _request_field(name)
    near = difflib.get_close_matches(name, [*VARIABLES, "http_referer", "http_user_agent"], n=1)
    raise UnknownVariableError(name, near[0] if near else "")


def _request_field(name: str) -> Variable:
    field = name.removeprefix("http_").replace("_", "-").lower()
    if field in _HOP_FIELDS:
        raise UnknownVariableError(name, "", " (a field of the connection, not of the request)")
    find = field_finder(field)
    if field in _SECRET_FIELDS:
        return lambda x, _d, _t: MASK if find(x.head.block) or find(x.head.forwarding) else ""
    return lambda x, _d, _t: find(x.head.block) or find(x.head.forwarding)


def _length(head: RequestHead) -> str:
    return "" if head.content_length is None else str(head.content_length)
