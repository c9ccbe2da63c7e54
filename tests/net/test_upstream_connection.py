import math

import pytest

from tests.fakes.exchanges import looked_at
from tests.fakes.transports import feed
from tests.fakes.upstream_line import PLAN, Story, UpstreamLine

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.fixture
def line() -> UpstreamLine:
    return UpstreamLine()


# Requests.


def test_a_request_without_a_body(line: UpstreamLine) -> None:
    line.ask()
    sent = line.transport.read()
    assert sent.startswith(b"GET / HTTP/1.1\r\nHost: a.test\r\n")
    assert sent.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in sent


def test_a_request_in_chunks_with_trailers(line: UpstreamLine) -> None:
    exchange = looked_at(method="POST")
    exchange.head.chunked = True
    line.connection.hold(line.story, exchange, PLAN)
    line.connection.send_head(None)
    assert b"\r\nTransfer-Encoding: chunked\r\n" in line.transport.read()
    line.connection.send_body(b"0123456789")
    line.connection.end_body(b"X-Sum: 1\r\n")
    assert line.transport.read() == b"a\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n"


def test_a_body_that_was_kept_goes_with_its_length(line: UpstreamLine) -> None:
    exchange = looked_at(method="POST")
    exchange.head.chunked = True
    line.connection.hold(line.story, exchange, PLAN)
    line.connection.send_head(3)
    line.connection.send_body(b"abc")
    line.connection.end_body(b"")
    sent = line.transport.read()
    assert b"\r\nContent-Length: 3\r\n" in sent
    assert b"chunked" not in sent
    assert sent.endswith(b"\r\n\r\nabc")


def test_nothing_is_sent_for_nobody(line: UpstreamLine) -> None:
    line.connection.send_head(None)
    assert not line.transport.read()


def test_a_slow_reader_is_told(line: UpstreamLine) -> None:
    line.channel.pause_writing()
    line.channel.resume_writing()
    assert line.story.heard() == [], "nobody sends"
    line.ask("POST", whole=False)
    line.channel.pause_writing()
    seen = [line.connection.writing_paused]
    line.channel.resume_writing()
    assert [*seen, line.connection.writing_paused] == [True, False]
    assert line.story.heard() == ["full", "ready"]


# Answers.


def test_an_answer_in_one_read(line: UpstreamLine) -> None:
    for count in range(3):
        assert line.connection.reused is bool(count)
        line.ask()
        assert line.hear(OK) == ["reusable", ("whole", 200, b"ok")]
        assert line.left() == math.inf
    assert line.connection.open


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
FRAMINGS = [
    (b"Content-Length: 5\r\n\r\nhe", b"llo", b""),
    (CHUNKED + b"2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n", b""),
    (CHUNKED + b"2\r\nhe\r\n", b"3\r\nllo\r\n0\r\nA: b\r\n\r\n", b"A: b\r\n"),
]


@pytest.mark.parametrize(("begin", "rest", "trailers"), FRAMINGS)
def test_an_answer_in_pieces(
    line: UpstreamLine, begin: bytes, rest: bytes, trailers: bytes
) -> None:
    line.ask()
    assert line.hear(b"HTTP/1.1 200 OK\r\n" + begin) == [
        "answering", ("head", 200), ("body", b"he"), "turn",
    ]  # fmt: skip
    assert line.connection.answer_began
    assert line.hear(rest) == [("body", b"llo"), "reusable", ("end", trailers)]


@pytest.mark.parametrize(("begin", "rest", "trailers"), FRAMINGS)
def test_an_answer_byte_by_byte(
    line: UpstreamLine, begin: bytes, rest: bytes, trailers: bytes
) -> None:
    line.ask()
    feed(line.channel, b"HTTP/1.1 200 OK\r\n" + begin + rest, 1)
    told = [call for call in line.story.heard() if call != "turn"]
    body = b"".join(call[1] for call in told if isinstance(call, tuple) and call[0] == "body")
    assert body == b"hello"
    assert told[:2] == ["answering", ("head", 200)]
    assert told[-2:] == ["reusable", ("end", trailers)]


