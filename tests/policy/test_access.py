import ipaddress

import pytest

from proxy.errors import Fault, ProxyError
from proxy.message.networks import NetworkSet
from proxy.policy.access import access
from proxy.policy.part import Gate
from tests.fakes.exchanges import looked_at
from tests.policy.asking import gate_of


def gate_for(networks: str) -> Gate:
    return gate_of(access(NetworkSet([ipaddress.ip_network(networks)])))


def test_the_answer_tells_nothing_of_the_rules() -> None:
    gate = gate_for("10.0.0.0/8")
    assert gate(looked_at("10.1.2.3")) is None
    with pytest.raises(ProxyError) as raised:
        gate(looked_at("192.0.2.1"))
    error = raised.value
    assert (error.status, error.fault, error.public, error.fields) == (403, Fault.CLIENT, "", b"")
    assert "192.0.2.1" in error.detail


def test_the_address_is_the_one_that_is_believed() -> None:
    gate = gate_for("10.0.0.0/8")
    exchange = looked_at("10.1.2.3")
    exchange.address = "192.0.2.1"
    with pytest.raises(ProxyError):
        gate(exchange)
    exchange = looked_at("192.0.2.1")
    exchange.address = "10.1.2.3"
    assert gate(exchange) is None
