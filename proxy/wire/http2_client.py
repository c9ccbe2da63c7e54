"""The client's side of an HTTP/2 connection to an upstream: many requests at once.

`h2` keeps the protocol's state; this machine decides what an upstream may say. What comes is cut
into frames, which `h2` gets one by one, but for GOAWAY: to `h2` that is the end of everything, to
an upstream that restarts it is the wish to finish what runs (RFC 9113, 6.8).

What is wrong with one answer ends its stream; what is wrong with the connection raises. Nothing
that an upstream writes in HTTP/2 can become something else in HTTP/1.1: see `http2_answer`.
"""

from contextlib import suppress
from typing import NamedTuple

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings
from hpack import HPACKError
from hyperframe.exceptions import HyperframeError

from proxy.errors import BadResponseError, ProxyError, UpstreamError
from proxy.message.head import ResponseHead
from proxy.wire.http2_answer import Answer, Field, request_fields
from proxy.wire.http2_frames import (
    DEFAULT_FRAME_SIZE,
    GOAWAY,
    HEADER_SIZE,
    HEADERS,
    HIGHEST_STREAM,
)

WINDOW = 256 * 1024
"""Bytes of one answer that may come before any of them was taken."""

_CONNECTION_WINDOW = 16 * 1024 * 1024
_MOST_HEADER_BYTES = 64 * 1024
_MOST_STREAMS = 1000  # beyond that we do not go, whatever the upstream allows
_MOST_IDLE_FRAMES = 1000  # PING, SETTINGS, empty DATA …, between two calls of `forgive`


class Head(NamedTuple):
    """A head came: a 1xx one, or the final one, which `ended` says is the whole answer."""

    number: int
    head: ResponseHead
    ended: bool


class Body(NamedTuple):
    """A piece of a body came; its `size` in the window is given back with `consumed`."""

    number: int
    data: bytes
    size: int


class End(NamedTuple):
    """An answer is whole."""

    number: int
    trailers: bytes


class Lost(NamedTuple):
    """No more of an answer will come; its stream is over."""

    number: int
    error: ProxyError


class Going(NamedTuple):
    """No streams are to be opened any more, and those above `last` were not looked at."""

    last: int


class Room(NamedTuple):
    """The window of a stream, or (0) of all, has opened; or the upstream's settings came."""

    number: int


Told = Head | Body | End | Lost | Going | Room


