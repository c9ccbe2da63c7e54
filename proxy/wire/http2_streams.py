"""What is open of a stream, and how much may be sent and taken, on each and on all together."""

from proxy.wire.http2_events import Http2Error
from proxy.wire.http2_frames import DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, ErrorCode

TAKEN_WINDOW = 512 * 1024
"""Bytes that a client may send ahead once its body is being taken as it comes."""

INTAKE_WINDOW = 2 * 1024 * 1024
"""Bytes that a client may send ahead on all streams; the most that it can make us hold."""


class Stream:
    """One stream.

    Attributes:
        number: The stream's identifier.
        window: Bytes that may still be sent on it; less than 0 after its client took some back.
        reading: True until the client has ended its side.
        writing: True until we have ended ours; both are False on a stream that is gone.
        owed: Bytes of a body announced by Content-Length and not come yet; None if none was.
        left: Bytes that the client may still send.
        held: Bytes that came while the consumer wanted no more.
        paused: True while its consumer wants no more.
        switched: True when it carries another protocol's bytes (RFC 8441).
    """

    __slots__ = (
        "held",
        "left",
        "number",
        "owed",
        "paused",
        "reading",
        "switched",
        "window",
        "writing",
    )

    def __init__(self, number: int, window: int) -> None:
        self.number = number
        self.window = window
        self.reading = True
        self.writing = True
        self.owed: int | None = None
        self.left = DEFAULT_WINDOW
        self.held = 0
        self.paused = False
        self.switched = False

    def refill(self) -> int:
        """Return how many more bytes to let the client send now, and count them as let."""
        if self.paused or not self.reading or self.left > TAKEN_WINDOW // 2:
            return 0
        increment = TAKEN_WINDOW - self.left
        self.left = TAKEN_WINDOW
        return increment


class Intake:
    """The window of the connection: what the client may send on all streams together.

    What nobody takes is not let again, so that a client holds no more of our memory by many
    streams than by few; it is its own other bodies that wait then.
    """

    __slots__ = ("_held", "_left")

    def __init__(self) -> None:
        self._left = INTAKE_WINDOW
        self._held = 0

    @property
    def choked(self) -> bool:
        """True while the client can hardly send, because of what is held."""
        return self._left < DEFAULT_FRAME_SIZE

    def receive(self, size: int) -> None:
        """Count a frame's bytes.

        Raises:
            Http2Error: They were more than allowed.
        """
        self._left -= size
        if self._left < 0:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the connection's window")

    def hold(self, stream: Stream, size: int) -> None:
        """Bytes have come that its consumer did not want yet."""
        stream.held += size
        self._held += size

    def release(self, stream: Stream) -> None:
        """They were taken, or thrown away."""
        self._held -= stream.held
        stream.held = 0

    def refill(self) -> int:
        """Return how many more bytes to let the client send now, and count them as let."""
        most = INTAKE_WINDOW - self._held
        if self._left > most // 2 or self._left >= most:
            return 0
        increment = most - self._left
        self._left = most
        return increment
