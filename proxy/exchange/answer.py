"""An answer the proxy gives by itself: a redirect, a fixed answer, an error page."""

from proxy.message.head import ResponseHead


class Answer:
    """A whole answer, ready to be sent through any version of HTTP.

    Attributes:
        head: Its head; `content_length` is set.
        body: Its body, b"" for none.
        close: True when the client's connection must not serve another request.
    """

    __slots__ = ("body", "close", "head")

    def __init__(self, head: ResponseHead, body: bytes = b"", *, close: bool = False) -> None:
        self.head = head
        self.body = body
        self.close = close
