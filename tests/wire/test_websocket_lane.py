"""Lanes, with wsproto as the peer at both ends of them."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from proxy.wire.websocket_frames import CloseReason, close_frame, ping_frame
from proxy.wire.websocket_lane import Lane
from tests.fakes.websocket_frames import KEY, frame

OWN = b"ours-8-b"

ends = st.booleans()
messages = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.text(max_size=300), st.booleans()),
        st.tuples(st.just("bytes"), st.binary(max_size=300), st.booleans()),
        st.tuples(st.just("big"), st.integers(65_000, 66_000), st.booleans()),
        st.tuples(st.just("ping"), st.binary(max_size=125), st.booleans()),
        st.tuples(st.just("pong"), st.binary(max_size=125), st.booleans()),
    ),
    max_size=8,
)
cuts = st.lists(st.integers(0, 400), max_size=30)


def speaker(*, client: bool, deflate: bool = False) -> Connection:
    kind = ConnectionType.CLIENT if client else ConnectionType.SERVER
    extension = PerMessageDeflate()
    extension._enabled = True
    return Connection(kind, [extension] if deflate else [])


def written(connection: Connection, what: list[tuple[str, Any, bool]], *, end: bool) -> bytes:
    """Everything in one stream of bytes; what is not `whole` comes in two frames."""
    out = b""
    for kind, value, whole in what:
        if kind == "ping":
            out += connection.send(Ping(payload=value))
        elif kind == "pong":
            out += connection.send(Pong(payload=value))
        elif kind == "text":
            half = len(value) // 2
            pieces = [value] if whole else [value[:half], value[half:]]
            for piece in pieces:
                out += connection.send(TextMessage(piece, message_finished=piece is pieces[-1]))
        else:
            data = bytes(value) if kind == "big" else value
            if not whole:
                out += connection.send(BytesMessage(data, message_finished=False))
                out += connection.send(Ping(payload=b"between"))
                data = b"more"
            out += connection.send(BytesMessage(data))
    return out + (connection.send(CloseConnection(1000, "bye")) if end else b"")


def split(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        if size:
            pieces.append(data[:size])
            data = data[size:]
    return [*filter(None, pieces), data] if data else [*filter(None, pieces)]


def broken(key: bytes) -> tuple[bytes, ...]:
    """Streams that no end may send, with `key` for a mask or with none."""
    return (
        frame(1, b"x", key=b"" if key else KEY),
        frame(3, b"x", key=key),
        frame(11, b"x", key=key),
        frame(9, bytes(126), key=key),
        frame(9, b"x", fin=False, key=key),
        frame(0, b"x", key=key),
        frame(1, b"x", fin=False, key=key) + frame(2, key=key),
        bytes([0x82, (0x80 if key else 0) | 127]) + b"\xff" * 8 + key,
    )


@dataclass
class Heard:
    """What a peer made of a stream."""

    messages: list[Any] = field(default_factory=list)
    pings: list[bytes] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    closed: tuple[int, str | None] | None = None


def heard(connection: Connection, data: bytes) -> Heard:
    found = Heard()
    connection.receive_data(data)
    running: Any = None
    for event in connection.events():
        if isinstance(event, Ping):
            found.pings.append(bytes(event.payload))
        elif isinstance(event, Pong):
            found.pongs.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            found.closed = (event.code, event.reason)
        elif isinstance(event, TextMessage | BytesMessage):
            part = event.data if isinstance(event, TextMessage) else bytes(event.data)
            running = part if running is None else running + part
            if event.message_finished:
                found.messages.append(running)
                running = None
    return found


@given(client=ends, deflate=ends, what=messages, sizes=cuts, end=ends)
def test_a_watched_lane_changes_nothing(
    *, client: bool, deflate: bool, what: list[Any], sizes: list[int], end: bool
) -> None:
    data = written(speaker(client=client, deflate=deflate), what, end=end)
    lane = Lane(masked=client)
    for piece in split(data, sizes):
        assert lane.push(piece) == piece
    assert (lane.lost, lane.closed) == (False, end)
    assert lane.at_border or end


@given(client=ends, deflate=ends, what=messages, sizes=cuts, end=ends)
def test_a_strict_lane_changes_nothing_either(
    *, client: bool, deflate: bool, what: list[Any], sizes: list[int], end: bool
) -> None:
    data = written(speaker(client=client, deflate=deflate), what, end=end)
    lane = Lane(masked=client, limit=1 << 20, own=OWN)
    assert b"".join(map(lane.push, split(data, sizes))) == data
    assert (lane.at_border, lane.fault, lane.closed) == (True, None, end)


@given(client=ends, what=messages, sizes=cuts, when=st.sets(st.integers(0, 30)))
def test_pings_of_ours_go_between_frames_and_lose_nothing(
    *, client: bool, what: list[Any], sizes: list[int], when: set[int]
) -> None:
    data = written(speaker(client=client), what, end=True)
    lane = Lane(masked=client, own=OWN)
    out = b""
    for number, piece in enumerate(split(data, sizes)):
        if number in when:
            out += lane.say(ping_frame(OWN, masked=client))
        out += lane.push(piece)
    told = heard(speaker(client=not client), out)
    plain = heard(speaker(client=not client), data)
    assert told.pings.count(OWN) <= len(when)
    assert [ping for ping in told.pings if ping != OWN] == plain.pings
    assert (told.messages, told.pongs, told.closed) == (plain.messages, plain.pongs, plain.closed)


@given(client=ends, what=messages, sizes=cuts, where=st.lists(st.integers(0, 8), max_size=4))
def test_answers_to_our_pings_go_no_further(
    *, client: bool, what: list[Any], sizes: list[int], where: list[int]
) -> None:
    mixed = list(what)
    for at in where:
        mixed.insert(min(at, len(mixed)), ("pong", OWN, True))
    data = written(speaker(client=client), mixed, end=False)
    lane = Lane(masked=client, own=OWN)
    out = b"".join(map(lane.push, split(data, sizes)))
    told = heard(speaker(client=not client), out)
    plain = heard(speaker(client=not client), written(speaker(client=client), what, end=False))
    assert told == plain


@given(client=ends, strict=ends, what=messages, sizes=cuts, when=st.integers(0, 30))
def test_a_close_frame_of_ours_ends_everything_at_a_border(
    *, client: bool, strict: bool, what: list[Any], sizes: list[int], when: int
) -> None:
    data = written(speaker(client=client), [*what, ("bytes", b"last", True)], end=True)
    lane = Lane(masked=client, own=OWN if strict else b"")
    out = b""
    for number, piece in enumerate(split(data, sizes)):
        if number == when:
            out += lane.say(close_frame(CloseReason.GOING_AWAY, "stop", masked=client), last=True)
        out += lane.push(piece)
    told = heard(speaker(client=not client), out)
    plain = heard(speaker(client=not client), data)
    assert told.messages == plain.messages[: len(told.messages)]
    assert lane.closed, "the source's own is seen all the same"
    assert told.closed == ((1001, "stop") if lane.shut else (1000, "bye"))
    if not lane.shut:
        assert told.messages == plain.messages


@given(data=st.binary(max_size=200), sizes=cuts, masked=ends)
def test_a_watched_lane_passes_what_is_no_websocket(
    *, data: bytes, sizes: list[int], masked: bool
) -> None:
    lane = Lane(masked=masked)
    for piece in split(data, sizes):
        assert lane.push(piece) == piece
        assert len(lane._head) < 14


@given(data=st.binary(max_size=400), sizes=cuts, masked=ends)
def test_a_strict_lane_keeps_little(*, data: bytes, sizes: list[int], masked: bool) -> None:
    lane = Lane(masked=masked, limit=1000, own=OWN)
    out = b""
    for piece in split(data, sizes):
        out += lane.push(piece)
        assert len(lane._head) <= 14 + 125
    assert len(out) <= len(data)


@pytest.mark.parametrize("masked", [True, False], ids=["client", "server"])
@pytest.mark.parametrize("number", range(8))
def test_what_breaks_a_rule(number: int, *, masked: bool) -> None:
    key = KEY if masked else b""
    good, bad = frame(1, b"good", key=key), broken(key)[number]
    watched = Lane(masked=masked)
    assert watched.push(good + bad) == good + bad
    assert not watched.at_border
    assert watched.push(b"any") == b"any"
    assert (watched.lost, watched.at_border, watched.fault) == (True, False, None)
    assert watched.say(b"ours", last=True) == b""
    for size in (1, 1000):
        strict = Lane(masked=masked, limit=1000)
        whole = good + bad
        out = b"".join(strict.push(whole[at : at + size]) for at in range(0, len(whole), size))
        assert out.startswith(good)
        assert good + bad != out
        assert strict.fault is CloseReason.PROTOCOL_ERROR
        assert strict.push(good) == b""
        assert strict.say(b"ours", last=True) == b"ours"
        assert strict.shut


# max_message.


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("masked", [True, False], ids=["client", "server"])
def test_a_message_may_have_its_limit_and_no_more(size: int, *, masked: bool) -> None:
    key = KEY if masked else b""
    before = frame(2, bytes(1000), key=key) + frame(1, bytes(600), fin=False, key=key)
    before += frame(9, bytes(125), key=key) + frame(0, bytes(400), key=key)
    before += frame(1, bytes(500), fin=False, key=key) + frame(0, bytes(500), fin=False, key=key)
    lane = Lane(masked=masked, limit=1000)
    fine = b"".join(lane.push(before[at : at + size]) for at in range(0, len(before), size))
    assert (fine, lane.fault) == (before, None)
    more = frame(0, b"x", key=key)
    assert b"".join(lane.push(more[at : at + size]) for at in range(0, len(more), size)) == b""
    assert lane.fault is CloseReason.MESSAGE_TOO_BIG
    assert lane.say(b"ours", last=True) == b"ours"


def test_a_message_too_big_is_told_by_its_head_alone() -> None:
    lane = Lane(masked=False, limit=1000)
    assert lane.push(frame(1, b"fine") + b"\x82\x7f" + (1 << 40).to_bytes(8)) == frame(1, b"fine")
    assert lane.fault is CloseReason.MESSAGE_TOO_BIG


def test_behind_a_message_too_big_a_close_frame_is_still_heard() -> None:
    lane = Lane(masked=False, limit=10)
    data = frame(2, bytes(70_000)) + frame(1, b"x") + frame(8, b"\x03\xf1")
    assert b"".join(lane.push(data[at : at + 999]) for at in range(0, len(data), 999)) == b""
    assert lane.closed


# What the owner is told.


def test_a_ping_of_the_source_is_news() -> None:
    lane = Lane(masked=False, own=OWN)
    lane.push(frame(1, b"x"))
    assert not lane.news
    lane.push(frame(9, b"x"))
    assert (lane.pinged, lane.news) == (True, True)


def test_a_ping_that_waits_gives_way_to_a_close_frame() -> None:
    lane = Lane(masked=False, own=OWN)
    message = frame(1, b"hello")
    assert lane.push(message[:4]) == message[:4]
    assert lane.say(b"ping") == b""
    assert lane.say(b"close", last=True) == b""
    assert lane.say(b"ping") == b""
    assert lane.push(message[4:] + message) == message[4:] + b"close"
    assert lane.shut


def test_a_frame_that_ends_with_what_came_lets_ours_out_at_once() -> None:
    lane = Lane(masked=False)
    message = frame(1, b"hello")
    lane.push(message[:4])
    lane.say(b"close", last=True)
    assert lane.push(message[4:]) == message[4:] + b"close"


def test_a_head_in_two_pieces_is_no_border_of_a_watched_lane() -> None:
    lane = Lane(masked=False)
    message = frame(1, bytes(200))
    assert lane.push(message[:3]) == message[:3]
    assert not lane.at_border
    lane.say(b"close", last=True)
    assert lane.push(message[3:150]) == message[3:150]
    assert lane.push(message[150:] + message) == message[150:] + b"close"
