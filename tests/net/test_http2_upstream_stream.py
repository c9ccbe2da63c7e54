"""One stream, without a loop's sockets: what is told of it, and what goes onto the wire."""

import asyncio
import math

import pytest

from proxy.clock import monotonic
from proxy.net.channel import HIGH_WATER, Channel
from proxy.net.http2_upstream import Http2Upstream
from proxy.net.http2_upstream_stream import Http2UpstreamStream
from proxy.upstream.peer import Peer
from proxy.upstream.plan import ServerPlan
from proxy.wire import http2_frames as frames
from proxy.wire.http2_client import WINDOW
from tests.fakes.exchanges import looked_at
from tests.fakes.http2_peer import Http2Peer
from tests.fakes.transports import MemoryTransport, feed
from tests.fakes.upstream_line import PLAN, Story

OK = [(":status", "200")]


class Owner:
    """A pool that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def stream_answering(self, peer: Peer) -> None:
        self.told.append(f"{peer.label} answering")

    def stream_over(self, peer: Peer) -> None:
        self.told.append(f"{peer.label} over")

    def shared_lost(self, connection: Http2Upstream) -> None:
        self.told.append(f"{connection.peer.label} lost")


class Line:
    """A connection whose upstream is the test."""

    def __init__(self, **settings: int) -> None:
        self.transport = MemoryTransport()
        channel = Channel()
        channel.connection_made(self.transport)
        self.owner = Owner()
        self.peer = Peer(ServerPlan("h2c://app", "h2c", "app", 80), ("192.0.2.9", 80), 3)
        self.connection = Http2Upstream(
            channel, self.peer, self.owner, secure=False, keep_idle=30.0
        )
        self.server = Http2Peer()
        self.transport.data = self.transport.data.removeprefix(frames.PREFACE)
        self.hear(self.server.hello(**settings).removeprefix(frames.PREFACE))

    def hear(self, data: bytes) -> None:
        feed(self.connection.channel, data)

    def said(self) -> Http2Peer:
        self.server.hear(self.transport.read())
        return self.server

    def ask(
        self, story: Story, method: str = "GET", *, body: bool = False, fresh: bool = False
    ) -> Http2UpstreamStream:
        exchange = looked_at(method=method)
        exchange.head.authority = "a.test"
        exchange.head.chunked = body
        stream = self.connection.stream(fresh=fresh)
        stream.hold(story, exchange, PLAN)
        stream.send_head(None)
        if not body:
            stream.end_body(b"")
        return stream

    def answer(self, stream: Http2UpstreamStream, *, end: bool = False) -> bytes:
        return self.server.request(stream.number, OK, end=end)

    def left(self) -> float:
        left = self.connection.channel.deadline - monotonic()
        return left if left == math.inf else round(left, 1)


@pytest.fixture
async def line() -> Line:
    return Line()


async def test_an_answer_is_told_in_order(line: Line) -> None:
    story = Story()
    stream = line.ask(story)
    assert (stream.number, stream.peer, stream.reused, stream.answer_began) == (
        1, line.peer, False, False,
    )  # fmt: skip
    assert line.left() == 40.0
    assert line.said().streams[1].ended
    line.hear(line.answer(stream) + line.server.data(1, b"abc"))
    assert story.heard() == [("head", 200), ("body", b"abc"), "turn"]
    assert stream.answer_began
    line.hear(line.server.data(1, b"d", end=True))
    assert story.heard() == [("body", b"d"), ("end", b"")]
    assert line.owner.told == ["h2c://app answering", "h2c://app over"]
    assert line.connection.idle
    assert line.left() == 30.0
    assert line.ask(story).reused


async def test_an_answer_without_a_body_is_told_whole(line: Line) -> None:
    story = Story()
    line.hear(line.answer(line.ask(story), end=True))
    assert story.heard() == [("whole", 200, b"")]
    line.hear(line.answer(line.ask(story, "HEAD"), end=True))
    assert story.heard() == [("head", 200), ("end", b"")]


async def test_a_stream_that_nobody_wants(line: Line) -> None:
    line.connection.stream(fresh=False).give_back()
    assert line.owner.told == ["h2c://app over"]
    assert not line.said().streams
    assert line.left() == 30.0


async def test_dropping_says_cancel_once(line: Line) -> None:
    story = Story()
    stream = line.ask(story)
    stream.drop()
    stream.drop()
    stream.close_after_writing()
    assert line.said().streams[1].reset == frames.ErrorCode.CANCEL
    assert line.owner.told == ["h2c://app over"]
    line.hear(line.answer(stream))
    assert story.heard() == []
    assert line.connection.open


async def test_what_is_said_of_a_stream_that_is_over_is_ignored(line: Line) -> None:
    story = Story()
    stream = line.ask(story, "POST", body=True)
    stream.drop()
    line.said()
    stream.send_head(None)
    stream.send_body(b"x")
    stream.end_body(b"")
    stream.resume_reading()
    assert not line.transport.data


async def test_a_paused_stream_keeps_its_window_shut(line: Line) -> None:
    story = Story()
    stream = line.ask(story)
    line.hear(line.answer(stream))
    stream.pause_reading()
    for _ in range(WINDOW // 16384):
        line.hear(line.server.data(1, b"x" * 16384))
    updates = [each for each in line.said().said if each.kind == frames.WINDOW_UPDATE]
    assert [each.stream for each in updates] == [0]
    assert story.told.count(("body", b"x" * 16384)) == 16  # as much as was on its way
    stream.resume_reading()
    opened = line.said().said[-1]
    assert (opened.stream, int.from_bytes(opened.payload)) == (1, WINDOW)
    assert line.left() <= 20.0


async def test_nothing_times_out_while_paused(line: Line) -> None:
    story = Story()
    stream = line.ask(story)
    line.hear(line.answer(stream))
    stream.pause_reading()
    assert stream.due == math.inf
    assert not line.connection.deadline_passed(monotonic() + 100)
    assert line.left() == math.inf
    stream.set_idle(5.0)
    assert stream.due == math.inf
    stream.resume_reading()
    assert line.left() == 5.0


async def test_a_body_stops_its_sender_and_lets_it_go_on() -> None:
    line = Line(initial_window_size=0)
    story = Story()
    stream = line.ask(story, "POST", body=True)
    for _ in range(5):
        stream.send_body(b"x" * 16384)
    assert story.heard() == ["full"]
    line.hear(frames.window_update(1, 70_000))  # of the connection's there is less
    assert len(line.said().streams[1].body) == 65_535
    assert story.heard() == []
    line.hear(frames.window_update(0, 70_000))
    assert story.heard() == ["ready"]
    assert not stream.writing_paused
    stream.end_body(b"X-Sum: 1\r\n")
    heard = line.said().streams[1]
    assert (len(heard.body), heard.ended) == (70_000, False)
    line.hear(frames.window_update(1, 70_000))
    heard = line.said().streams[1]
    assert (len(heard.body), heard.ended, heard.trailers) == (81_920, True, {"x-sum": "1"})


async def test_bodies_take_turns() -> None:
    line = Line(initial_window_size=1 << 20)
    line.hear(frames.window_update(0, 1 << 20))
    line.connection.channel.pause_writing()
    one, other = Story(), Story()
    first, second = line.ask(one, "POST", body=True), line.ask(other, "POST", body=True)
    for stream in (first, second):
        stream.send_body(b"x" * 3 * 16384)
    assert (one.heard(), other.heard()) == (["full"], ["full"])
    line.connection.channel.resume_writing()
    order = [each.stream for each in line.said().said if each.kind == frames.DATA]
    assert order == [1, 3, 1, 3, 1, 3]
    assert (one.heard(), other.heard()) == (["ready"], ["ready"])


async def test_what_was_not_looked_at_tells_nothing_of_the_server(line: Line) -> None:
    first, second = Story(), Story()
    one, other = line.ask(first), line.ask(second, fresh=True)
    for stream in (one, other):
        line.hear(frames.rst_stream(stream.number, frames.ErrorCode.REFUSED_STREAM))
    assert (first.heard(), second.heard()) == ([("error", 502)], [("error", 502)])
    assert (one.reused, other.reused) == (True, False)


async def test_time_is_up_for_one_alone(line: Line) -> None:
    late, other = Story(), Story()
    stream = line.ask(late)
    waiting = line.ask(other, "POST", body=True)
    assert waiting.due == math.inf  # who has not sent all is not waited for yet
    now = monotonic() + 41
    assert line.connection.deadline_passed(now)
    assert late.heard() == [("error", 504)]
    assert other.heard() == []
    assert line.said().streams[stream.number].reset == frames.ErrorCode.CANCEL
    assert line.left() == math.inf


async def test_an_upstream_that_reads_nothing_loses_all(line: Line) -> None:
    story = Story()
    line.ask(story, "POST", body=True)
    assert line.connection.deadline_passed(monotonic())  # as the sweep says it of a stalled channel
    assert story.heard() == [("error", 504)]
    assert not line.connection.open


async def test_a_connection_that_is_lost_tells_everybody(line: Line) -> None:
    one, other = Story(), Story()
    line.ask(one)
    line.ask(other)
    line.connection.channel.connection_lost(None)
    assert (one.heard(), other.heard()) == ([("error", 502)], [("error", 502)])
    assert line.owner.told == ["h2c://app over", "h2c://app over", "h2c://app lost"]


async def test_a_request_on_a_connection_that_just_closed(line: Line) -> None:
    story = Story()
    line.connection.channel.abort()
    stream = line.ask(story, "POST", body=True)
    stream.send_body(b"x")
    assert story.heard() == []
    await asyncio.sleep(0)
    assert story.heard() == [("error", 502)]
    assert stream.reused  # so it is tried again


async def test_frames_break_the_connection_and_it_says_so(line: Line) -> None:
    story = Story()
    line.ask(story)
    line.said()
    line.hear(frames.frame(frames.SETTINGS, 0, 0, b"12345"))
    assert story.heard() == [("error", 502)]
    assert line.said().goaway is not None
    assert line.transport.closed


async def test_pings_do_not_keep_an_idle_connection(line: Line) -> None:
    line.connection.rest()
    deadline = line.connection.channel.deadline
    line.hear(frames.frame(frames.PING, 0, 0, b"12345678"))
    assert line.connection.channel.deadline == deadline
    assert line.said().said[-1].kind == frames.PING
    assert not line.connection.deadline_passed(deadline)
    assert line.said().goaway == 0
    assert line.transport.closed


async def test_a_client_that_is_paused_by_the_channel(line: Line) -> None:
    story = Story()
    stream = line.ask(story, "POST", body=True)
    stream.send_body(b"x")
    assert story.heard() == []
    line.connection.channel.pause_writing()
    assert story.heard() == []  # nothing waits
    stream.send_body(b"x" * 10)
    assert story.heard() == ["full"]
    assert len(line.transport.data) < HIGH_WATER
    line.connection.channel.resume_writing()
    assert story.heard() == ["ready"]


@pytest.mark.parametrize("how", ["reset", "answered"])
async def test_an_end_that_is_still_to_be_told(line: Line, how: str) -> None:
    """While one stream's end is told, others that ended in the same read send nothing more."""
    first, second = Story(), Story()
    one, other = line.ask(first), line.ask(second, "POST", body=True)
    line.said()
    first.when["whole"] = lambda: other.end_body(b"X-Sum: 1\r\n")
    end = (
        frames.rst_stream(other.number, frames.ErrorCode.NO_ERROR)
        if how == "reset"
        else line.answer(other, end=True)
    )
    # The fields of the first come first: one encoder makes both.
    line.hear(line.server.request(one.number, OK) + end)
    assert first.heard() == [("whole", 200, b"")]
    assert second.heard() == [("error", 502) if how == "reset" else ("whole", 200, b"")]
    heard = line.said().streams[other.number]
    assert (heard.trailers, heard.ended) == ({}, False)
    assert heard.reset == (None if how == "reset" else frames.ErrorCode.CANCEL)
    assert line.connection.open
    assert line.connection.room == 1000
