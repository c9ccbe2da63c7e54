"""Exchanges for what only looks at a request."""

from typing import cast

from proxy.exchange.exchange import Client, ClientStream, Exchange
from proxy.message.head import RequestHead


def looked_at(address: str = "192.0.2.1", block: bytes = b"", method: str = "GET") -> Exchange:
    """An exchange of a request from `address` with the fields of `block`.

    It has no stream: whoever sends anything has done more than look.
    """
    head = RequestHead(method, "/", "HTTP/1.1")
    head.block = block
    client = Client(address, 50000, 443, "https")
    return Exchange(cast("ClientStream", None), client, head, 0.0)