class Http2Client:
    """See the module's docstring.

    Attributes:
        settled: True once the upstream's SETTINGS came: it speaks HTTP/2.
        going: True once the upstream said GOAWAY.
    """

    __slots__ = (
        "_answers",
        "_buffer",
        "_idle_frames",
        "_machine",
        "_owed",
        "_owed_by_stream",
        "_scheme",
        "going",
        "settled",
    )

    def __init__(self, *, secure: bool) -> None:
        """Begin; `take` returns the preface then.

        Args:
            secure: Whether TLS is in between, which `:scheme` says.
        """
        self._scheme = b"https" if secure else b"http"
        # What is sent was made by us, what comes is checked here: a stream at a time.
        self._machine = machine = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
            )
        )
        machine.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: _MOST_HEADER_BYTES,
            },
        )
        machine.initiate_connection()
        machine.increment_flow_control_window(_CONNECTION_WINDOW)
        self._answers: dict[int, Answer] = {}
        self._buffer = b""
        self._owed = 0  # bytes taken, of which the connection's window was not told
        self._owed_by_stream: dict[int, int] = {}
        self._idle_frames = 0
        self.settled = False
        self.going = False

    # What is sent.

    def take(self) -> bytes:
        """Return the bytes to put on the wire."""
        return bytes(self._machine.data_to_send())

    @property
    def room(self) -> int:
        """How many more requests may begin now."""
        if self.going or self._machine.highest_outbound_stream_id >= HIGHEST_STREAM - 2:
            return 0
        allowed = min(self._machine.remote_settings.max_concurrent_streams, _MOST_STREAMS)
        return max(0, allowed - self._machine.open_outbound_streams)

    def request(self, raw: bytes, *, ended: bool) -> int:
        """Begin a request and return its stream's number; to be called only where there is `room`.

        Args:
            raw: Its head, as `net.http1_request` makes it.
            ended: No body follows.
        """
        number: int = self._machine.get_next_available_stream_id()
        fields = request_fields(raw, self._scheme)
        self._machine.send_headers(number, fields, end_stream=ended)
        self._answers[number] = Answer(head_request=raw.startswith(b"HEAD "))
        return number

    def carries(self, number: int) -> bool:
        """Say whether a request is under way: one whose end has come, told or not, is no more."""
        return number in self._answers

    def window(self, number: int) -> int:
        """Return how much of a request's body may be sent now, in one frame."""
        machine = self._machine
        return max(
            0,
            min(machine.local_flow_control_window(number), machine.max_outbound_frame_size),
        )

    def data(self, number: int, data: bytes, *, end: bool) -> None:
        """Send a piece of a request's body, no longer than its `window`."""
        self._idle_frames = 0
        self._machine.send_data(number, data, end_stream=end)

    def trailers(self, number: int, fields: list[Field]) -> None:
        """Send trailers, which end the request."""
        self._machine.send_headers(number, fields, end_stream=True)

    def reset(self, number: int) -> None:
        """Give a request up."""
        self._forget(number)
        self._reset(number, ErrorCodes.CANCEL)

    def consumed(self, number: int, size: int) -> None:
        """Let the upstream send as much again on a stream."""
        if number not in self._answers:
            return
        owed = self._owed_by_stream.get(number, 0) + size
        if owed >= WINDOW // 2:
            self._machine.increment_flow_control_window(owed, number)
            owed = 0
        self._owed_by_stream[number] = owed

    def forgive(self) -> None:
        """Begin to count anew the frames that lead to nothing."""
        self._idle_frames = 0

    def close(self) -> None:
        """Say goodbye."""
        if self._machine.state_machine.state is not ConnectionState.CLOSED:
            self._machine.close_connection()

    # What comes.

    def receive(self, data: bytes) -> list[Told]:
        """Take bytes from the upstream; return what they say.

        Raises:
            BadResponseError: They are not HTTP/2, or break it; `take` returns a last word.
        """
        buffer = self._buffer + data if self._buffer else data
        told: list[Told] = []
        at = 0
        while len(buffer) - at >= HEADER_SIZE:
            size = int.from_bytes(buffer[at : at + 3])
            if size > DEFAULT_FRAME_SIZE or not (self.settled or buffer[at + 3] == 4):
                raise BadResponseError("the upstream does not speak HTTP/2")
            end = at + HEADER_SIZE + size
            if len(buffer) < end:
                break
            self._take_frame(buffer[at:end], told)
            at = end
        self._buffer = buffer[at:]
        return told

    def _take_frame(self, frame: bytes, told: list[Told]) -> None:
        if frame[3] == GOAWAY:
            self._take_goaway(frame, told)
            return
        if frame[3] == HEADERS and not frame[8] & 1:  # RFC 9113, 5.1.1; h2 would take it for news
            raise BadResponseError("the upstream opens a stream of its own")
        self._idle_frames += 1
        if self._idle_frames > _MOST_IDLE_FRAMES:
            self._machine.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            raise BadResponseError("the upstream sends frames that lead to nothing")
        try:
            for event in self._machine.receive_data(frame):
                self._take_event(event, told)
        except (H2Error, HPACKError, HyperframeError) as error:  # its text may repeat a secret
            raise BadResponseError(f"the upstream breaks HTTP/2: {type(error).__name__}") from None
        if self._owed >= _CONNECTION_WINDOW // 4:
            # Whoever is slow holds up nobody else: only a stream's own window waits for it.
            self._machine.increment_flow_control_window(self._owed)
            self._owed = 0

    def _take_goaway(self, frame: bytes, told: list[Told]) -> None:
        if len(frame) < HEADER_SIZE + 8 or any(frame[5:9]):
            raise BadResponseError("the upstream breaks HTTP/2: malformed GOAWAY")
        self.going = True
        last = int.from_bytes(frame[9:13]) & HIGHEST_STREAM
        for number in [number for number in self._answers if number > last]:
            self._forget(number)
            error = UpstreamError(502, "not looked at by an upstream that goes away", retry=True)
            told.append(Lost(number, error))
        told.append(Going(last))

    def _take_event(self, event: Event, told: list[Told]) -> None:
        match event:
            case DataReceived():
                self._take_data(event, told)
            case ResponseReceived() | InformationalResponseReceived():
                self._take_head(event, told)
            case TrailersReceived():
                self._take_trailers(event)
            case StreamEnded():
                self._take_end(event.stream_id, told)
            case StreamReset():
                self._take_reset(event, told)
            case WindowUpdated():
                told.append(Room(event.stream_id))
            case RemoteSettingsChanged():
                self.settled = True
                told.append(Room(0))
            case _:
                pass

    def _take_head(
        self, event: ResponseReceived | InformationalResponseReceived, told: list[Told]
    ) -> None:
        number = event.stream_id
        answer = self._answers.get(number)
        if answer is None:
            return
        self._idle_frames = 0
        ended = event.stream_ended is not None if isinstance(event, ResponseReceived) else False
        stream = self._machine.streams.get(number)
        if stream is not None:
            # Of a body that is not as long as was said h2 makes an error of the connection, and
            # RFC 9113, 8.1.1 one of the stream: that is seen to below.
            stream._expected_content_length = None  # noqa: SLF001 - h2 has no setting for it
        try:
            head = answer.read_head(event.headers, ended=ended)
        except BadResponseError as error:
            self._break(number, error, told)
            return
        if ended:
            self._forget(number)
        told.append(Head(number, head, ended))

    def _take_data(self, event: DataReceived, told: list[Told]) -> None:
        number, data = event.stream_id, event.data
        size = event.flow_controlled_length
        self._owed += size
        answer = self._answers.get(number)
        if answer is None:
            return
        if data:
            self._idle_frames = 0
        try:
            answer.read_body(data)
        except BadResponseError as error:
            self._break(number, error, told)
            return
        if data:
            told.append(Body(number, data, size))
        elif event.stream_ended is None:
            self.consumed(number, size)

    def _take_trailers(self, event: TrailersReceived) -> None:
        answer = self._answers.get(event.stream_id)
        if answer is not None:
            answer.trailers = event.headers

    def _take_end(self, number: int, told: list[Told]) -> None:
        answer = self._answers.get(number)
        if answer is None:
            return
        self._idle_frames = 0
        try:
            trailers = answer.end()
        except BadResponseError as error:
            self._break(number, error, told)
            return
        self._forget(number)
        told.append(End(number, trailers))

    def _take_reset(self, event: StreamReset, told: list[Told]) -> None:
        number = event.stream_id
        if number not in self._answers:
            return
        self._forget(number)
        self._idle_frames = 0
        code = event.error_code
        if code == ErrorCodes.REFUSED_STREAM:
            # RFC 9113, 8.7: nothing was done with it.
            error: ProxyError = UpstreamError(502, "refused by the upstream", retry=True)
        else:
            name = getattr(code, "name", None) or f"code {code}"
            error = BadResponseError(f"reset by the upstream: {name}")
        told.append(Lost(number, error))

    def _break(self, number: int, error: BadResponseError, told: list[Told]) -> None:
        self._forget(number)
        self._reset(number, ErrorCodes.PROTOCOL_ERROR)
        told.append(Lost(number, error))

    def _reset(self, number: int, code: ErrorCodes) -> None:
        with suppress(H2Error):  # it may be closed already
            self._machine.reset_stream(number, code)

    def _forget(self, number: int) -> None:
        self._answers.pop(number, None)
        self._owed_by_stream.pop(number, None)
