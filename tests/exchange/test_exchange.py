from proxy.exchange.exchange import Client, Exchange
from proxy.exchange.phases import Phase
from proxy.message.edit import NO_EDIT
from proxy.message.forwarding import Forwardable, believe
from proxy.message.head import RequestHead
from proxy.message.networks import NetworkSet
from tests.fakes.exchanges import looked_at


def test_until_a_trusted_proxy_says_otherwise_the_peer_is_the_client() -> None:
    exchange = looked_at("192.0.2.1")
    assert exchange.address == exchange.client.peer == "192.0.2.1"
    assert (exchange.scheme, exchange.port) == ("https", 443)
    assert not exchange.client.trusted


def test_a_new_exchange_has_got_nowhere() -> None:
    exchange = looked_at()
    assert (exchange.phase, exchange.status, exchange.tries) == (Phase.HEAD, 0, 0)
    assert (exchange.received, exchange.sent, exchange.body_limit) == (0, 0, 0)
    assert exchange.connect_time < 0
    assert exchange.response_time < 0
    assert exchange.consumer is None
    assert exchange.error is None
    assert exchange.edit is NO_EDIT
    assert (exchange.site, exchange.route, exchange.upstream) == ("", "", "")


def test_forwarding_rules_work_on_an_exchange() -> None:
    exchange = looked_at("10.0.0.1")
    exchange.client.trusted = True
    exchange.head.forwarding = b"X-Forwarded-For: 203.0.113.7\r\n"
    as_seen_by_message: Forwardable = exchange
    believe(as_seen_by_message, NetworkSet([]))
    assert exchange.address == "203.0.113.7"
    assert exchange.client.peer == "10.0.0.1"


def test_phases_are_in_the_order_of_a_request() -> None:
    assert list(Phase) == sorted(Phase)
    assert Phase.HEAD < Phase.ROUTED < Phase.QUEUED < Phase.SENT < Phase.ANSWERED
    assert max(Phase) is Phase.FINISHED


def test_exchanges_of_one_connection_share_its_client() -> None:
    client = Client("192.0.2.1", 50000, 443, "https")
    stream = looked_at().stream
    pair = [Exchange(stream, client, RequestHead("GET", "/", "HTTP/1.1"), 1.0) for _ in range(2)]
    pair[0].address = "203.0.113.7"
    assert pair[0].client is pair[1].client
    assert pair[1].address == "192.0.2.1"
