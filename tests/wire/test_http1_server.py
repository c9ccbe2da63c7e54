"""The server's side: what is read, what is refused, how answers are framed, what goes on."""

import itertools
import time
from pathlib import Path

import pytest

from proxy.errors import BadRequestError
from proxy.message.head import HeadLimits, ResponseHead
from proxy.wire.events import END, PAUSED, MessageEnd
from proxy.wire.http1_server import Http1Server, Reading
from tests.wire.script import PIECES, Script, describe, feed, label, pieces, vectors

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
OLD = b"GET / HTTP/1.0\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OLD_KEPT = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
LENGTH = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SMALL = HeadLimits(size=200, fields=5, target=50)


def server() -> Http1Server:
    return Http1Server(HeadLimits())


def small() -> Http1Server:
    return Http1Server(SMALL)


def answer(status: int = 200, length: int | None = None) -> ResponseHead:
    head = ResponseHead(status, "OK")
    head.content_length = length
    return head


def reply(machine: Http1Server, body: bytes = b"ok") -> bytes:
    out = machine.begin(answer(length=len(body)), b"")
    return out + machine.body(body) + machine.finish()


REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OLD_REPLY = b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"
CHUNKS = b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
LAST_REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


# Reading.


def odd(raw: bytes) -> bytes:
    """The same head with a field more, which sends it to the fallback."""
    first, end, rest = raw.partition(b"\r\n")
    return first + end + b"X_Odd: 1\r\n" + rest


REFUSED = [path for path in vectors("requests") if path.parent.name != "told"]


@pytest.mark.parametrize("path", REFUSED, ids=label)
def test_requests_are_refused_however_they_come(path: Path) -> None:
    raw = path.read_bytes()
    first_line = raw.partition(b"\r\n")[0]
    ways = [raw, odd(raw)] if first_line and b"\r\n\r\n" in raw else [raw]
    for each, size in itertools.product(ways, PIECES):
        machine = server()
        assert feed(machine, each, size)[-1] == f"! {path.parent.name}"
        assert machine.reading is Reading.CLOSED
        assert machine.buffered == 0
        assert feed(machine, GET) == []


@pytest.mark.parametrize("path", vectors("requests/told"), ids=label)
def test_what_is_told_of_requests(path: Path) -> None:
    machine = server()
    machine.receive(path.read_bytes())
    lines: list[str] = []
    while (event := machine.next_event()) is not None:
        lines += describe(event)
        if event is PAUSED:
            break
    assert "\n".join(lines) + "\n" == path.with_suffix(".told").read_text()
    whole, *others = (feed(server(), path.read_bytes(), size) for size in PIECES)
    assert all(other == whole for other in others)


def padded(size: int, *, line: bytes = b"GET / HTTP/1.1\r\nHost: a\r\n") -> bytes:
    """A head of so many bytes."""
    return line + b"X: " + b"a" * (size - len(line) - 7) + b"\r\n\r\n"


TARGET_50 = b"GET /" + b"a" * 49 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
TARGET_51 = b"GET /" + b"a" * 50 + b" HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (padded(200), "GET /"),
        (padded(201), "! 431"),
        (padded(400), "! 431"),
        (padded(400)[:-4], "! 431"),
        (TARGET_50, "GET /" + "a" * 49),
        (TARGET_51, "! 414"),
        (TARGET_51.replace(b"GET", b"M" * 32), "! 414"),
        (TARGET_50.replace(b"GET", b"M" * 32), "M" * 32 + " /" + "a" * 49),
        (b"GET /" + b"a" * 150, "! 414"),
        (GET[:-2] + b"X:\r\n" * 4 + b"\r\n", "GET /"),
        (GET[:-2] + b"X:\r\n" * 5 + b"\r\n", "! 431"),
        (GET[:-2] + b"X_:\r\n" * 5 + b"\r\n", "! 431"),
    ],
)
def test_limits(raw: bytes, told: str) -> None:
    for size in PIECES:
        assert feed(small(), raw, size) == [told]


def test_limits_hold_where_a_target_may_be_longer_than_a_head() -> None:
    machine = Http1Server(HeadLimits(size=100, fields=5, target=8192))
    assert feed(machine, padded(101)) == ["! 431"]


