"""A client that speaks HTTP/2 frame by frame, by the h2 library."""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.events

from tests.journeys.clients.asking import trusting
from tests.journeys.running import PATIENCE, RunningProxy


@dataclass
class Stream:
    """What came on one stream."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    interim: list[str] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(dict(self.fields)[":status"])


@dataclass
class Http2Client:
    """One connection.

    Attributes:
        streams: What came, by stream.
        goaways: The last stream of each GOAWAY.
        closed: True once the server closed its side.
        reads: False while windows are not opened again.
    """

    proxy: RunningProxy
    streams: dict[int, Stream] = field(default_factory=dict)
    goaways: list[int] = field(default_factory=list)
    closed: bool = False
    reads: bool = True

    def __enter__(self) -> Self:
        context = trusting(self.proxy.ca_file)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", self.proxy.https_port), PATIENCE)
        self._socket = context.wrap_socket(plain, server_hostname="localhost")
        assert self._socket.selected_alpn_protocol() == "h2"
        self.library = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding="utf-8")
        )
        self.library.initiate_connection()
        self.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def flush(self) -> None:
        """Send what the library has to say."""
        self._socket.sendall(self.library.data_to_send())

    def raw(self, data: bytes) -> None:
        """Send bytes of the test's own."""
        self._socket.sendall(data)

    def ask(self, path: str, method: str = "GET", *, end: bool = True, **fields: str) -> int:
        """Begin a request; return its stream."""
        number = self.library.get_next_available_stream_id()
        pseudo = {
            ":method": method,
            ":scheme": "https",
            ":authority": f"localhost:{self.proxy.https_port}",
            ":path": path,
        }
        more = {name.replace("_", "-"): value for name, value in fields.items()}
        self.library.send_headers(number, list({**pseudo, **more}.items()), end_stream=end)
        self.streams[number] = Stream()
        self.flush()
        return number

    def until(self, enough: Callable[[], object]) -> None:
        """Take what comes until that is so.

        Raises:
            TimeoutError: It never was.
            ConnectionError: The connection ended before.
        """
        while not enough():
            if self.closed:
                raise ConnectionError("closed before that")
            try:
                data = self._socket.recv(1 << 16)
            except ssl.SSLZeroReturnError:
                data = b""
            if data:
                self._take(data)
            else:
                self.closed = True

    def answer(self, number: int) -> Stream:
        """Return a whole answer."""
        stream = self.streams[number]
        self.until(lambda: stream.ended or stream.reset is not None)
        return stream

    def get(self, path: str) -> Stream:
        """Ask and wait."""
        return self.answer(self.ask(path))

    def until_closed(self) -> None:
        """Take what comes until the server closes."""
        try:
            self.until(lambda: self.closed)
        except ConnectionError:
            self.closed = True

    def _take(self, data: bytes) -> None:
        for said in self.library.receive_data(data):
            if isinstance(said, h2.events.ConnectionTerminated):
                self.goaways.append(said.last_stream_id or 0)
                # Running streams go on (RFC 9113, 6.8), which the library does not believe.
                self.library.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
            stream = self.streams.get(getattr(said, "stream_id", None) or 0)
            if stream is not None:
                self._tell(stream, said)
        self.flush()

    def _tell(self, stream: Stream, said: h2.events.Event) -> None:
        if isinstance(said, h2.events.ResponseReceived):
            stream.fields = [(str(name), str(value)) for name, value in said.headers or []]
        elif isinstance(said, h2.events.InformationalResponseReceived):
            stream.interim.append(str(dict(said.headers or [])[":status"]))  # type: ignore[index]
        elif isinstance(said, h2.events.DataReceived):
            stream.body += said.data or b""
            if self.reads:
                self.library.acknowledge_received_data(
                    said.flow_controlled_length or 0, said.stream_id or 0
                )
        elif isinstance(said, h2.events.TrailersReceived):
            stream.trailers = [(str(name), str(value)) for name, value in said.headers or []]
        elif isinstance(said, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(said, h2.events.StreamReset):
            stream.reset = int(said.error_code or 0)
