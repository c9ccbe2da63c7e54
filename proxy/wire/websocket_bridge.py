"""WebSockets asked for over HTTP/2, bridged to an upgrade over HTTP/1.1 (RFC 8441, RFC 6455, 4).

An extended CONNECT becomes the head of a GET that asks for an upgrade, with a key of the proxy's
own; the 101 that comes back becomes the 200 that opens the stream.
"""

from wsproto.utilities import generate_accept_token, generate_nonce

from proxy.errors import BadResponseError
from proxy.message.edit import FieldEdit
from proxy.message.fields import field_values
from proxy.message.head import RequestHead, ResponseHead

_KEYLESS = FieldEdit(["sec-websocket-key"])  # RFC 8441, 5: neither is used over HTTP/2
_ACCEPTLESS = FieldEdit(["sec-websocket-accept"])


def upgrading(head: RequestHead) -> None:
    """Make a head that an extended CONNECT was read into, as a GET, the head of an upgrade.

    Its key is not in it, for a head may be remembered and a key must not.
    """
    head.block = _KEYLESS.apply(head.block)
    head.upgrade = "websocket"


def key_field() -> bytes:
    """Return what to add to one request's fields: a key that nobody had before."""
    return b"Sec-WebSocket-Key: %b\r\n" % generate_nonce()


def opening(added: bytes, head: ResponseHead) -> ResponseHead:
    """Return the head of the 200 for the client, from the 101 of the upstream.

    Args:
        added: The fields that were added to the request, the key among them.
        head: The upstream's answer.

    Raises:
        BadResponseError: The upstream does not speak WebSocket: it did not accept this very key.
    """
    keys = field_values(added, "sec-websocket-key")
    accepted = field_values(head.block, "sec-websocket-accept")
    if len(keys) != 1 or accepted != [generate_accept_token(keys[0].encode()).decode()]:
        raise BadResponseError("101 with a wrong Sec-WebSocket-Accept")
    opened = ResponseHead(200, "", _ACCEPTLESS.apply(head.block))
    opened.dated = head.dated
    return opened
