"""Against h2 as the server, and against frames that no server should send."""

from collections.abc import Callable
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamReset, TrailersReceived
from h2.settings import SettingCodes
from hpack import Encoder

from proxy.errors import BadResponseError
from proxy.wire import http2_frames as frames
from proxy.wire.http2_client import (
    WINDOW,
    Body,
    End,
    Going,
    Head,
    Http2Client,
    Lost,
    Room,
    Told,
)
from tests.fakes.http2_peer import Http2Peer

GET = b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"
HEAD = b"HEAD /x HTTP/1.1\r\nHost: a.test\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a.test\r\n\r\n"


class Line:
    """A client, and h2 at the other end."""

    def __init__(self, **settings: int) -> None:
        self.client = Http2Client(secure=False)
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.server.config.validate_outbound_headers = False
        self.server.initiate_connection()
        if settings:
            codes = {getattr(SettingCodes, name.upper()): value for name, value in settings.items()}
            self.server.update_settings(codes)
        self.heard()
        self.told()
        self.heard()

    def heard(self) -> list[Any]:
        """What the server heard since."""
        return list(self.server.receive_data(self.client.take()))

    def told(self) -> list[Told]:
        """What the client was told since."""
        return self.client.receive(self.server.data_to_send())

    def ask(self, raw: bytes = GET, *, ended: bool = True) -> int:
        number = self.client.request(raw, ended=ended)
        self.heard()
        return number

    def say(self, number: int, *fields: tuple[str, str], end: bool = False) -> None:
        self.server.send_headers(number, [(":status", "200"), *fields], end_stream=end)


def lost(told: list[Told]) -> list[tuple[int, bool]]:
    return [(each.number, each.error.retry) for each in told if isinstance(each, Lost)]


def test_a_request_and_its_answer() -> None:
    line = Line()
    number = line.client.request(GET, ended=True)
    (asked,) = [each for each in line.heard() if isinstance(each, RequestReceived)]
    assert asked.headers[:4] == [
        (b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/x"), (b":authority", b"a.test"),
    ]  # fmt: skip
    assert asked.stream_ended is not None
    line.say(number, ("x-a", "1"))
    line.server.send_data(number, b"body")
    line.server.send_headers(number, [("x-sum", "2"), ("content-length", "9")], end_stream=True)
    head, body, end = line.told()
    assert isinstance(head, Head)
    assert (head.number, head.head.status, head.head.block, head.ended) == (
        number, 200, b"x-a: 1\r\n", False,
    )  # fmt: skip
    assert body == Body(number, b"body", 4)
    assert end == End(number, b"x-sum: 2\r\n")


def test_over_tls_the_scheme_is_https() -> None:
    line = Line()
    line.client = Http2Client(secure=True)
    line.server = H2Connection(H2Configuration(client_side=False))
    line.server.initiate_connection()
    line.heard()
    line.told()
    line.client.request(GET, ended=True)
    (asked,) = [each for each in line.heard() if isinstance(each, RequestReceived)]
    assert (b":scheme", b"https") in asked.headers


def test_a_request_with_body_and_trailers() -> None:
    line = Line()
    number = line.ask(POST, ended=False)
    line.client.data(number, b"part", end=False)
    line.client.trailers(number, [(b"x-sum", b"1")])
    data, trailers, _ = line.heard()
    assert isinstance(data, DataReceived)
    assert isinstance(trailers, TrailersReceived)
    assert (data.data, trailers.headers) == (b"part", [(b"x-sum", b"1")])


def test_secrets_stay_out_of_the_table() -> None:
    line = Line()
    raw = GET[:-2] + b"Authorization: Bearer abc\r\n\r\n"
    line.client.request(raw, ended=True)
    sent = line.client.take()
    line.server.receive_data(sent)
    table = line.server.decoder.header_table.dynamic_entries
    assert b"authorization" not in [name for name, _ in table]
    assert b"x-not-there" not in sent


def test_it_takes_no_pushes() -> None:
    line = Line()
    assert line.server.remote_settings.enable_push == 0
    number = line.ask()
    promise = frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, number, b"\0\0\0\2")
    with pytest.raises(BadResponseError):
        line.client.receive(promise)


def test_room_is_what_the_upstream_allows() -> None:
    line = Line(max_concurrent_streams=2)
    assert line.client.room == 2
    first = line.ask()
    line.ask()
    assert line.client.room == 0
    line.say(first, end=True)
    line.told()
    assert line.client.room == 1


def test_there_is_no_room_after_the_last_number() -> None:
    line = Line()
    line.client._machine.highest_outbound_stream_id = frames.HIGHEST_STREAM - 2
    assert line.client.room == 0


def test_a_whole_answer_in_its_head() -> None:
    line = Line()
    number = line.ask(HEAD)
    line.say(number, ("content-length", "500"), end=True)
    (head,) = line.told()
    assert isinstance(head, Head)
    assert (head.ended, head.head.content_length) == (True, 500)


