"""What a configuration's sites and routes become at load: tuples of callables and ready bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.exchange.error_pages import NO_PAGES, ErrorPages
from proxy.exchange.exchange import Exchange
from proxy.files.plan import FilesPlan
from proxy.message.edit import NO_EDIT, FieldEdit
from proxy.policy.part import Encode, Gate, Part, Shape


@dataclass(frozen=True, slots=True)
class ProxyPlan:
    """A hop to an upstream.

    Attributes:
        pool: Name of the PoolPlan in the Program.
        request_edit: Fields taken from and added to what is forwarded, forwarding fields included.
        host: Host field to send instead of the client's, "" to send that one.
        strip: Prefix taken off the target, "" for none: "/api" turns /api/x into /x.
        forwarded: True to send the standard `Forwarded` field as well (RFC 7239).
        connect_timeout, response_timeout, idle_timeout: Seconds. The pool's unless the route says.
        websocket_idle: Seconds without a byte in either direction that end an upgraded connection.
        websocket_ping: Seconds of an end's silence after which it is sent a ping; 0 for never.
        websocket_max_message: Payload bytes of a message, as they are on the wire; 0 for no limit.
    """

    pool: str
    request_edit: FieldEdit = NO_EDIT
    host: str = ""
    strip: str = ""
    forwarded: bool = False
    connect_timeout: float = 5.0
    response_timeout: float = 60.0
    idle_timeout: float = 60.0
    websocket_idle: float = 3600.0
    websocket_ping: float = 0.0
    websocket_max_message: int = 0


@dataclass(slots=True, eq=False)
class Route:
    """One route, ready to serve. Frozen after load, but for `serve`.

    Attributes:
        label: For the log and `pyproxy check`: the path as written, with its methods if any.
        parts: What its gates, edits and shapes were taken from, in their order. Routes that are
            alike share them for as long as they are held here.
        action: What it does, in words for `pyproxy check`: "proxy django", "respond 204".
        methods: The methods it takes, or None for all.
        headers: Lower-case name and value that the request must carry, all of them.
        gates: Run in the order of `policy.order`; the first answer wins.
        proxy: The hop, or None where files are served, or a gate always answers.
        files: What is served from disk, or None.
        edit, edit_plain: Response header edits over https and over http (RFC 6797, 7.2: no
            Strict-Transport-Security over http).
        body_limit: Bytes; 0 for none.
        shapes: Applied one after the other to the head that the handler answers with.
        encode: Decides then whether the body is encoded; None where nothing ever is.
        error_pages: For errors of its requests.
        serve: Takes an exchange that passed the gates. Filled in by `net` when the program goes
            live in a worker.
    """

    label: str
    methods: frozenset[str] | None = None
    headers: tuple[tuple[str, str], ...] = ()
    gates: tuple[Gate, ...] = ()
    proxy: ProxyPlan | None = None
    files: FilesPlan | None = None
    edit: FieldEdit = NO_EDIT
    edit_plain: FieldEdit = NO_EDIT
    body_limit: int = 0
    shapes: tuple[Shape, ...] = ()
    encode: Encode | None = None
    error_pages: ErrorPages = NO_PAGES
    parts: tuple[Part, ...] = ()
    action: str = ""
    serve: Callable[[Exchange], None] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what clients may use. Counts and bytes; see `docs/configuration.md`."""

    connections: int = 10000
    connections_per_ip: int = 200
    header_size: int = 32 * 1024
    headers: int = 100
    target: int = 8 * 1024
    websockets: int = 10000
    websockets_per_ip: int = 200


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Client-side times in seconds; `min_rate` in bytes a second."""

    tls_handshake: float = 10.0
    request_header: float = 10.0
    body_idle: float = 60.0
    keep_alive: float = 75.0
    write_idle: float = 60.0
    min_rate: float = 500.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address to listen on. `host` "" means every address of IPv4 and IPv6."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class TlsSite:
    """Certificate and key, as PEM bytes, for the names of one site.

    Attributes:
        names: Host names, wildcards and addresses.
        default: True for the site that also serves clients that name nobody.
        pairs: (chain PEM, key PEM), more than one to offer several key types.
    """

    names: tuple[str, ...]
    pairs: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    default: bool = False


@dataclass(frozen=True, slots=True)
class TlsPlan:
    """What TLS offers."""

    min_version: str = "1.2"
    ciphers: tuple[str, ...] = ()
    sites: tuple[TlsSite, ...] = ()
    http2: bool = True


@dataclass(frozen=True, slots=True)
class LogPlan:
    """Where logs go ("stdout", "stderr", "off" or a path) and how they look."""

    access_to: str = "stdout"
    access_format: str = "combined"
    error_to: str = "stderr"
    error_level: str = "info"