def test_an_answer_that_lasts_until_the_end(line: UpstreamLine) -> None:
    line.ask()
    assert line.hear(b"HTTP/1.1 200 OK\r\n\r\nhe")[-2:] == [("body", b"he"), "turn"]
    assert line.hear(b"llo") == [("body", b"llo"), "turn"]
    line.channel.eof_received()
    assert line.story.heard() == ["worn out", ("end", b"")]


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
def test_an_answer_without_a_body(line: UpstreamLine, method: str, head: bytes) -> None:
    line.ask(method)
    status = int(head[9:12])
    assert line.hear(head) == ["answering", ("head", status), "reusable", ("end", b"")]


def test_interim_answers_are_no_answer(line: UpstreamLine) -> None:
    line.ask()
    assert line.hear(b"HTTP/1.1 103 Early Hints\r\n\r\n") == [("interim", 103), "turn"]
    assert line.hear(OK) == ["reusable", ("whole", 200, b"ok")]


def test_what_the_server_says_of_its_patience_is_kept(line: UpstreamLine) -> None:
    for answer in (OK, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
        line.ask()
        line.hear(answer.replace(b"OK\r\n", b"OK\r\nKeep-Alive: timeout=5\r\n"))
        assert [line.connection.keep_alive_timeout] == [5.0]
        line.ask()
        line.hear(OK)
        assert [line.connection.keep_alive_timeout] == [None]


# What makes a connection unfit for another request.


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"),
        OK.replace(b"1.1", b"1.0"),
        OK + b"H",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
    ],
)
def test_an_answer_after_which_it_is_not_used_again(line: UpstreamLine, answer: bytes) -> None:
    line.ask()
    told = line.hear(answer)
    assert "worn out" in told
    assert "reusable" not in told


def test_an_answer_before_the_request_was_out(line: UpstreamLine) -> None:
    line.ask("POST", whole=False)
    assert line.hear(OK) == ["worn out", ("whole", 200, b"ok")]


def test_what_is_closing_is_not_used_again(line: UpstreamLine) -> None:
    line.ask()
    line.hear(OK)
    assert line.connection.reusable
    line.connection.close()
    assert not line.connection.open
    assert not line.connection.reusable


def test_bytes_for_nobody(line: UpstreamLine) -> None:
    line.ask()
    line.hear(OK)
    assert line.hear(OK) == []
    assert line.transport.aborted


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA\x00: b\r\n\r\n",
        SWITCHING,
    ],
)
def test_what_is_no_answer(line: UpstreamLine, garbage: bytes) -> None:
    line.ask()
    assert line.hear(garbage) == [("error", 502)]
    assert line.transport.aborted
    line.channel.connection_lost(None)
    assert line.story.heard() == ["lost active"], "the error was told once"


