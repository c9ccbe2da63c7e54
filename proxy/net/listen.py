"""Sockets that listen: bound once by the supervisor, or handed over by the service manager.

One SO_REUSEPORT socket for every worker slot and address: the kernel spreads connections evenly
over them, and none that is queued is lost when a worker goes, since the supervisor keeps them
open. One socket shared by all workers spreads badly; sockets that the workers open themselves
lose their queue at every reload.
"""

import errno
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proxy.message.authority import url_host
from proxy.net.port_owner import owner_of_port
from proxy.routing.route import Endpoint

BACKLOG = 4096
"""Connections the kernel may queue for each socket; net.core.somaxconn bounds it further."""

NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class ListenError(Exception):
    """An address that cannot be listened on. The text is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class ListenSocket:
    """A socket that listens.

    Attributes:
        sock: Bound and listening, not blocking.
        endpoint: What it was bound for.
    """

    sock: socket.socket
    endpoint: Endpoint


@dataclass(slots=True, eq=False)
class Listening:
    """An endpoint that is being listened on, for every worker slot.

    Attributes:
        slots: The sockets of each slot: one for each address family.
        adopted: True for sockets from the service manager, which all slots share.
    """

    endpoint: Endpoint
    slots: list[tuple[socket.socket, ...]] = field(default_factory=list)
    adopted: bool = False

    def for_slot(self, slot: int) -> tuple[socket.socket, ...]:
        """Return the sockets that the worker in `slot` accepts from."""
        return self.slots[0] if self.adopted else self.slots[slot]

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses as they were bound: "127.0.0.1:443", "[::]:443"."""
        return tuple(written_address(sock) for sock in self.slots[0])

    def sockets(self) -> tuple[socket.socket, ...]:
        """Return every socket."""
        return tuple(sock for group in self.slots for sock in group)

    def shrink(self, slots: int) -> None:
        """Close what slots beyond the first `slots` had."""
        if not self.adopted:
            for group in self.slots[slots:]:
                _close(group)
            del self.slots[slots:]

    def close(self) -> None:
        """Close every socket here; workers that inherited theirs close their own."""
        _close(self.sockets())


def written_address(sock: socket.socket) -> str:
    """Return the address a socket is bound to, as people write it."""
    host, port = sock.getsockname()[:2]
    return f"{url_host(host)}:{port}"


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _families(host: str) -> tuple[tuple[socket.AddressFamily, str], ...]:
    """Return the families to bind `host` in, with the address in each."""
    if not host:
        return ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))  # noqa: S104 - what ":443" means
    return ((socket.AF_INET6 if ":" in host else socket.AF_INET, host),)


