"""What a pool of servers is to be, as the configuration says it: frozen, made at load.

Two pools with equal plans are the same pool: a reload keeps its connections and its health.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """One server of an upstream.

    Attributes:
        url: As written, for the log: "http://app1:8000", "https://…", "unix:/run/app.sock".
        scheme: "http", "https", or "h2c": HTTP/2 without TLS and without asking.
        host: Name or address; "" for a unix socket.
        port: 0 for a unix socket.
        unix_path: "" unless the server is a unix socket.
        weight: A positive share.
        backup: Used only while no other server can be.
    """

    url: str
    scheme: str
    host: str
    port: int
    unix_path: str = ""
    weight: int = 1
    backup: bool = False


@dataclass(frozen=True, slots=True)
class HealthPlan:
    """Active health: how a server is asked and how many answers in a row change the verdict.

    Attributes:
        path: Asked for with GET.
        interval: From one question to the next.
        timeout: For the whole of a probe, connecting included.
        rise, fall: Good answers that bring a server back, bad ones that take it out.
        expect: The status of a good answer.
        host: The Host field; "" for the server's own.
    """

    path: str
    interval: float
    timeout: float
    rise: int
    fall: int
    expect: int
    host: str = ""


@dataclass(frozen=True, slots=True)
class TlsClientPlan:
    """How an https upstream is verified.

    Attributes:
        verify: Check the chain and the name.
        ca_pem: Certificates of the authorities to believe, in PEM; "" for the system's.
        server_name: Sent as SNI and looked for in the certificate; "" means the server's host.
    """

    verify: bool = True
    ca_pem: str = field(default="", repr=False)
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """An upstream: its servers and every rule about them. Times in seconds.

    Attributes:
        balance: round_robin, least_connections, random_two, ip_hash or hash.
        hash_kind: With hash: "header" or "cookie"; `hash_name` is its name.
        max_fails: Failures within `fail_timeout` that take a server out for as long; 0 never does.
        retries: Further tries on another server, where nothing of the answer was sent and the
            request may be repeated.
        keep_alive_connections: Idle connections kept, for each worker and server.
        hold: While every server refuses, a request waits this long before it gets 503.
        max_connections: To one address of a server, in all workers together; further requests
            queue. Where a connection carries many requests it is these that count.
        http2: Offer HTTP/2 to https servers; h2c ones are spoken to in nothing else.
        request_buffering, response_buffering: "auto", "on" or "off".
    """

    name: str
    servers: tuple[ServerPlan, ...]
    balance: str = "round_robin"
    hash_kind: str = ""
    hash_name: str = ""
    health: HealthPlan | None = None
    max_fails: int = 3
    fail_timeout: float = 10.0
    retries: int = 1
    keep_alive_connections: int = 64
    keep_alive_idle: float = 60.0
    hold: float = 10.0
    connect_timeout: float = 5.0
    response_timeout: float = 60.0
    idle_timeout: float = 60.0
    max_connections: int = 200
    queue_timeout: float = 10.0
    request_buffering: str = "auto"
    response_buffering: str = "auto"
    http2: bool = False
    tls: TlsClientPlan = field(default_factory=TlsClientPlan)
