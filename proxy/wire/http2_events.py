"""What the HTTP/2 machine tells of a client's bytes."""

from typing import NamedTuple

from proxy.errors import BadRequestError
from proxy.message.head import RequestHead
from proxy.wire.http2_frames import ErrorCode


class RequestBegan(NamedTuple):
    """A request's head. `ended`: no body follows."""

    stream: int
    head: RequestHead
    ended: bool


class RequestRefused(NamedTuple):
    """A request that is well-formed and must not be served; its stream waits for an answer."""

    stream: int
    error: BadRequestError


class BodyReceived(NamedTuple):
    """What one read brought of a request's body: a client may send it in very small pieces."""

    stream: int
    pieces: list[bytes]


class BodyEnded(NamedTuple):
    """A request's body is whole; `trailers` is a field block."""

    stream: int
    trailers: bytes


class StreamLost(NamedTuple):
    """A stream is gone before its end: the client gave it up, or broke a rule on it."""

    stream: int
    code: int


class WindowGrew(NamedTuple):
    """More may be sent, on some stream or on all. Told once for all that one read brought."""


class ClientLeaves(NamedTuple):
    """The client opens no further streams."""

    code: int


Event = (
    RequestBegan
    | RequestRefused
    | BodyReceived
    | BodyEnded
    | StreamLost
    | WindowGrew
    | ClientLeaves
)


class Http2Error(Exception):
    """The connection cannot go on; the code is told to the client, the text to the log."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
