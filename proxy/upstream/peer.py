"""A peer: one address of one server, with everything a worker remembers about it."""

from collections import deque
from typing import Any

from proxy.message.authority import url_host
from proxy.upstream.plan import ServerPlan

Address = tuple[str, int] | str
"""Host address and port, or the path of a unix socket."""


def address_text(address: Address) -> str:
    """Return an address as people write it: "10.0.0.7:8000", "[::1]:8000", "/run/app.sock".

    Health verdicts are filed under this text by the keeper and found again by the workers.
    """
    if isinstance(address, str):
        return address
    host, port = address
    return f"{url_host(host)}:{port}"


class Peer:
    """One address of one server.

    `PeerGroup` makes peers and keeps their balancing and health state; whoever has the sockets
    keeps `active` and `idle`.

    Attributes:
        server: The server as configured.
        address: Where to connect to.
        label: For the log: the server's URL, with the address if its name has several.
        weight: The server's. A name with three addresses gives three peers of that weight.
        identity: Bytes that tell this peer from others in every worker and after every restart,
            for consistent hashing.
        active: Requests that are served now, in this worker.
        idle: Kept-alive connections, the one used last at the end.
        shared: Connections that carry many requests at once, idle or not.
        down: True while active health says so.
        out_until: Passive health: until then (monotonic seconds) nobody is sent here; 0.0 while in.
        on_trial: True from the first request after `out_until` to its outcome.
        failure_times: The last failures, `max_fails` at most.
        current_weight: What smooth round robin has owed this peer so far.
        gone: True once its address is not the server's any more: no new requests, and connections
            close instead of idling.
    """

    __slots__ = (
        "active",
        "address",
        "current_weight",
        "down",
        "failure_times",
        "gone",
        "identity",
        "idle",
        "label",
        "on_trial",
        "out_until",
        "server",
        "shared",
        "weight",
    )

    def __init__(self, server: ServerPlan, address: Address, max_fails: int) -> None:
        self.server = server
        self.address = address
        self.label = server.url
        self.weight = server.weight
        self.identity = f"{server.url} {address_text(address)}".encode()
        self.active = 0
        self.idle: list[Any] = []  # What a connection is, only the room with sockets knows.
        self.shared: list[Any] = []
        self.down = False
        self.out_until = 0.0
        self.on_trial = False
        self.failure_times: deque[float] = deque(maxlen=max_fails)
        self.current_weight = 0
        self.gone = False

    def __repr__(self) -> str:
        return f"<Peer {self.server.url} at {address_text(self.address)}>"
