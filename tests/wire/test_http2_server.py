"""The HTTP/2 machine: bytes in, events and frames out (RFC 9113)."""

from collections.abc import Callable

import pytest

from proxy.errors import BadRequestError
from proxy.message.head import HeadLimits
from proxy.wire import http2_frames as frames
from proxy.wire.http2_events import (
    BodyEnded,
    BodyReceived,
    ClientLeaves,
    Event,
    Http2Error,
    RequestBegan,
    RequestRefused,
    StreamLost,
    WindowGrew,
)
from proxy.wire.http2_fields import encode_head, encode_trailers
from proxy.wire.http2_frames import ErrorCode
from proxy.wire.http2_server import Http2Server
from proxy.wire.http2_settings import MOST_STREAMS
from proxy.wire.http2_streams import INTAKE_WINDOW
from tests.fakes.http2_peer import Http2Peer, asking

ENOUGH = 100_000


class Talk:
    """A machine and a peer that has said hello."""

    def __init__(self, limits: HeadLimits | None = None, **settings: int) -> None:
        self.machine = Http2Server(limits or HeadLimits(), 0.0)
        self.peer = Http2Peer()
        self.now = 0.0
        self.said(self.peer.hello(**settings))
        self.output()

    def said(self, *data: bytes) -> list[Event]:
        return self.machine.receive(b"".join(data), self.now)

    def output(self) -> list[int]:
        """Hand over what the machine has to say; return the types of its frames."""
        before = len(self.peer.said)
        self.peer.hear(self.machine.take_output())
        return self.peer.kinds()[before:]

    def lost(self, *data: bytes) -> tuple[int, int]:
        """Say what ends a stream; return it and the code."""
        events = self.said(*data)
        lost = events[-1]
        assert isinstance(lost, StreamLost)
        self.output()
        assert self.peer.streams[lost.stream].reset == lost.code
        return lost.stream, lost.code

    def broken(self, *data: bytes) -> ErrorCode:
        """Say what ends the connection; return the code."""
        with pytest.raises(Http2Error) as caught:
            self.said(*data)
        return caught.value.code


def began(events: list[Event]) -> RequestBegan:
    (event,) = events
    assert isinstance(event, RequestBegan)
    return event


# The beginning.


def test_hello_is_answered() -> None:
    machine = Http2Server(HeadLimits(size=1000), 0.0)
    peer = Http2Peer().hear(machine.take_output())
    assert peer.kinds() == [frames.SETTINGS, frames.WINDOW_UPDATE]
    told = dict(frames.read_settings(peer.said[0].payload))
    assert told[frames.MAX_CONCURRENT_STREAMS] == MOST_STREAMS
    assert told[frames.MAX_HEADER_LIST_SIZE] == 1000
    before = machine.midway
    assert machine.receive(peer.hello(), 0.0) == []
    assert (before, machine.midway) == (True, False)
    peer.hear(machine.take_output())
    assert (peer.said[-1].kind, peer.said[-1].flags) == (frames.SETTINGS, frames.ACK)


def test_a_request_byte_by_byte() -> None:
    machine, peer = Http2Server(HeadLimits(), 0.0), Http2Peer()
    data = peer.hello() + peer.request(1, asking("/a?b", accept="*/*"))
    events = [event for byte in data for event in machine.receive(bytes((byte,)), 0.0)]
    event = began(events)
    assert event.ended
    head = event.head
    assert (head.method, head.target, head.authority) == ("GET", "/a?b", "localhost")
    assert (head.version, head.block, head.has_body) == ("HTTP/2.0", b"accept: */*\r\n", False)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", b"\0"]
)
def test_another_preface_is_refused(data: bytes) -> None:
    with pytest.raises(Http2Error, match="preface"):
        Http2Server(HeadLimits(), 0.0).receive(data, 0.0)


