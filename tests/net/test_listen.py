import errno
import os
import socket
from collections.abc import Iterator

import pytest

from proxy.net import listen
from proxy.net.listen import (
    ListenError,
    Listening,
    adopt,
    bind,
    explain_bind_failure,
    widen,
    written_address,
)
from proxy.routing.route import Endpoint

HERE = Endpoint("127.0.0.1", 0, tls=True)


@pytest.fixture
def opened() -> Iterator[list[Listening]]:
    found: list[Listening] = []
    yield found
    for each in found:
        each.close()


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def complain(what: str) -> None:
    raise AssertionError(what)


def test_every_slot_has_a_socket_of_its_own_on_one_port(opened: list[Listening]) -> None:
    group = bind(HERE, slots=3)
    opened.append(group)
    sockets = [group.for_slot(slot) for slot in range(3)]
    assert len({sock.fileno() for own in sockets for sock in own}) == 3
    assert len({port_of(sock) for own in sockets for sock in own}) == 1
    assert group.addresses() == (f"127.0.0.1:{port_of(sockets[0][0])}",)
    for own in sockets:
        for sock in own:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            assert not sock.getblocking()
            assert not sock.get_inheritable()


def test_connections_are_spread_over_the_slots_and_wait_there(opened: list[Listening]) -> None:
    group = bind(HERE, slots=2)
    opened.append(group)
    address = group.for_slot(0)[0].getsockname()
    clients = [socket.create_connection(address) for _ in range(64)]
    taken = []
    for slot in range(2):
        (sock,) = group.for_slot(slot)
        count = 0
        while True:
            try:
                sock.accept()[0].close()
            except BlockingIOError:
                break
            count += 1
        taken.append(count)
    for client in clients:
        client.close()
    assert sum(taken) == 64
    assert all(taken)


def test_no_host_means_both_families_on_one_port(opened: list[Listening]) -> None:
    group = bind(Endpoint("", 0, tls=False), slots=2)
    opened.append(group)
    four, six = group.for_slot(1)
    assert (four.family, six.family) == (socket.AF_INET, socket.AF_INET6)
    assert port_of(four) == port_of(six)
    assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    assert group.addresses() == (f"0.0.0.0:{port_of(four)}", f"[::]:{port_of(four)}")


def test_a_machine_without_ipv6_listens_on_ipv4(
    opened: list[Listening], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = listen._new_socket

    def without(family: socket.AddressFamily, *, shared: bool) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, shared=shared)

    monkeypatch.setattr(listen, "_new_socket", without)
    group = bind(Endpoint("", 0, tls=False), slots=1)
    opened.append(group)
    assert [sock.family for sock in group.for_slot(0)] == [socket.AF_INET]
    with pytest.raises(ListenError, match="not supported"):
        bind(Endpoint("::1", 0, tls=False), slots=1)


def test_a_port_taken_by_a_socket_that_shares_is_taken_all_the_same(
    opened: list[Listening],
) -> None:
    group = bind(HERE, slots=1)
    opened.append(group)
    port = port_of(group.for_slot(0)[0])
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number counts
    with pytest.raises(ListenError, match=rf"127.0.0.1:{port}: the port is taken by .*pid") as told:
        bind(Endpoint("127.0.0.1", port, tls=True), slots=1)
    assert "\n" not in str(told.value)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - only their number counts
    again = bind(Endpoint("127.0.0.1", port, tls=True), slots=1, own_ports=frozenset({port}))
    opened.append(again)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EACCES, "need root, CAP_NET_BIND_SERVICE"),
        (errno.EADDRNOTAVAIL, "this machine has no such address"),
        (errno.EADDRINUSE, "the port is taken by nginx"),
        (errno.ENOBUFS, "No buffer space"),
    ],
)
def test_failures_are_told_in_plain_words(number: int, text: str) -> None:
    error = OSError(number, os.strerror(number))
    assert text in explain_bind_failure(error, ":443", "nginx (pid 1)")


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ListenError, match="this machine has no such address"):
        bind(Endpoint("192.0.2.1", 0, tls=True), slots=1)


def test_more_slots_and_fewer(opened: list[Listening]) -> None:
    group = bind(HERE, slots=1)
    opened.append(group)
    (first,) = group.for_slot(0)
    widen(group, 3)
    assert len(group.slots) == 3
    assert {port_of(sock) for sock in group.sockets()} == {port_of(first)}
    assert group.for_slot(0) == (first,)
    widen(group, 2)
    assert len(group.slots) == 3
    gone = group.for_slot(2)[0]
    group.shrink(1)
    assert group.sockets() == (first,)
    assert gone.fileno() == -1


def handed_over(host: str = "127.0.0.1") -> tuple[int, int]:
    """A descriptor such as a service manager leaves, and its port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.create_server((host, 0), family=family)
    port = port_of(sock)
    return sock.detach(), port


def test_a_socket_is_adopted_by_the_endpoint_with_its_port(opened: list[Listening]) -> None:
    handle, port = handed_over()
    endpoints = [Endpoint("", 1, tls=False), Endpoint("", port, tls=True)]
    opened += adopt([(handle, "whatever")], endpoints, complain)
    (group,) = opened
    assert group.endpoint is endpoints[1]
    assert group.for_slot(0) == group.for_slot(7), "all workers share it"
    assert not group.for_slot(0)[0].getblocking()
    widen(group, 8)
    group.shrink(1)
    assert len(group.sockets()) == 1


def test_a_socket_is_adopted_by_name_where_no_port_fits(opened: list[Listening]) -> None:
    plain, _ = handed_over()
    secure, _ = handed_over("::1")
    endpoints = [Endpoint("", 1, tls=False), Endpoint("", 2, tls=True)]
    opened += adopt([(plain, "http"), (secure, "https")], endpoints, complain)
    assert [group.endpoint.tls for group in opened] == [False, True]


def test_the_address_decides_between_endpoints_on_one_port(opened: list[Listening]) -> None:
    handle, port = handed_over()
    endpoints = [Endpoint("192.0.2.1", port, tls=False), Endpoint("127.0.0.1", port, tls=True)]
    opened += adopt([(handle, "")], endpoints, complain)
    assert opened[0].endpoint is endpoints[1]


def test_what_fits_nothing_is_closed_and_told() -> None:
    stranger, _ = handed_over()
    not_listening = socket.socket().detach()
    no_socket, other = os.pipe()
    told: list[str] = []
    handed = [(stranger, "imap"), (not_listening, "http"), (no_socket, "https")]
    assert adopt(handed, [Endpoint("", 1, tls=False)], told.append) == []
    assert [line.split()[0] for line in told] == ["socket", "socket", "descriptor"]
    for handle in (stranger, not_listening):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(handle)
    os.close(no_socket)
    os.close(other)


def test_addresses_are_written_as_people_write_them() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as sock:
        assert written_address(sock) == f"[::1]:{port_of(sock)}"