def test_interim_heads() -> None:
    line = Line()
    number = line.ask()
    line.server.send_headers(number, [(":status", "103"), ("link", "</a>")])
    line.say(number, end=True)
    early, head = line.told()
    assert isinstance(early, Head)
    assert isinstance(head, Head)
    assert (early.head.status, early.ended, head.head.status) == (103, False, 200)


def test_bytes_come_in_any_pieces() -> None:
    line = Line()
    number = line.ask()
    line.say(number)
    line.server.send_data(number, b"abc", end_stream=True)
    told = [
        each for byte in line.server.data_to_send() for each in line.client.receive(bytes((byte,)))
    ]
    assert [type(each) for each in told] == [Head, Body, End]


# Windows.


def test_an_answer_stops_at_its_window_until_it_is_taken() -> None:
    line = Line()
    number = line.ask()
    line.say(number)
    sent = 0
    while room := min(line.server.local_flow_control_window(number), 16384):
        line.server.send_data(number, b"x" * room)
        sent += room
    assert sent == WINDOW
    line.told()
    line.heard()
    assert line.server.local_flow_control_window(number) == 0
    assert line.server.outbound_flow_control_window > WINDOW  # others go on
    line.client.consumed(number, WINDOW // 2 - 1)
    line.heard()
    assert line.server.local_flow_control_window(number) == 0
    line.client.consumed(number, 1)
    line.heard()
    assert line.server.local_flow_control_window(number) == WINDOW // 2


def test_the_connections_window_opens_by_itself() -> None:
    line = Line()
    before = line.server.outbound_flow_control_window
    for _ in range(40):
        number = line.ask()
        line.say(number)
        for _ in range(16):
            line.server.send_data(number, b"x" * 16384)
        line.told()
        line.client.reset(number)
        line.heard()
    assert line.server.outbound_flow_control_window > before // 2


def test_what_is_taken_of_a_stream_that_is_over_is_nothing() -> None:
    line = Line()
    line.client.consumed(7, WINDOW)
    assert not line.client.take()


def test_a_body_waits_for_the_upstreams_window() -> None:
    line = Line(initial_window_size=10)
    number = line.ask(POST, ended=False)
    assert line.client.window(number) == 10
    line.client.data(number, b"x" * 10, end=False)
    line.heard()
    assert line.client.window(number) == 0
    line.server.increment_flow_control_window(5, number)
    assert Room(number) in line.told()
    assert line.client.window(number) == 5


def test_a_window_may_become_less_than_nothing() -> None:
    line = Line(initial_window_size=10)
    number = line.ask(POST, ended=False)
    line.client.data(number, b"x" * 10, end=False)
    line.server.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    line.told()
    assert line.client.window(number) == 0


# Ends.


def test_refused_streams_may_be_asked_for_elsewhere() -> None:
    line = Line()
    first, second = line.ask(), line.ask()
    line.server.reset_stream(first, ErrorCodes.REFUSED_STREAM)
    line.server.reset_stream(second, ErrorCodes.INTERNAL_ERROR)
    assert lost(line.told()) == [(first, True), (second, False)]


def test_a_reset_behind_the_answer_is_no_news() -> None:
    line = Line()
    number = line.ask(POST, ended=False)
    line.say(number, end=True)
    line.server.reset_stream(number, ErrorCodes.NO_ERROR)
    assert [type(each) for each in line.told()] == [Head]


def test_giving_up() -> None:
    line = Line()
    number = line.ask()
    line.say(number)
    line.server.send_data(number, b"x")
    late = line.server.data_to_send()
    line.client.reset(number)
    (reset,) = line.heard()
    assert isinstance(reset, StreamReset)
    assert reset.error_code is ErrorCodes.CANCEL
    assert line.client.receive(late) == []
    line.client.reset(number)  # again: nothing
    other = line.ask()
    line.say(other, end=True)
    assert len(line.told()) == 1


def test_who_goes_away_finishes_what_runs() -> None:
    line = Line()
    first, second = line.ask(), line.ask()
    line.say(first)
    line.client.receive(line.server.data_to_send() + frames.goaway(first, 0))
    assert (line.client.going, line.client.room) == (True, 0)
    line.server.send_data(first, b"x", end_stream=True)
    assert line.told() == [Body(first, b"x", 1), End(first, b"")]
    assert second not in line.client._answers


def test_what_an_upstream_that_goes_did_not_look_at_may_be_sent_again() -> None:
    line = Line()
    first, second = line.ask(), line.ask()
    told = line.client.receive(frames.goaway(first, 0, b"enough"))
    assert lost(told) == [(second, True)]
    assert told[-1] == Going(first)


def test_goodbye() -> None:
    line = Line()
    line.client.close()
    assert [type(each).__name__ for each in line.heard()] == ["ConnectionTerminated"]
    line.client.close()
    assert not line.client.take()


# What breaks a stream, and leaves the connection.


def spoil_status(server: H2Connection, number: int) -> None:
    server.send_headers(number, [(":status", "20")])


def spoil_name(server: H2Connection, number: int) -> None:
    server.send_headers(number, [(":status", "200"), ("x:y", "1")])


def spoil_value(server: H2Connection, number: int) -> None:
    server.send_headers(number, [(":status", "200"), ("x", "a\r\nset-cookie: b")])


def spoil_switch(server: H2Connection, number: int) -> None:
    server.send_headers(number, [(":status", "101")])


def spoil_long(server: H2Connection, number: int) -> None:
    server.send_headers(number, [(":status", "200"), ("content-length", "2")])
    server.send_data(number, b"xyz")


def spoil_short(server: H2Connection, number: int) -> None:
    server.send_headers(number, [(":status", "200"), ("content-length", "4")])
    server.send_data(number, b"xyz", end_stream=True)


def spoil_trailers(server: H2Connection, number: int) -> None:
    server.send_headers(number, [(":status", "200")])
    server.send_headers(number, [("x", "a\nb")], end_stream=True)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_status, spoil_name, spoil_value, spoil_switch, spoil_long, spoil_short,
        spoil_trailers,
    ],
)  # fmt: skip
def test_a_malformed_answer_ends_its_stream_alone(
    spoil: Callable[[H2Connection, int], None],
) -> None:
    line = Line()
    other, number = line.ask(), line.ask()
    spoil(line.server, number)
    assert lost(line.told()) == [(number, False)]
    line.heard()
    line.say(other, end=True)
    (head,) = line.told()
    assert isinstance(head, Head)
    assert head.number == other