def test_settings_come_first() -> None:
    for first in (frames.frame(frames.PING, 0, 0, bytes(8)), frames.SETTINGS_ACK):
        with pytest.raises(Http2Error, match="no SETTINGS"):
            Http2Server(HeadLimits(), 0.0).receive(frames.PREFACE + first, 0.0)


def test_nothing_is_kept_of_what_was_told() -> None:
    talk = Talk()
    talk.said(talk.peer.request(1, asking("/", "POST"), end=False), talk.peer.data(1, bytes(9000)))
    assert not talk.machine._events
    assert not talk.machine._arriving
    assert not talk.machine._frames._buffer


# Requests and bodies.


def test_a_body_with_trailers() -> None:
    talk = Talk()
    events = talk.said(
        talk.peer.request(1, asking("/", "POST", te="trailers"), end=False),
        talk.peer.data(1, b"hello"),
        talk.peer.data(1, b" world"),
        frames.headers(
            1, talk.peer.section([("checksum", "7"), ("content-length", "9")]), end=True
        ),
    )
    assert isinstance(events[0], RequestBegan)
    assert events[0].head.chunked
    assert events[0].head.te_trailers
    assert events[1:] == [
        BodyReceived(1, [b"hello", b" world"]), BodyEnded(1, b"checksum: 7\r\n"),
    ]  # fmt: skip


def test_padding_and_priority_are_taken_off() -> None:
    talk = Talk()
    section = b"\3" + bytes(5) + talk.peer.section(asking()) + bytes(3)
    flags = frames.END_HEADERS | frames.PADDED | frames.HAS_PRIORITY
    began(talk.said(frames.frame(frames.HEADERS, flags, 1, section)))
    padded = frames.PADDED | frames.END_STREAM
    events = talk.said(frames.frame(frames.DATA, padded, 1, b"\2hello\0\0"))
    assert events == [BodyReceived(1, [b"hello"]), BodyEnded(1, b"")]
    whole = frames.frame(frames.DATA, frames.PADDED, 3, b"\6hello")
    talk.said(talk.peer.request(3, end=False))
    assert talk.broken(whole) is ErrorCode.PROTOCOL_ERROR


def test_a_long_head_in_continuations() -> None:
    talk = Talk()
    section = talk.peer.section(asking("/", x="y" * 20_000))
    made = frames.headers(1, section, end=True, frame_size=4000)
    assert made.count(b"y" * 100) or len(section) < 20_000
    assert began(talk.said(made)).head.block.startswith(b"x: yyy")


def test_a_section_must_not_be_interrupted() -> None:
    talk = Talk()
    begun = frames.frame(frames.HEADERS, frames.END_STREAM, 1, talk.peer.section(asking()))
    ping = frames.frame(frames.PING, 0, 0, bytes(8))
    assert talk.broken(begun, ping) is ErrorCode.PROTOCOL_ERROR
    other = frames.frame(frames.CONTINUATION, frames.END_HEADERS, 3, b"")
    assert Talk().broken(begun, other) is ErrorCode.PROTOCOL_ERROR
    assert Talk().broken(other) is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(":method", "GET"), (":scheme", "https"), (":path", "/")],
        [*asking(), (":path", "/")],
        [*asking(), (":status", "200")],
        [("a", "b"), *asking()],
        asking("no-slash"),
        asking("/a b"),
        asking("/", "GE T"),
        asking("/", Connection="close"),
        asking("/", connection="close"),
        asking("/", transfer_encoding="chunked"),
        asking("/", upgrade="websocket"),
        asking("/", te="gzip"),
        asking("/", x="a\r\nEvil: 1"),
        asking("/", x="a\nEvil: 1"),
        asking("/", x="a\0"),
        asking("/", x=" a"),
        asking("/", x="a "),
        [*asking(), ("a:b", "c")],
        [*asking(), ("a b", "c")],
        [*asking(), ("", "c")],
        asking("/", host="elsewhere"),
        [*asking(), ("host", "localhost"), ("host", "localhost")],
        asking("/", content_length="5"),
        asking("/", content_length="-5"),
        [*asking(), ("content-length", "0"), ("content-length", "0")],
        [(":method", "CONNECT"), (":authority", "localhost:80")],
        [*asking("/"), (":protocol", "websocket")],
        [(":method", "CONNECT"), (":protocol", "websocket"), (":authority", "localhost")],
    ],
)
def test_malformed_requests_end_their_stream_alone(fields: list[tuple[str, str]]) -> None:
    talk = Talk()
    assert talk.lost(talk.peer.request(1, fields)) == (1, ErrorCode.PROTOCOL_ERROR)
    assert began(talk.said(talk.peer.request(3))).stream == 3


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (asking("/../x"), 400),
        (asking("/" + "x" * 9000), 414),
        (asking("/", x="y" * 40_000), 431),
        ([*asking(), *[("x", "y")] * 101], 431),
        (asking("/", "TRACE"), 501),
        (asking("/", expect="magic"), 417),
    ],
)
def test_what_must_not_be_served_waits_for_an_answer(
    fields: list[tuple[str, str]], status: int
) -> None:
    talk = Talk()
    (event,) = talk.said(talk.peer.request(1, fields))
    assert isinstance(event, RequestRefused)
    assert isinstance(event.error, BadRequestError)
    assert event.error.status == status
    made = talk.machine.headers(1, encode_head(status, b"", 0), end=True)
    assert talk.peer.hear(made).streams[1].fields[":status"] == str(status)


