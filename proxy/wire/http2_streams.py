"""One stream of an HTTP/2 connection: what is open of it, and how much may be sent and taken."""

from proxy.wire.http2_frames import DEFAULT_WINDOW

TAKEN_WINDOW = 512 * 1024
"""Bytes that a client may send ahead once its body is being taken as it comes."""


class Stream:
    """See the module's docstring.

    Attributes:
        number: The stream's identifier.
        window: Bytes that may still be sent on it; less than 0 after its client took some back.
        reading: True until the client has ended its side.
        writing: True until we have ended ours.
        owed: Bytes of a body announced by Content-Length and not come yet; None if none was.
        left: Bytes that the client may still send.
        paused: True while its consumer wants no more.
        switched: True when it carries another protocol's bytes (RFC 8441).
    """

    __slots__ = ("left", "number", "owed", "paused", "reading", "switched", "window", "writing")

    def __init__(self, number: int, window: int) -> None:
        self.number = number
        self.window = window
        self.reading = True
        self.writing = True
        self.owed: int | None = None
        self.left = DEFAULT_WINDOW
        self.paused = False
        self.switched = False

    def refill(self) -> int:
        """Return how many more bytes to let the client send now, and count them as let."""
        if self.paused or not self.reading or self.left > TAKEN_WINDOW // 2:
            return 0
        increment = TAKEN_WINDOW - self.left
        self.left = TAKEN_WINDOW
        return increment