def _new_socket(family: socket.AddressFamily, *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        # Each family has its own socket, so that IPv4 clients are not seen as ::ffff:a.b.c.d.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def explain_bind_failure(error: OSError, address: str, owner: str) -> str:
    """Return why an address cannot be listened on, in one sentence.

    Args:
        error: What bind or listen raised.
        address: As people write it.
        owner: Who listens there, "" if that cannot be told.
    """
    match error.errno:
        case errno.EADDRINUSE:
            return f"cannot listen on {address}: the port is taken by {owner or 'another program'}"
        case errno.EACCES | errno.EPERM:
            return (
                f"cannot listen on {address}: ports below 1024 need root, CAP_NET_BIND_SERVICE "
                "or the sysctl net.ipv4.ip_unprivileged_port_start"
            )
        case errno.EADDRNOTAVAIL:
            return f"cannot listen on {address}: this machine has no such address"
        case _:
            return f"cannot listen on {address}: {error.strerror or error}"


def _bind(family: socket.AddressFamily, host: str, port: int, *, shared: bool) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: It cannot.
    """
    sock = _new_socket(family, shared=shared)
    try:
        sock.bind((host, port))
        if shared:
            sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_slots(
    family: socket.AddressFamily, host: str, port: int, slots: int, *, probe: bool
) -> list[socket.socket]:
    """Return a socket for each slot, all on one port."""
    if probe and port:
        # With SO_REUSEPORT a second proxy of the same user would bind too, and each would get
        # half of the connections. A socket without it is refused wherever somebody listens.
        _bind(family, host, port, shared=False).close()
    made: list[socket.socket] = []
    try:
        for _ in range(slots):
            sock = _bind(family, host, port, shared=True)
            made.append(sock)
            port = sock.getsockname()[1]
    except OSError:
        _close(made)
        raise
    return made


def bind(endpoint: Endpoint, slots: int, own_ports: frozenset[int] = frozenset()) -> Listening:
    """Listen on an endpoint for every slot; "" as its host means IPv4, and IPv6 where there is any.

    Args:
        endpoint: Port 0 takes a free port.
        slots: How many workers there will be.
        own_ports: Ports on which this program listens already, where a second socket is no
            sign of another program.

    Raises:
        ListenError: It cannot be listened on.
    """
    port = endpoint.port
    columns: list[list[socket.socket]] = []
    for family, host in _families(endpoint.host):
        try:
            made = _bind_slots(family, host, port, slots, probe=port not in own_ports)
        except OSError as error:
            if family == socket.AF_INET6 and columns and error.errno in NO_IPV6:
                continue  # a machine, or a container, without IPv6
            for column in columns:
                _close(column)
            address = f"{url_host(host)}:{port}"
            raise ListenError(explain_bind_failure(error, address, owner_of_port(port))) from None
        columns.append(made)
        port = made[0].getsockname()[1]
    return Listening(endpoint, list(zip(*columns, strict=True)))


def widen(listening: Listening, slots: int) -> None:
    """Bind further sockets so that there are some for each of `slots` slots.

    Raises:
        ListenError: They cannot be bound; those that were there stay.
    """
    if listening.adopted or len(listening.slots) >= slots:
        return
    added: list[tuple[socket.socket, ...]] = []
    try:
        for _ in range(slots - len(listening.slots)):
            group = tuple(
                _bind(sock.family, *sock.getsockname()[:2], shared=True)
                for sock in listening.slots[0]
            )
            added.append(group)
    except OSError as error:
        for group in added:
            _close(group)
        address = listening.addresses()[0]
        raise ListenError(explain_bind_failure(error, address, "")) from None
    listening.slots.extend(added)


def adopt(
    handed: Sequence[tuple[int, str]],
    endpoints: Sequence[Endpoint],
    complain: Callable[[str], None],
) -> list[Listening]:
    """Return what the service manager's sockets serve; those that serve nothing are closed.

    A socket belongs to the endpoint whose port it is bound to, on the same address if several
    endpoints have that port; else the name it was given ("http" or "https") tells which.

    Args:
        handed: File descriptors and their names.
        endpoints: What the configuration listens on.
        complain: Is told of sockets that fit nothing.
    """
    found: dict[Endpoint, list[socket.socket]] = {}
    for descriptor, name in handed:
        try:
            sock = socket.socket(fileno=descriptor)
            endpoint = _endpoint_of(sock, name, endpoints)
        except OSError as error:
            complain(f"descriptor {descriptor} ({name}) is no socket: {error.strerror}")
            continue
        if endpoint is None:
            complain(f"socket {name or descriptor} fits no address of `listen`: closed")
            sock.close()
            continue
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - has no name for it
        sock.setblocking(False)  # noqa: FBT003 - has no name for it
        found.setdefault(endpoint, []).append(sock)
    return [
        Listening(endpoint, [tuple(sockets)], adopted=True) for endpoint, sockets in found.items()
    ]


def _endpoint_of(sock: socket.socket, name: str, endpoints: Sequence[Endpoint]) -> Endpoint | None:
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    host, port = sock.getsockname()[:2]
    same_port = [endpoint for endpoint in endpoints if endpoint.port == port]
    for endpoint in same_port:
        if endpoint.host in {host, ""}:
            return endpoint
    if same_port:
        return same_port[0] if len(same_port) == 1 else None
    named = [endpoint for endpoint in endpoints if name == ("https" if endpoint.tls else "http")]
    return named[0] if named else None