def test_crumbs_of_cookies_are_joined() -> None:
    talk = Talk()
    fields = [*asking(), ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]
    head = began(talk.said(talk.peer.request(1, fields))).head
    assert head.block == b"x: y\r\ncookie: a=1; b=2\r\n"


def test_host_stands_in_for_authority() -> None:
    talk = Talk()
    fields = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "Localhost:1")]
    head = began(talk.said(talk.peer.request(1, fields))).head
    assert (head.authority, head.host) == ("Localhost:1", "localhost")
    assert began(talk.said(talk.peer.request(3, asking(host="LOCALHOST")))).head.block == b""


def test_fields_that_a_hop_acts_on_are_cut_out() -> None:
    talk = Talk()
    fields = asking("/", x_forwarded_for="192.0.2.1", a_b="1", proxy_authorization="x", b="2")
    fields.append(("under_score", "1"))
    head = began(talk.said(talk.peer.request(1, fields))).head
    assert head.block == b"a-b: 1\r\nb: 2\r\n"
    assert head.forwarding == b"x-forwarded-for: 192.0.2.1\r\n"


def test_repeated_heads_are_read_once_until_the_table_changes() -> None:
    talk = Talk()
    literal = b"\x00\x01x\x01y"
    section = bytes((0x82, 0x87, 0x84)) + b"\x01\x09localhost" + literal
    heads = [
        began(talk.said(frames.headers(number, section, end=True))).head for number in (1, 3, 5, 7)
    ]
    assert heads[2] is heads[1] is heads[3]
    talk.said(talk.peer.request(9, asking("/", new="entry")))
    again = began(talk.said(frames.headers(11, section, end=True))).head
    assert again is not heads[1]
    assert again.block == heads[1].block


def test_a_section_that_changes_the_table_is_read_each_time() -> None:
    talk = Talk()
    grows = bytes((0x82, 0x87, 0x84)) + b"\x41\x09localhost" + b"\x40\x01x\x01y"
    uses = bytes((0x82, 0x87, 0x84, 0xBF, 0xBE))
    for number in range(1, 12, 2):
        assert began(talk.said(frames.headers(number, grows, end=True))).head.block == b"x: y\r\n"
    assert began(talk.said(frames.headers(21, uses, end=True))).head.authority == "localhost"
    shrunk = b"\x20" + bytes((0x82, 0x87, 0x84)) + b"\x01\x09localhost"
    assert began(talk.said(frames.headers(23, shrunk, end=True))).head.block == b""
    assert talk.broken(frames.headers(25, uses, end=True)) is ErrorCode.COMPRESSION_ERROR


