"""The record of one request, and the two faces that meet in it.

An `Exchange` is the one thing that gates, handlers and the log share. It knows nothing of sockets:
`stream` is where an answer goes (a whole HTTP/1.1 connection, or one stream of an HTTP/2 one), and
`consumer` is who takes the request's body and hears of the client's fate (a proxy hop, a tunnel).
"""

from typing import Protocol

from proxy.exchange.answer import Answer
from proxy.exchange.phases import Phase
from proxy.message.edit import NO_EDIT
from proxy.message.head import RequestHead, ResponseHead


class Client:
    """Who is at the other end of a client connection. One object a connection.

    Attributes:
        peer: Address of the TCP peer (or what PROXY protocol said of it).
        port: Its port.
        local_address, local_port: Where it came in.
        scheme: "https" or "http".
        trusted: True when the peer is a trusted proxy, whose forwarding fields are believed.
        unnamed: True when a trusted peer's PROXY protocol named nobody: it speaks for itself, so
            what forwarding fields say is not its word.
        told: Where a handler keeps the forwarding fields it made for this client.
        tls_version, tls_cipher, server_name: What the handshake agreed on; "" without TLS.
    """

    __slots__ = (
        "local_address",
        "local_port",
        "peer",
        "port",
        "scheme",
        "server_name",
        "tls_cipher",
        "tls_version",
        "told",
        "trusted",
        "unnamed",
    )

    def __init__(self, peer: str, port: int, local_port: int, scheme: str) -> None:
        self.peer = peer
        self.port = port
        self.local_address = ""
        self.local_port = local_port
        self.scheme = scheme
        self.trusted = False
        self.unnamed = False
        self.told: tuple[str, bool, bytes] | None = None
        self.tls_version = ""
        self.tls_cipher = ""
        self.server_name = ""


class ClientStream(Protocol):
    """Where an exchange's answer goes. All calls return at once; nothing is awaited.

    Exactly one of these ends the answer: `send_answer`, `send_whole`, `end` or `abort`. What
    `send_interim`, `send_head` and `send_body` are given may wait for a `flush`, so that what one
    turn of the loop produces goes out in one piece. What is said for an exchange that has ended
    already is ignored.
    """

    def send_answer(self, exchange: "Exchange", answer: Answer) -> None:
        """Send a whole answer of the proxy's own."""

    def send_interim(self, exchange: "Exchange", head: ResponseHead) -> None:
        """Pass a 1xx head on (not 101)."""

    def send_head(self, exchange: "Exchange", head: ResponseHead) -> None:
        """Begin the answer: decide its framing, merge the route's header block, send."""

    def send_whole(self, exchange: "Exchange", head: ResponseHead, body: bytes) -> None:
        """Send head and complete body in one go, and end. Not for answers that have no body."""

    def send_body(self, exchange: "Exchange", data: bytes) -> None:
        """Send a piece of the body. Stop when `Consumer.client_full` says so."""

    def end(self, exchange: "Exchange", trailers: bytes) -> None:
        """End the answer; `trailers` is a field block, b"" for none."""

    def flush(self) -> None:
        """Put on the wire what waits."""

    def abort(self, exchange: "Exchange") -> None:
        """Cut the answer short so that the client sees that it is not whole."""

    def switch(self, exchange: "Exchange", head: ResponseHead) -> None:
        """Send 101 (or its like) and hand all further bytes to the consumer as they come."""

    def pause_body(self, exchange: "Exchange") -> None:
        """Stop delivering the request's body."""

    def resume_body(self, exchange: "Exchange") -> None:
        """Go on delivering it."""


class Consumer(Protocol):
    """Who serves an exchange and takes what comes from the client.

    It is set before the handler returns, or the exchange has been answered by then: what comes of
    a body while there is no consumer is thrown away.
    """

    def body_received(self, data: bytes) -> None:
        """Take a piece of the request's body."""

    def body_ended(self, trailers: bytes) -> None:
        """The request's body is whole; `trailers` is a field block."""

    def client_full(self) -> None:
        """The client reads more slowly than it is sent to: stop sending."""

    def client_ready(self) -> None:
        """The client has caught up: go on."""

    def client_gone(self) -> None:
        """The client went away or broke a rule: stop all work for it. No answer can be sent."""


class Exchange:
    """One request and what became of it.

    Attributes:
        client: The connection it came by.
        address: The client's address as trusted proxies tell it; else the peer's.
        scheme, port: As trusted proxies tell them; else the connection's.
        request_id: 32 hex digits of ours, or what a trusted proxy sent.
        started: Monotonic seconds at the head's end.
        upstream: URL of the server that answered (or was tried last), "" for none.
        connect_time, response_time: Seconds to a connection and to the answer's head; -1.0 unknown.
        received, sent: Body bytes from and to the client.
        status: Of the answer; 0 while there is none, 499 when the client left before it.
        error: What went wrong, if anything.
        site, route: Their names, for the log; "" while not found.
        edit: What the answer's head gets and loses: the route's response headers, made at load.
        body_limit: Most bytes a request body may have here; 0 for no limit.
        plan: Where the handler keeps what it worked out for the request's head.
        added: Fields that gates add to what is forwarded, as a field block.
        user: Whom a gate knows the client as, for the log; "" for nobody.
        limited: What rate limits said, for the log: "" where none is on the route.
    """

    __slots__ = (
        "added",
        "address",
        "body_limit",
        "client",
        "connect_time",
        "consumer",
        "edit",
        "error",
        "head",
        "limited",
        "phase",
        "plan",
        "port",
        "received",
        "request_id",
        "response_time",
        "route",
        "scheme",
        "sent",
        "site",
        "started",
        "status",
        "stream",
        "tries",
        "upstream",
        "user",
    )

    def __init__(
        self, stream: ClientStream, client: Client, head: RequestHead, started: float
    ) -> None:
        self.stream = stream
        self.client = client
        self.head = head
        self.started = started
        self.address = client.peer
        self.scheme = client.scheme
        self.port = client.local_port
        self.request_id = ""
        self.phase = Phase.HEAD
        self.consumer: Consumer | None = None
        self.upstream = ""
        self.connect_time = -1.0
        self.response_time = -1.0
        self.received = 0
        self.sent = 0
        self.status = 0
        self.tries = 0
        self.error: Exception | None = None
        self.site = ""
        self.route = ""
        self.edit = NO_EDIT
        self.body_limit = 0
        self.plan: object = None
        self.added = b""
        self.user = ""
        self.limited = ""