def test_a_body_that_breaks_in_the_middle(line: UpstreamLine) -> None:
    line.ask()
    told = line.hear(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nxyz\r\n")
    assert told[-1] == ("error", 502)
    assert line.transport.aborted


# The upstream's end.


def test_an_end_while_it_is_idle(line: UpstreamLine) -> None:
    line.ask()
    line.hear(OK)
    line.channel.eof_received()
    assert not line.connection.open
    assert line.transport.closed
    line.channel.connection_lost(None)
    assert line.story.heard() == ["lost idle"]


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
def test_an_end_too_soon(line: UpstreamLine, begin: bytes) -> None:
    line.ask()
    line.hear(begin)
    assert line.connection.answer_began is bool(begin)
    line.channel.eof_received()
    assert line.story.heard() == [("error", 502)]
    assert line.transport.aborted


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\n\r\nhal"])
def test_a_loss_is_never_a_clean_end(line: UpstreamLine, begin: bytes) -> None:
    line.ask()
    line.hear(begin)
    line.channel.connection_lost(ConnectionResetError())
    assert line.story.heard() == ["lost active", ("error", 502)]


# Time.


def test_an_answer_is_waited_for_once_the_request_is_out(line: UpstreamLine) -> None:
    line.ask("POST", whole=False)
    assert line.left() == math.inf
    line.connection.end_body(b"")
    assert line.left() == 40.0
    line.hear(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1")
    assert line.left() == 40.0, "nothing but the head itself ends the wait"
    assert line.channel.expire(0.0)
    assert line.story.heard() == [("error", 504)]
    assert line.transport.aborted


def test_between_two_pieces_little_time_may_pass(line: UpstreamLine) -> None:
    line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na")
    assert line.left() == 20.0
    line.channel.deadline = 1.0
    line.hear(b"b")
    assert line.left() == 20.0
    assert line.channel.expire(0.0)
    assert line.story.heard() == [("error", 504)]


def test_an_early_answer_is_not_timed_as_a_missing_one(line: UpstreamLine) -> None:
    line.ask("POST", whole=False)
    line.hear(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na")
    line.connection.end_body(b"")
    assert line.left() == 20.0


def test_nothing_times_out_while_the_client_holds_it_up(line: UpstreamLine) -> None:
    line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na")
    line.connection.pause_reading()
    assert line.left() == math.inf
    line.connection.set_idle(5.0)
    assert (line.left(), line.transport.reading) == (math.inf, False)
    line.connection.resume_reading()
    assert (line.left(), line.transport.reading) == (5.0, True)
    line.connection.resume_reading()
    assert line.hear(b"bc")[-1] == ("end", b"")
    assert line.left() == math.inf


def test_an_answer_that_ends_while_it_is_held_up_frees_it(line: UpstreamLine) -> None:
    line.ask()
    line.story.when["body"] = line.connection.pause_reading
    assert line.hear(b"HTTP/1.1 200 OK\r\n" + FRAMINGS[1][0] + FRAMINGS[1][1])[-2:] == [
        "reusable", ("end", b""),
    ]  # fmt: skip
    assert line.transport.reading
    assert line.left() == math.inf


def test_a_deadline_while_it_is_idle_is_nobodys_fault(line: UpstreamLine) -> None:
    assert not line.channel.expire(0.0)
    assert line.transport.closed
    assert line.story.heard() == []


# Giving up, and giving on.


def test_a_request_that_is_given_up(line: UpstreamLine) -> None:
    line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na")
    line.connection.drop()
    assert line.story.heard() == ["given up"]
    assert line.transport.aborted
    assert not line.connection.open
    line.channel.connection_lost(None)
    assert line.story.heard() == ["lost idle"], "it must not be counted off twice"


def test_a_request_that_is_given_up_while_its_answer_is_told(line: UpstreamLine) -> None:
    line.ask()
    line.story.when["head"] = line.connection.drop
    told = line.hear(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na")
    assert told == ["answering", ("head", 200), "given up"]


@pytest.mark.parametrize("begin", [b"", OK[:-2]])
def test_the_next_request_goes_out_before_an_answers_end_is_told(
    line: UpstreamLine, begin: bytes
) -> None:
    line.ask()
    line.hear(begin)
    line.transport.read()
    line.story.when["reusable"] = line.ask
    assert line.hear(OK[len(begin) :])[0] != "answering"
    assert line.transport.read().startswith(b"GET / HTTP/1.1\r\n")
    line.story.when.clear()
    assert line.left() == 40.0
    assert line.hear(OK) == ["reusable", ("whole", 200, b"ok")]


def test_a_running_answer_is_handed_over(line: UpstreamLine) -> None:
    line.ask(upgrade="websocket")
    other = Story()
    line.story.when["head"] = lambda: line.connection.hand_over(other)
    assert line.hear(SWITCHING + b"hello") == ["answering", ("head", 101), "given up"]
    assert other.heard() == [("body", b"hello"), "turn"]
    line.transport.read()
    line.connection.write_raw(b"raw")
    assert line.transport.read() == b"raw"
    line.connection.write_eof()
    assert line.transport.ended
    line.channel.eof_received()
    assert other.heard() == [("end", b"")]
    line.connection.close_after_writing()
    assert (line.transport.closed, line.transport.aborted) == (True, False)
    line.channel.connection_lost(None)
    assert other.heard() == []
    assert line.story.heard() == ["lost idle"], "its place was free since it was handed over"