def test_content_length_is_held_to() -> None:
    post = asking("/", "POST", content_length="5")
    talk = Talk()
    assert talk.said(talk.peer.request(1, post, end=False), talk.peer.data(1, b"hello", end=True))
    begun = talk.peer.request(3, post, end=False)
    assert talk.lost(begun, talk.peer.data(3, b"hello!")) == (3, ErrorCode.PROTOCOL_ERROR)
    begun = talk.peer.request(5, post, end=False)
    assert talk.lost(begun, talk.peer.data(5, b"hell", end=True)) == (5, ErrorCode.PROTOCOL_ERROR)


def test_nothing_comes_after_the_end() -> None:
    talk = Talk()
    ended = talk.peer.request(1)
    assert talk.lost(ended, talk.peer.data(1, b"x")) == (1, ErrorCode.STREAM_CLOSED)
    ended = talk.peer.request(3)
    assert talk.lost(ended, frames.headers(3, b"", end=True)) == (3, ErrorCode.STREAM_CLOSED)
    begun = talk.peer.request(5, asking("/", "POST"), end=False)
    middle = frames.headers(5, talk.peer.section([("a", "b")]), end=False)
    assert talk.lost(begun, middle) == (5, ErrorCode.PROTOCOL_ERROR)
    bad = frames.headers(7, talk.peer.section([(":path", "/")]), end=True)
    begun = talk.peer.request(7, asking("/", "POST"), end=False)
    assert talk.lost(begun, bad) == (7, ErrorCode.PROTOCOL_ERROR)


def test_too_many_streams_are_refused_one_by_one() -> None:
    talk = Talk()
    for number in range(1, 2 * MOST_STREAMS, 2):
        began(talk.said(talk.peer.request(number)))
    one_more = 2 * MOST_STREAMS + 1
    assert talk.lost(talk.peer.request(one_more)) == (one_more, ErrorCode.REFUSED_STREAM)
    talk.machine.headers(1, b"\x88", end=True)
    began(talk.said(talk.peer.request(one_more + 2)))