def test_a_head_may_drip() -> None:
    begin = time.process_time()
    assert feed(server(), padded(32 * 1024), 1) == ["GET /"]
    assert time.process_time() - begin < 1.0  # measured 0.05 s


def test_no_more_is_held_than_the_limits_allow() -> None:
    for raw in (b"GET /" + b"a" * 300, padded(500), CHUNKED + b"1;" + b"a" * 9000):
        machine = small()
        for part in pieces(raw, 1):
            try:
                machine.receive(part)
                machine.next_event()
            except BadRequestError:
                break
            assert machine.buffered <= SMALL.size
        assert machine.reading is Reading.CLOSED


def test_early_refusals_wait_for_no_end() -> None:
    """What can no longer become a head is answered, not left to a timeout."""
    for raw in (b"GET /\r\n", b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nHost: a\n", b"\n", b"\x16",
                b"\r\r", b"\xff", b"\r\n" * 5, b" GET", b"GET / \r\n", b"x\r\n"):  # fmt: skip
        for size in PIECES:
            assert feed(server(), raw, size) == ["! 400"], raw


def test_half_a_head_is_waited_for() -> None:
    for end in range(len(GET)):
        assert feed(server(), GET[:end]) == []
        assert feed(server(), b"\r\n\r\n" + GET[:end], 1) == []


def test_empty_lines_are_counted_between_requests() -> None:
    script = Script(server)
    for _ in range(3):
        script = script >> b"\r\n" * 4 + GET << "GET /"
        script = script.do(reply, REPLY)
    (script >> b"\r\n" * 5 << "! 400").play()


def test_repeated_heads_are_remembered_within_bounds() -> None:
    machine = server()
    first = GET.replace(b"/", b"/first", 1)
    heads = []
    others = [GET.replace(b"/", b"/%d" % n, 1) for n in range(100)]
    for raw in (first, first, first, *(raw for raw in others for _ in range(2)), first):
        machine.receive(raw)
        heads.append(machine.next_event())
        machine.finish_whole()
        assert len(machine._memo) <= 8
        assert len(machine._seen) <= 8
    assert heads[0] is not heads[1], "a head that came once is not remembered"
    assert heads[1] is heads[2]
    assert heads[1] is not heads[-1]
    for _ in range(2):
        machine.receive(padded(5000))
        machine.next_event()
        machine.finish_whole()
    assert padded(5000) not in machine._memo


def test_heads_that_never_repeat_are_not_remembered() -> None:
    machine = server()
    for number in range(100):
        machine.receive(GET.replace(b"/", b"/%d" % number, 1))
        assert machine.next_event() is not None
        machine.finish_whole()
    assert not machine._memo


# Answering.


