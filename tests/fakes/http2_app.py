"""A server that speaks HTTP/2 by h2, each of its connections following a script."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamReset, TrailersReceived
from h2.settings import SettingCodes

from tests.fakes.wires import Wire

Fields = dict[str, str]


@dataclass
class Asked:
    """A request, as far as it came.

    Attributes:
        reset: The code it was given up with, or None.
    """

    number: int
    fields: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=dict)
    ended: bool = False
    reset: int | None = None
    seen: int = 0


@dataclass
class Http2App:
    """One for all connections of a server; its `script` is what `wires.upstream` runs.

    Attributes:
        answer: Called whenever something of a request came.
        settings: What is said first; `max_concurrent_streams` and the like.
        asked: Every request that came, in order, on whichever connection.
        takes: Whether windows are opened for what comes.
    """

    answer: Callable[["Talk", Asked], None]
    settings: dict[str, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    talks: list["Talk"] = field(default_factory=list)
    takes: bool = True

    @property
    def script(self) -> Callable[[Wire], Awaitable[None]]:
        async def run(wire: Wire) -> None:
            talk = Talk(self, wire)
            self.talks.append(talk)
            await talk.run()

        return run


class Talk:
    """One connection.

    Attributes:
        machine: h2's.
        requests: Those of this connection.
    """

    def __init__(self, app: Http2App, wire: Wire) -> None:
        self.app = app
        self.wire = wire
        self.requests: dict[int, Asked] = {}
        self.machine = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        self.machine.config.validate_outbound_headers = False
        self.machine.initiate_connection()
        self.machine.increment_flow_control_window(1 << 24)
        codes = {getattr(SettingCodes, name.upper()): app.settings[name] for name in app.settings}
        if codes:
            self.machine.update_settings(codes)

    async def run(self) -> None:
        """Read until the end; answer what comes."""
        self.flush()
        while data := await self.wire.some():
            for event in self.machine.receive_data(data):
                self._take(event)
            self.flush()
            await self.wire.writer.drain()

    def flush(self) -> None:
        """Send what was said."""
        self.wire.send(self.machine.data_to_send())

    def _take(self, event: object) -> None:
        match event:
            case RequestReceived():
                asked = Asked(event.stream_id, _named(event.headers))
                asked.ended = event.stream_ended is not None
                self.requests[event.stream_id] = asked
                self.app.asked.append(asked)
            case DataReceived():
                asked = self.requests[event.stream_id]
                asked.body += event.data
                asked.ended = event.stream_ended is not None
                if self.app.takes:
                    self.machine.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
            case TrailersReceived():
                asked = self.requests[event.stream_id]
                asked.trailers = _named(event.headers)
                asked.ended = True
            case StreamReset():
                asked = self.requests[event.stream_id]
                asked.reset = int(event.error_code)
                return
            case _:
                return
        if asked.reset is None:
            self.app.answer(self, asked)

    def head(self, asked: Asked, *, end: bool = False, status: str = "200", **fields: str) -> None:
        """Say a head; underscores in names stand for hyphens."""
        said = [(":status", status)]
        said += [(name.replace("_", "-"), value) for name, value in fields.items()]
        self.machine.send_headers(asked.number, said, end_stream=end)

    def data(self, asked: Asked, data: bytes, *, end: bool = False) -> None:
        """Say a piece of a body that fits into the window."""
        for at in range(0, len(data), 16384):
            self.machine.send_data(asked.number, data[at : at + 16384])
        if end:
            self.machine.end_stream(asked.number)

    def trailers(self, asked: Asked, **fields: str) -> None:
        """End an answer with trailers."""
        said = [(name.replace("_", "-"), value) for name, value in fields.items()]
        self.machine.send_headers(asked.number, said, end_stream=True)


def _named(fields: object) -> Fields:
    return {str(name): str(value) for name, value in fields}  # type: ignore[attr-defined]


def echo(talk: Talk, asked: Asked) -> None:
    """Answer a whole request with its own body."""
    if asked.ended:
        talk.head(asked, content_length=str(len(asked.body)))
        talk.data(asked, asked.body, end=True)
