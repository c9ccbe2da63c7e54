import pytest

from proxy.upstream.peer import Address, Peer, address_text
from proxy.upstream.plan import ServerPlan

SERVER = ServerPlan("http://app:8000", "http", "app", 8000, weight=3)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("10.0.0.7", 8000), "10.0.0.7:8000"),
        (("::1", 80), "[::1]:80"),
        (("fe80::1%3", 80), "[fe80::1%3]:80"),
        ("/run/app.sock", "/run/app.sock"),
    ],
)
def test_addresses_as_people_write_them(address: Address, text: str) -> None:
    assert address_text(address) == text


def test_a_new_peer_is_in_and_idle() -> None:
    peer = Peer(SERVER, ("10.0.0.7", 8000), max_fails=3)
    assert (peer.label, peer.weight, peer.active, peer.idle) == ("http://app:8000", 3, 0, [])
    assert (peer.down, peer.gone, peer.on_trial, peer.out_until) == (False, False, False, 0.0)
    assert repr(peer) == "<Peer http://app:8000 at 10.0.0.7:8000>"


def test_the_identity_tells_addresses_and_servers_apart() -> None:
    other = ServerPlan("http://spare:8000", "http", "spare", 8000)
    peers = [
        Peer(server, (host, 8000), 3) for server in (SERVER, other) for host in ("10.0.0.7", "::7")
    ]
    assert len({peer.identity for peer in peers}) == 4
    assert peers[0].identity == Peer(SERVER, ("10.0.0.7", 8000), 3).identity