@pytest.mark.parametrize(
    ("request_", "head", "sent"),
    [
        (GET, answer(length=2), b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nok"),
        (GET, answer(), CHUNKS % b"A: b\r\n" + b"2\r\nok\r\n0\r\nT: t\r\n\r\n"),
        (GET, answer(204), b"HTTP/1.1 204 OK\r\nA: b\r\n\r\n"),
        (GET, answer(204, 0), b"HTTP/1.1 204 OK\r\nA: b\r\n\r\n"),
        (GET, answer(304), b"HTTP/1.1 304 OK\r\nA: b\r\n\r\n"),
        (GET, answer(304, 9), b"HTTP/1.1 304 OK\r\nA: b\r\nContent-Length: 9\r\n\r\n"),
        (HEAD, answer(length=9), b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 9\r\n\r\n"),
        (HEAD, answer(), b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"),
        (OLD_KEPT, answer(length=2), OLD_REPLY),
    ],
)
def test_answers_after_which_the_connection_goes_on(
    request_: bytes, head: ResponseHead, sent: bytes
) -> None:
    def answered(machine: Http1Server) -> bytes:
        out = machine.begin(head, b"A: b\r\n") + machine.body(b"")
        return out + machine.body(b"ok") + machine.finish(b"T: t\r\n")

    name = request_.split(b" HTTP")[0].decode()
    script = Script(server) >> request_ << name
    (script.do(answered, sent) >> GET << "GET /").play()


@pytest.mark.parametrize(
    ("request_", "head", "sent"),
    [
        (OLD, answer(length=2), LAST_REPLY),
        (OLD, answer(), b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"),
        (OLD_KEPT, answer(), b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"),
        (LAST, answer(), LAST_CHUNKS + b"2\r\nok\r\n0\r\n\r\n"),
        (LENGTH + b"hell", answer(length=2), LAST_REPLY),
        (CHUNKED + b"5\r\nhell", answer(length=2), LAST_REPLY),
        # Cut short: the client has been told a length, and sees the connection close before it.
        (GET, answer(length=3), b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"),
        # More than was said is never sent: it would be the next answer.
        (GET, answer(length=1), b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\no"),
        (GET, answer(length=0), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_answers_after_which_the_connection_ends(
    request_: bytes, head: ResponseHead, sent: bytes
) -> None:
    machine = server()
    feed(machine, request_)
    assert machine.begin(head, b"") + machine.body(b"ok") + machine.finish() == sent
    assert machine.reading is Reading.CLOSED
    assert not machine.keep_alive
    assert feed(machine, GET) == []


def test_bytes_beyond_a_length_are_not_sent_piece_by_piece_either() -> None:
    machine = server()
    feed(machine, GET)
    machine.begin(answer(length=3), b"")
    assert [machine.body(b"ab"), machine.body(b"cd"), machine.body(b"ef")] == [b"ab", b"c", b""]
    assert machine.finish() == b""
    assert machine.reading is Reading.CLOSED


def test_three_requests_in_one_go_are_answered_in_order() -> None:
    names = [b"/1", b"/2", b"/3"]
    script = Script(server) >> b"".join(GET.replace(b"/", name, 1) for name in names)
    for name in names:
        script = script << f"GET {name.decode()}"
        script = script << PAUSED if name != b"/3" else script
        script = script.do(reply, REPLY)
    script.play()


def test_a_body_belongs_to_its_request() -> None:
    script = Script(server) >> LENGTH + b"hello" + CHUNKED + b"1\r\na\r\n0\r\nT: t\r\n\r\n" + GET
    script = script << "POST /" << b"hello" << END << PAUSED
    script = script.do(reply, REPLY) << "POST /" << b"a" << MessageEnd(b"T: t\r\n") << PAUSED
    (script.do(reply, REPLY) << "GET /").play()


def test_what_came_of_a_body_can_be_thrown_away() -> None:
    for raw, whole in [
        (LENGTH + b"hello", True),
        (LENGTH + b"hell", False),
        (CHUNKED + b"1\r\na\r\n0\r\n\r\n", True),
        (CHUNKED + b"1\r\na\r\n", False),
        (CHUNKED + b"x\r\n", False),
        (GET, True),
    ]:
        machine = server()
        machine.receive(raw)
        machine.next_event()
        assert machine.skip_body() is whole
        assert reply(machine) == (REPLY if whole else LAST_REPLY)


def test_interim_answers_are_for_clients_that_know_them() -> None:
    hints = ResponseHead(103, "Early Hints", b"Link: a\r\n")
    machine = server()
    assert machine.interim(hints) == b""
    feed(machine, GET)
    assert machine.interim(hints) == b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    old = server()
    feed(old, OLD_KEPT)
    assert old.interim(hints) == b""


def test_what_follows_a_switch_is_handed_over() -> None:
    machine = server()
    assert feed(machine, GET + b"\x81\x00") == ["GET /", PAUSED]
    assert machine.take_rest() == b"\x81\x00"
    assert feed(machine, GET) == []
    assert machine.buffered == 0


@pytest.mark.parametrize("before", [HEAD, OLD_KEPT])
@pytest.mark.parametrize("raw", [b"nonsense\r\n\r\n", b"GET / HT"])
def test_an_error_is_not_framed_by_the_request_before(before: bytes, raw: bytes) -> None:
    """A 400 or 408 to half a head has its body, though the request before was HEAD."""
    machine = server()
    feed(machine, before)
    reply(machine)
    feed(machine, raw)
    assert reply(machine) == LAST_REPLY
    assert machine.interim(ResponseHead(103, "Early Hints")) == b""
