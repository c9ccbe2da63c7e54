"""The promise of the HTTP/2 machine: whatever the bytes, in whatever pieces, it raises its own
error and nothing else, says the same, and nothing it accepts is two requests in HTTP/1.1.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import h11
from hypothesis import event, given, strategies as st

from proxy.errors import BadRequestError
from proxy.exchange.exchange import Exchange
from proxy.message.head import HeadLimits, RequestHead
from proxy.net.http1_request import request_head
from proxy.routing.route import ProxyPlan
from proxy.wire import http2_frames as frames
from proxy.wire.http2_events import (
    BodyReceived,
    Http2Error,
    RequestBegan,
    RequestRefused,
    WindowGrew,
)
from proxy.wire.http2_request import MalformedError, read_fields
from proxy.wire.http2_server import Http2Server
from tests.fakes.exchanges import looked_at
from tests.fakes.http2_line import Http2Line
from tests.fakes.serving import head_of
from tests.fuzz.http1_inputs import cut, cuts
from tests.fuzz.http2_inputs import conversations, field_lists

LIMITS = HeadLimits(size=2000, fields=10, target=100)
PLAN = ProxyPlan("app")
OWN = {b"x-request-id", b"via", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host",
       b"x-forwarded-port", b"x-real-ip", b"forwarded"}  # fmt: skip
NOT_FORWARDED = OWN | {b"te", b"expect", b"proxy", b"host", b"content-length", b"connection"}


# What goes on to an upstream.


def forwarded(exchange: Exchange) -> list[h11.Event]:
    """Read what an upstream would be sent, as another implementation does."""
    machine = h11.Connection(h11.SERVER)
    sent = request_head(exchange, PLAN, None)
    if exchange.head.chunked:
        sent += b"0\r\n\r\n"
    elif exchange.head.content_length:
        sent += b"x" * exchange.head.content_length
    machine.receive_data(sent)
    told: list[h11.Event] = []
    while True:
        said = machine.next_event()
        assert said is not h11.NEED_DATA
        if said is h11.PAUSED:
            assert machine.trailing_data == (b"", False), "there is something behind it"
            return told
        assert not isinstance(said, type)
        if not isinstance(said, h11.Data):
            told.append(said)
        if isinstance(said, h11.EndOfMessage):
            assert machine.trailing_data == (b"", False), "there is something behind it"
            return told


@given(field_lists, st.booleans())
def test_what_is_accepted_is_one_request_in_http1(
    fields: list[tuple[bytes, bytes]],
    ended: bool,  # noqa: FBT001 - drawn
) -> None:
    known: dict[tuple[bytes, bytes], bytes] = {}
    told_twice: list[object] = []
    head = RequestHead("", "", "")
    for _ in range(2):  # the second time from memory
        try:
            head = read_fields(fields, ended=ended, known=known)
        except (MalformedError, BadRequestError) as error:
            told_twice.append(type(error).__name__)
        else:
            told_twice.append((head.block, head.forwarding, head.authority, head.content_length))
    assert told_twice[0] == told_twice[1]
    if isinstance(told_twice[0], str):
        event(told_twice[0])
        return
    if head.content_length and head.content_length > 1000:
        return
    event("accepted")
    exchange = looked_at()
    exchange.head = head
    exchange.request_id = "0" * 32
    request, end = forwarded(exchange)
    assert isinstance(request, h11.Request)
    assert isinstance(end, h11.EndOfMessage)
    told = dict(fields)
    assert request.method == told[b":method"]
    assert request.target == b"/" + told[b":path"].lstrip(b"/") or told[b":path"] == b"*"
    sent = [(name, value) for name, value in request.headers if name not in NOT_FORWARDED]
    sent = [pair for pair in sent if pair != (b"transfer-encoding", b"chunked")]
    plain = [(name, value) for name, value in fields if name[:1] != b":" and b"_" not in name]
    wanted = [pair for pair in plain if pair[0] not in {*NOT_FORWARDED, b"cookie"}]
    crumbs = [value for name, value in plain if name == b"cookie" and value]
    if crumbs:
        wanted.append((b"cookie", b"; ".join(crumbs)))
    assert sent == wanted
    hosts = [value for name, value in request.headers if name == b"host"]
    assert hosts == [told.get(b":authority", told.get(b"host"))]
    lengths = [value for name, value in request.headers if name == b"content-length"]
    assert len(lengths) <= 1
    assert (b"transfer-encoding" in dict(request.headers)) is head.chunked
    assert head.has_body is (not ended and told.get(b"content-length") not in (b"0", b"00"))


# Whatever the bytes.


def told_by(pieces: list[bytes]) -> list[object]:
    """Return what a machine says of bytes, in a form that does not tell how they were cut."""
    machine = Http2Server(LIMITS, 0.0)
    told: list[object] = []
    bodies: dict[int, list[object]] = {}
    try:
        for piece in pieces:
            for said in machine.receive(piece, 0.0):
                if isinstance(said, BodyReceived):
                    bodies.setdefault(said.stream, [b""])
                    bodies[said.stream][0] += b"".join(said.pieces)  # type: ignore[operator]
                elif isinstance(said, RequestBegan):
                    told.append((said.stream, said.head.target, said.head.block, said.ended))
                elif isinstance(said, RequestRefused):
                    told.append((said.stream, said.error.status))
                elif not isinstance(said, WindowGrew):
                    told.append(said)
    except Http2Error as error:
        return [error.code]  # what was said in the same breath is lost
    open_streams = sorted((number, stream.window) for number, stream in machine.streams.items())
    return [*told, bodies, open_streams, machine.window, machine.last_stream, machine.midway]


@given(conversations.flatmap(lambda raw: st.tuples(st.just(raw), cuts(len(raw)))))
def test_the_same_is_told_in_whatever_pieces(made: tuple[bytes, list[int]]) -> None:
    raw, places = made
    told = told_by([raw])
    event("broken" if len(told) == 1 else "whole")
    assert told == told_by(cut(raw, places))
    assert told == told_by([bytes((byte,)) for byte in raw])


@given(st.binary(max_size=300), st.booleans())
def test_noise_raises_its_own_error_and_nothing_else(
    noise: bytes,
    greeted: bool,  # noqa: FBT001 - drawn
) -> None:
    told_by([frames.PREFACE + (frames.settings({}) if greeted else b"") + noise])


@given(conversations)
def test_a_session_takes_whatever_comes(raw: bytes) -> None:
    """No handler is told of anything behind an end, and nothing is left of any stream."""

    async def run() -> None:
        line = Http2Line(hello=False)
        await line.say(raw)
        for exchange in line.exchanges:
            exchange.stream.send_whole(exchange, head_of(length=3), b"abc")
        await line.turns()
        line.lost()
        assert line.counters.requests_active == 0
        assert len(line.lines) == line.counters.requests
        assert line.speaks.outlet.queued == 0
        for heard in line.peer.streams.values():
            assert heard.reset is None or heard.reset in set(frames.ErrorCode)

    asyncio.run(run())


# Another implementation at the other end.


@dataclass
class Ask:
    """A request, and how it is to be answered."""

    method: str
    body: list[bytes]
    trailers: bool
    answer: list[bytes]
    whole: bool


@dataclass
class Got:
    """What the client was told of one stream."""

    status: str = ""
    body: bytes = b""
    trailers: bool = False
    ended: bool = False


asks = st.builds(
    Ask,
    st.sampled_from(["GET", "POST", "HEAD", "POST"]),
    st.lists(st.binary(max_size=50) | st.just(bytes(9000)), max_size=4),
    st.booleans(),
    st.lists(st.binary(max_size=50) | st.just(b"z" * 30_000), max_size=4),
    st.booleans(),
)


@dataclass
class Client:
    """The h2 library, with what it was told. It raises whatever it finds wrong with our frames."""

    window: int
    streams: dict[int, Got] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self.library = h2.connection.H2Connection(config)
        self.library.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: self.window,
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
            },
        )
        self.library.initiate_connection()

    def hear(self, data: bytes) -> None:
        for said in self.library.receive_data(data):
            number = getattr(said, "stream_id", 0) or 0
            got = self.streams.get(number, Got())
            if isinstance(said, h2.events.ResponseReceived):
                got.status = dict(said.headers)[b":status"].decode()
            elif isinstance(said, h2.events.DataReceived):
                got.body += said.data
                self.library.acknowledge_received_data(said.flow_controlled_length, number)
            elif isinstance(said, h2.events.TrailersReceived):
                got.trailers = True
            elif isinstance(said, h2.events.StreamEnded):
                got.ended = True
            else:
                assert not isinstance(said, h2.events.StreamReset | h2.events.ConnectionTerminated)


def reply(ask: Ask, exchange: Exchange) -> None:
    body = b"".join(ask.answer)
    stream = exchange.stream
    if ask.whole:
        stream.send_whole(exchange, head_of(length=len(body)), body)
        return
    stream.send_head(exchange, head_of())
    for piece in ask.answer:
        stream.send_body(exchange, piece)
        stream.flush()
    stream.end(exchange, b"Checksum: 7\r\n" if ask.trailers else b"")


async def converse(
    wanted: list[Ask], window: int, size: int, choose: Callable[[int], int]
) -> tuple[Client, Http2Line]:
    """Let a client ask all of these at once, its frames in any order, its bytes in any pieces."""
    line, client = Http2Line(hello=False), Client(window)
    numbers = [2 * place + 1 for place in range(len(wanted))]
    steps: dict[int, list[str | bytes]] = {
        number: ["head", *ask.body, "end"] for number, ask in zip(numbers, wanted, strict=True)
    }
    by_target = {f"/{number}": ask for number, ask in zip(numbers, wanted, strict=True)}
    answered: set[int] = set()
    begun = 0
    while True:
        ready = [number for number in numbers[: begun + 1] if steps[number]]
        if ready:
            number = ready[choose(len(ready))]
            begun = max(begun, numbers.index(number) + 1)
            step(client.library, number, steps[number].pop(0), by_target[f"/{number}"])
        data = client.library.data_to_send()
        for at in range(0, len(data), size):
            line.send(data[at : at + size])
        for place, exchange in enumerate(line.exchanges):
            ask = by_target[exchange.head.target]
            if place not in answered and (
                line.takers[place].trailers is not None or not exchange.head.has_body
            ):
                answered.add(place)
                reply(ask, exchange)
        for _ in range(4):
            await asyncio.sleep(0)
        out = line.out()
        for number in numbers:
            client.streams.setdefault(number, Got())
        for at in range(0, len(out), size):
            client.hear(out[at : at + size])
        if not ready and not data and not out:
            return client, line


def step(library: h2.connection.H2Connection, number: int, what: str | bytes, ask: Ask) -> None:
    has_body = ask.method == "POST"
    if what == "head":
        library.send_headers(number, [
            (":method", ask.method), (":scheme", "https"), (":authority", "localhost"),
            (":path", f"/{number}"), ("x-same", "each time"), ("x-other", str(number)),
        ], end_stream=not has_body)  # fmt: skip
    elif not has_body:
        return
    elif isinstance(what, bytes):
        assert len(what) <= library.local_flow_control_window(number)
        library.send_data(number, what)
    elif ask.trailers:
        library.send_headers(number, [("checksum", "9")], end_stream=True)
    else:
        library.end_stream(number)


@given(
    st.lists(asks, min_size=1, max_size=5),
    st.sampled_from([0, 1, 100, 65_535, 1 << 20]),
    st.sampled_from([1, 7, 100, 1 << 20]),
    st.randoms(use_true_random=False),
)
def test_another_implementation_finds_nothing_wrong(
    wanted: list[Ask], window: int, size: int, random: object
) -> None:
    if size == 1:
        for ask in wanted:
            ask.body = [piece[:50] for piece in ask.body]
            ask.answer = [piece[:50] for piece in ask.answer]
    if window < 2 and sum(len(piece) for ask in wanted for piece in ask.answer) > 200:
        window = 100
    choose = random.randrange  # type: ignore[attr-defined]
    client, line = asyncio.run(converse(wanted, window, size, choose))
    exchanges = {exchange.head.target: place for place, exchange in enumerate(line.exchanges)}
    for number, ask in zip(client.streams, wanted, strict=True):
        got = client.streams[number]
        taker = line.takers[exchanges[f"/{number}"]]
        assert got.ended or window == 0
        if ask.method == "POST":
            assert taker.body == b"".join(ask.body)
            assert taker.trailers == (b"checksum: 9\r\n" if ask.trailers else b"")
        if got.ended:
            assert got.status == "200"
            assert got.body == (b"" if ask.method == "HEAD" else b"".join(ask.answer))
            assert got.trailers is (ask.trailers and not ask.whole and ask.method != "HEAD")
    line.lost()
    assert line.counters.requests_active == 0
