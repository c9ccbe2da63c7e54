"""A client of HTTP/2 whose every frame is the test's, and who reads what it is sent."""

from dataclasses import dataclass, field

from hpack import Decoder, Encoder

from proxy.wire import http2_frames as frames

GET = (
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "localhost"),
    (":path", "/"),
)


def asking(path: str = "/", method: str = "GET", **fields: str) -> list[tuple[str, str]]:
    """Return the fields of a request; underscores in names stand for hyphens."""
    pseudo = {**dict(GET), ":method": method, ":path": path}
    return [*pseudo.items(), *((name.replace("_", "-"), text) for name, text in fields.items())]


@dataclass
class Said:
    """A frame, as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def ended(self) -> bool:
        """True for the last frame of a side."""
        return bool(self.flags & frames.END_STREAM)

    @property
    def code(self) -> int:
        """The error code of RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[4:8] if self.kind == frames.GOAWAY else self.payload)


@dataclass
class Heard:
    """What came on one stream."""

    fields: dict[str, str] = field(default_factory=dict)
    interim: list[dict[str, str]] = field(default_factory=list)
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    reset: int | None = None


class Http2Peer:
    """Writes frames and reads them; keeps no rules of its own.

    Attributes:
        said: Every frame that was read, in order.
        streams: What came on each stream.
        goaway: The code of the last GOAWAY, or None.
    """

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._buffer = b""
        self.said: list[Said] = []
        self.streams: dict[int, Heard] = {}
        self.goaway: int | None = None

    # Writing.

    def hello(self, **settings: int) -> bytes:
        """Return the preface and SETTINGS, these named as in `http2_frames`."""
        values = {getattr(frames, name.upper()): value for name, value in settings.items()}
        return frames.PREFACE + frames.settings(values)

    def section(self, fields: list[tuple[str, str]]) -> bytes:
        """Return a field section."""
        return bytes(self._encoder.encode(fields))

    def request(
        self, stream: int, fields: list[tuple[str, str]] | None = None, *, end: bool = True
    ) -> bytes:
        """Return HEADERS."""
        wanted = list(GET) if fields is None else fields
        return frames.headers(stream, self.section(wanted), end=end)

    def data(self, stream: int, data: bytes = b"", *, end: bool = False) -> bytes:
        """Return DATA."""
        return frames.frame(frames.DATA, frames.END_STREAM if end else 0, stream, data)

    # Reading.

    def hear(self, data: bytes) -> "Http2Peer":
        """Take bytes; a frame that is not whole waits for its rest."""
        self._buffer += data
        while len(self._buffer) >= 9:
            length = int.from_bytes(self._buffer[:3])
            if len(self._buffer) < 9 + length:
                break
            kind, flags = self._buffer[3:5]
            stream = int.from_bytes(self._buffer[5:9])
            self._take(Said(kind, flags, stream, self._buffer[9 : 9 + length]))
            self._buffer = self._buffer[9 + length :]
        return self

    def _take(self, said: Said) -> None:
        self.said.append(said)
        if said.kind == frames.GOAWAY:
            self.goaway = said.code
        if not said.stream:
            return
        heard = self.streams.setdefault(said.stream, Heard())
        if said.kind == frames.HEADERS:
            assert said.flags & frames.END_HEADERS
            fields = {
                _text(name): _text(value) for name, value in self._decoder.decode(said.payload)
            }
            if fields.get(":status", "").startswith("1"):
                heard.interim.append(fields)
            elif not heard.fields:
                heard.fields = fields
            else:
                heard.trailers = fields
        elif said.kind == frames.DATA:
            heard.body += said.payload
        elif said.kind == frames.RST_STREAM:
            heard.reset = said.code
        if said.kind in (frames.HEADERS, frames.DATA) and said.ended:
            assert not heard.ended, "ended twice"
            heard.ended = True

    def kinds(self) -> list[int]:
        """Return the types of the frames that came."""
        return [said.kind for said in self.said]


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