# The connection's errors.


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frames.frame(frames.HEADERS, frames.END_HEADERS, 2, b""), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, frames.END_HEADERS, 0, b""), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, 0x24, 1, b"123"), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(frames.HEADERS, 0x4, 1, b"\xff"), ErrorCode.COMPRESSION_ERROR),
        (frames.frame(frames.HEADERS, 0xC, 1, b"\5a"), ErrorCode.PROTOCOL_ERROR),
        (frames.rst_stream(1, 8), ErrorCode.PROTOCOL_ERROR),
        (frames.rst_stream(0, 8), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.RST_STREAM, 0, 1, b"123"), ErrorCode.FRAME_SIZE_ERROR),
        (frames.window_update(1, 8), ErrorCode.PROTOCOL_ERROR),
        (frames.window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
        (frames.window_update(0, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
        (frames.frame(frames.WINDOW_UPDATE, 0, 0, b"12345"), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(frames.PING, 0, 0, b"1"), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(frames.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.SETTINGS, 0, 0, b"1"), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(frames.SETTINGS, 0, 1, b""), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
        (frames.settings({frames.ENABLE_PUSH: 2}), ErrorCode.PROTOCOL_ERROR),
        (frames.settings({frames.MAX_FRAME_SIZE: 16383}), ErrorCode.PROTOCOL_ERROR),
        (frames.settings({frames.INITIAL_WINDOW_SIZE: 2**31}), ErrorCode.FLOW_CONTROL_ERROR),
        (frames.frame(frames.PUSH_PROMISE, 4, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.GOAWAY, 0, 0, b"123"), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(frames.GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.PRIORITY, 0, 0, bytes(5)), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.PRIORITY, 0, 1, bytes(4)), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame_header(16385, frames.DATA, 0, 1), ErrorCode.FRAME_SIZE_ERROR),
    ],
)
def test_errors_of_the_connection(data: bytes, code: ErrorCode) -> None:
    assert Talk().broken(data) is code


# Budgets: past each of them the connection ends, and well within it goes on.


def reset_at_once(talk: Talk, number: int) -> bytes:
    return talk.peer.request(number) + frames.rst_stream(number, ErrorCode.CANCEL)


def malformed(talk: Talk, number: int) -> bytes:
    return talk.peer.request(number, asking("no-slash"))


FLOODS: dict[str, tuple[Callable[[Talk, int], bytes], int]] = {
    "resets": (reset_at_once, 200),
    "provoked resets": (malformed, 50),
    "settings": (lambda _talk, _n: frames.settings({}), 19),
    "acknowledgements": (lambda _talk, _n: frames.SETTINGS_ACK, 19),
    "pings": (lambda _talk, _n: frames.frame(frames.PING, 0, 0, bytes(8)), 60),
    "priorities": (lambda _talk, n: frames.frame(frames.PRIORITY, 0, n, bytes(5)), 500),
    "unknown frames": (lambda _talk, _n: frames.frame(0x77, 0, 0, b""), 500),
    "window updates": (lambda _talk, _n: frames.window_update(0, 1), 4000),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods(kind: str) -> None:
    make, allowed = FLOODS[kind]
    talk = Talk()
    for count in range(allowed):
        talk.said(make(talk, 2 * count + 1))
    assert talk.broken(make(talk, 2 * allowed + 1)) is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize("kind", FLOODS)
def test_the_same_at_leisure_is_no_flood(kind: str) -> None:
    make, allowed = FLOODS[kind]
    talk = Talk()
    for count in range(min(2 * allowed, 1000)):
        talk.now += 1.0
        talk.said(make(talk, 2 * count + 1))
        talk.output()


def test_empty_data() -> None:
    talk = Talk()
    talk.said(talk.peer.request(1, asking("/", "POST"), end=False))
    talk.said(talk.peer.data(1) * 60)
    assert talk.broken(talk.peer.data(1)) is ErrorCode.ENHANCE_YOUR_CALM


def test_continuations() -> None:
    talk = Talk()
    begun = frames.frame(frames.HEADERS, 0, 1, b"")
    more = frames.frame(frames.CONTINUATION, 0, 1, b"")
    talk.said(begun, more * 15)
    assert talk.broken(more) is ErrorCode.ENHANCE_YOUR_CALM


def test_a_bomb_of_indexes_is_not_unfolded() -> None:
    talk = Talk(HeadLimits(size=4096))
    talk.said(talk.peer.request(1, asking("/", x="y" * 3000)))
    bomb = bytes((0x82, 0x87, 0x84)) + b"\xbe" * 10_000
    assert talk.broken(frames.headers(3, bomb, end=True)) is ErrorCode.ENHANCE_YOUR_CALM


def test_frames_on_closed_streams_are_let_pass_for_a_while() -> None:
    talk = Talk()
    talk.said(talk.peer.request(1, asking("/", "POST"), end=False))
    assert talk.machine.reset(1, ErrorCode.CANCEL) == frames.rst_stream(1, ErrorCode.CANCEL)
    assert talk.machine.reset(1, ErrorCode.CANCEL) == b""
    late = [
        talk.peer.data(1, b"late"),
        frames.window_update(1, 5),
        frames.headers(1, talk.peer.section([("a", "b")]), end=True),
        frames.rst_stream(1, ErrorCode.CANCEL),
    ]
    assert talk.said(*late) == []
    head = began(talk.said(talk.peer.request(3, asking("/", a="b")))).head
    assert head.block == b"a: b\r\n", "the table was kept up to date"
    assert talk.broken(*[talk.peer.data(1, b"x")] * 2500) is ErrorCode.ENHANCE_YOUR_CALM


# Windows.


def test_what_a_client_may_send_is_bounded_and_refilled() -> None:
    talk = Talk()
    talk.said(talk.peer.request(1, asking("/", "POST"), end=False))
    talk.machine.pause(1)
    piece = talk.peer.data(1, bytes(16384))
    talk.said(piece * 3)
    assert frames.WINDOW_UPDATE not in talk.output()
    talk.machine.resume(1)
    assert talk.output() == [frames.WINDOW_UPDATE]
    talk.said(piece * 31)
    talk.machine.pause(1)
    assert talk.lost(piece * 32) == (1, ErrorCode.FLOW_CONTROL_ERROR)


def test_a_body_that_is_taken_may_go_on_for_ever() -> None:
    talk = Talk()
    talk.said(talk.peer.request(1, asking("/", "POST"), end=False))
    sent = {0: INTAKE_WINDOW, 1: 65535}
    for _ in range(400):
        talk.said(talk.peer.data(1, bytes(16384)))
        for window in sent:
            sent[window] -= 16384
        talk.output()
        for said in talk.peer.said:
            if said.kind == frames.WINDOW_UPDATE:
                sent[said.stream] += int.from_bytes(said.payload)
        talk.peer.said.clear()
        assert min(sent.values()) >= 16384


def test_what_is_held_on_all_streams_is_bounded() -> None:
    talk = Talk()
    count = INTAKE_WINDOW // 65535 + 2
    for number in range(1, 2 * count, 2):
        talk.said(talk.peer.request(number, asking("/", "POST"), end=False))
        talk.machine.pause(number)
    for number in range(1, INTAKE_WINDOW // 65535 * 2, 2):
        talk.said(talk.peer.data(number, bytes(16384)) * 3, talk.peer.data(number, bytes(16383)))
    before = talk.machine.choked
    assert frames.WINDOW_UPDATE not in talk.output()
    talk.machine.resume(1)
    talk.machine.reset(3, ErrorCode.CANCEL)
    assert (before, talk.machine.choked) == (True, False)
    talk.output()
    told = [(said.stream, int.from_bytes(said.payload)) for said in talk.peer.said[-3:]]
    assert {stream for stream, _ in told} == {0, 1}
    assert 65535 <= sum(grown for stream, grown in told if not stream) <= 2 * 65535


def test_room_follows_both_windows_and_settings() -> None:
    talk = Talk(initial_window_size=10)
    talk.said(talk.peer.request(1))
    stream = talk.machine.streams[1]
    assert talk.machine.room(stream) == 10
    talk.peer.hear(talk.machine.data(stream, b"1234", end=False))
    assert talk.machine.room(stream) == 6
    assert talk.said(frames.window_update(1, 4)) == [WindowGrew()]
    assert talk.machine.room(stream) == 10
    assert talk.said(frames.settings({frames.INITIAL_WINDOW_SIZE: 0})) == []
    assert talk.machine.room(stream) == 0
    assert talk.said(frames.settings({frames.INITIAL_WINDOW_SIZE: ENOUGH})) == [WindowGrew()]
    assert talk.machine.room(stream) == 16384
    talk.machine.window = 5
    assert talk.machine.room(stream) == 5
    assert talk.said(*[frames.window_update(0, 1)] * 7) == [WindowGrew()]
    assert talk.machine.room(stream) == 12
    assert talk.lost(frames.window_update(1, 2**31 - 1)) == (1, ErrorCode.FLOW_CONTROL_ERROR)


def test_growing_a_streams_window_by_nothing_ends_it() -> None:
    talk = Talk()
    talk.said(talk.peer.request(1))
    assert talk.lost(frames.window_update(1, 0)) == (1, ErrorCode.PROTOCOL_ERROR)


# Answers.


def test_an_answer_in_pieces_with_trailers() -> None:
    talk = Talk()
    talk.said(talk.peer.request(1))
    machine = talk.machine
    stream = machine.streams[1]
    block = b"Content-Type: text/plain\r\nSet-Cookie: a=b\r\nX-Own:  c \r\n"
    out = machine.headers(1, encode_head(103, b"Link: </x>\r\n", None), end=False)
    out += machine.headers(1, encode_head(200, block, 11), end=False)
    out += machine.data(stream, b"hello", end=False) + machine.data(stream, b" world", end=False)
    out += machine.headers(1, encode_trailers(b"Checksum: 7\r\n"), end=True)
    heard = talk.peer.hear(out).streams[1]
    assert heard.interim == [{":status": "103", "link": "</x>"}]
    assert heard.fields == {
        ":status": "200", "content-type": "text/plain", "set-cookie": "a=b", "x-own": "c",
        "content-length": "11",
    }  # fmt: skip
    assert (heard.body, heard.trailers, heard.ended) == (b"hello world", {"checksum": "7"}, True)
    assert heard.reset is None
    assert not machine.streams
    assert machine.headers(1, b"\x88", end=True) == b"", "it is gone"


def test_an_answer_before_the_request_is_over_asks_for_no_more_of_it() -> None:
    talk = Talk()
    talk.said(talk.peer.request(1, asking("/", "POST"), end=False))
    heard = talk.peer.hear(talk.machine.headers(1, b"\x88", end=True)).streams[1]
    assert (heard.ended, heard.reset) == (True, ErrorCode.NO_ERROR)
    assert talk.said(talk.peer.data(1, b"on its way")) == []


def test_a_smaller_table_is_acknowledged_once() -> None:
    talk = Talk(header_table_size=0)
    talk.peer._decoder.max_allowed_table_size = 0
    talk.said(talk.peer.request(1), talk.peer.request(3))
    section = encode_head(200, b"X: y\r\n", None)
    first = talk.machine.headers(1, section, end=True)
    second = talk.machine.headers(3, section, end=True)
    assert len(first) == len(second) + 1
    assert talk.peer.hear(first + second).streams[3].fields["x"] == "y"


def test_a_long_answer_head_comes_in_continuations() -> None:
    section = encode_head(200, b"X: " + b"y" * 40_000 + b"\r\n", None)
    made = frames.headers(1, section, end=True)
    kinds = []
    while made:
        length = int.from_bytes(made[:3])
        kinds.append((made[3], made[4]))
        made = made[9 + length :]
    assert kinds == [
        (frames.HEADERS, frames.END_STREAM),
        (frames.CONTINUATION, 0),
        (frames.CONTINUATION, 4),
    ]


# The end.


def test_ping() -> None:
    talk = Talk()
    talk.said(frames.frame(frames.PING, 0, 0, b"12345678"))
    talk.said(frames.frame(frames.PING, frames.ACK, 0, b"87654321"))
    assert talk.output() == [frames.PING]
    assert (talk.peer.said[-1].flags, talk.peer.said[-1].payload) == (frames.ACK, b"12345678")


def test_goaway_excludes_later_streams() -> None:
    talk = Talk()
    began(talk.said(talk.peer.request(1)))
    soft = talk.machine.goaway(ErrorCode.NO_ERROR, last=frames.HIGHEST_STREAM)
    assert talk.peer.hear(soft).goaway == ErrorCode.NO_ERROR
    began(talk.said(talk.peer.request(3)))
    last = talk.machine.goaway(ErrorCode.NO_ERROR)
    assert int.from_bytes(talk.peer.hear(last).said[-1].payload[:4]) == 3
    assert talk.said(talk.peer.request(5, asking("/", a="b"))) == []
    assert set(talk.machine.streams) == {1, 3}


def test_a_client_leaves() -> None:
    talk = Talk()
    goaway = frames.goaway(0, ErrorCode.ENHANCE_YOUR_CALM, b"why not")
    assert talk.said(goaway) == [ClientLeaves(ErrorCode.ENHANCE_YOUR_CALM)]
