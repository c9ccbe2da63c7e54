"""Exchanges as gates see them."""

from proxy.exchange.exchange import Exchange
from proxy.message.authority import split_authority
from proxy.message.target import normalise_path
from proxy.policy.part import Gate, Part
from tests.fakes.exchanges import looked_at


def asking(
    target: str, host: str = "site.example", method: str = "GET", scheme: str = "https"
) -> Exchange:
    exchange = looked_at(method=method)
    exchange.scheme = scheme
    head = exchange.head
    head.target = target
    head.path = normalise_path(target)
    head.authority = host
    head.host = split_authority(host)[0] if host else ""
    return exchange


def gate_of(part: Part) -> Gate:
    assert part.gate is not None
    return part.gate
