"""What a route makes of the answers its handler gives: other fields, another content coding."""

from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.policy.part import Encode, Encoder, Shape


class Shaping:
    """The shapes and the encoding of one route, for the handlers in this room."""

    __slots__ = ("_encode", "_shapes")

    def __init__(self, shapes: tuple[Shape, ...], encode: Encode | None) -> None:
        self._shapes = shapes
        self._encode = encode

    def begin(self, exchange: Exchange, head: ResponseHead) -> tuple[ResponseHead, Encoder | None]:
        """Return the head to send, and the encoder for a body that comes in pieces.

        Raises:
            ProxyError: It is to be answered in place of the handler's answer.
        """
        for shape in self._shapes:
            head = shape(exchange, head)
        if self._encode is None:
            return head, None
        return self._encode(exchange, head)

    def whole(
        self, exchange: Exchange, head: ResponseHead, body: bytes
    ) -> tuple[ResponseHead, bytes]:
        """Return head and body of an answer that is all there.

        Raises:
            ProxyError: As above.
        """
        head, encoder = self.begin(exchange, head)
        if encoder is not None:
            body = encoder.encode(body) + encoder.finish()
            head.content_length = len(body)
        return head, body


def shaping(shapes: tuple[Shape, ...], encode: Encode | None) -> Shaping | None:
    """Return the shaping of a route, or None where it leaves answers as they are."""
    return Shaping(shapes, encode) if shapes or encode is not None else None