def test_a_body_behind_the_answer_to_head() -> None:
    line = Line()
    number = line.ask(HEAD)
    line.say(number)
    line.server.send_data(number, b"x")
    assert lost(line.told()) == [(number, False)]


# What breaks the connection.


def section(*fields: tuple[str, str]) -> bytes:
    return bytes(Encoder().encode(fields))


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        frames.frame(frames.PING, 0, 0, b"8" * 8),  # before SETTINGS
        frames.frame_header(16_385, frames.SETTINGS, 0, 0),
    ],
)
def test_who_does_not_speak_http2(said: bytes) -> None:
    client = Http2Client(secure=False)
    client.take()
    with pytest.raises(BadResponseError):
        client.receive(said)
    assert not client.settled


def test_an_answer_that_crossed_with_our_reset_harms_nobody() -> None:
    line = Line()
    gone = line.ask(POST, ended=False)
    line.say(gone, ("x-late", "1"))
    line.server.send_data(gone, b"late")
    line.server.send_headers(gone, [("grpc-status", "4")], end_stream=True)
    late = line.server.data_to_send()
    line.client.reset(gone)
    line.heard()
    more = line.ask()  # h2 forgets about streams that are over
    assert line.client.receive(late) == []
    line.say(more, ("x-late", "1"), end=True)
    assert len(line.told()) == 1


@pytest.mark.parametrize(
    "said",
    [
        frames.frame(frames.GOAWAY, 0, 0, b"1234567"),
        frames.frame(frames.GOAWAY, 0, 1, b"12345678"),
        frames.frame(frames.HEADERS, frames.END_HEADERS, 2, section((":status", "200"))),
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff\xff"),
        frames.frame(frames.SETTINGS, 0, 0, b"12345"),
        frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
        frames.frame(frames.PING, 0, 0, b"short"),
        frames.frame(frames.DATA, 0, 1, b"before a head"),
        frames.frame(frames.CONTINUATION, 0, 1, b""),
        frames.frame(frames.HEADERS, frames.PADDED | frames.END_HEADERS, 1, b"\xff"),
        frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.DATA, 0, 1, b""),
        frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.CONTINUATION, 0, 1, b"") * 70,
        frames.headers(1, section(*[(f"x-{n}", "y" * 4000) for n in range(20)]), end=True),
    ],
)
def test_what_breaks_the_connection(said: bytes) -> None:
    line = Line()
    assert line.ask() == 1
    with pytest.raises(BadResponseError):
        line.client.receive(said)


@pytest.mark.parametrize(
    "frame",
    [
        frames.frame(frames.PING, 0, 0, b"8" * 8),
        frames.settings({}),
        frames.frame(frames.DATA, 0, 1, b""),
        frames.frame(99, 0, 0, b"unknown"),
    ],
)
def test_frames_that_lead_to_nothing_are_counted(frame: bytes) -> None:
    line = Line()
    number = line.ask()
    line.say(number)
    line.told()
    line.client.receive(frame * 900)
    line.client.forgive()
    line.client.receive(frame * 900)
    line.client.take()
    with pytest.raises(BadResponseError):
        line.client.receive(frame * 101)
    assert Http2Peer().hear(line.client.take()).goaway == frames.ErrorCode.ENHANCE_YOUR_CALM
