"""The client's side: answers read whole or in pieces, and whether another request may follow."""

import contextlib
import time
from pathlib import Path

import pytest

from proxy.errors import BadResponseError
from proxy.wire.events import END, MessageEnd
from proxy.wire.http1_client import Http1Client, Reading
from tests.wire.script import PIECES, Script, Told, describe, feed, label, pieces, vectors

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n"


def client(method: str = "GET", *, upgrade: bool = False) -> Http1Client:
    machine = Http1Client()
    machine.expect(method, upgrade=upgrade)
    return machine


def odd(raw: bytes) -> bytes:
    """The same answer with a field more, which sends its head to the fallback."""
    first, end, rest = raw.partition(b"\r\n")
    return first + end + b"X: \x01\r\n" + rest


@pytest.mark.parametrize("path", vectors("responses/502"), ids=label)
def test_answers_are_refused_however_they_come(path: Path) -> None:
    raw = path.read_bytes()
    ways = [raw, odd(raw)] if raw.startswith(b"HTTP") and b"\r\n\r\n" in raw else [raw]
    for each in ways:
        for size in PIECES:
            machine = client()
            assert feed(machine, each, size)[-1] == "! 502"
            assert not machine.reusable
        with contextlib.suppress(BadResponseError):
            assert client().receive_whole(each) is None


@pytest.mark.parametrize("path", vectors("responses/told"), ids=label)
def test_what_is_told_of_answers(path: Path) -> None:
    machine = client()
    machine.receive(path.read_bytes())
    lines: list[str] = []
    while (event := machine.next_event()) is not None:
        lines += describe(event)
    lines.append(f"reusable: {machine.reusable}")
    assert "\n".join(lines) + "\n" == path.with_suffix(".told").read_text()


@pytest.mark.parametrize("path", vectors("responses/told"), ids=label)
def test_pieces_do_not_matter(path: Path) -> None:
    whole, *others = (feed(client(), path.read_bytes(), size) for size in PIECES)
    assert all(other == whole for other in others)


@pytest.mark.parametrize("path", vectors("responses/told"), ids=label)
def test_one_whole_answer_is_read_in_one_step_or_not_at_all(path: Path) -> None:
    raw = path.read_bytes()
    told = feed(client(), raw)
    machine = client()
    found = machine.receive_whole(raw)
    if found is None:
        assert feed(machine, raw) == told
        return
    head, body = found
    assert told == [f"{head.status} {head.reason}".rstrip(), *([body] if body else []), END]
    slow = client()
    feed(slow, raw)
    assert machine.reusable is slow.reusable
    assert machine.next_event() is None
    assert machine.receive_eof() is None


@pytest.mark.parametrize(
    ("machine", "raw"),
    [
        (client("HEAD"), OK),
        (client("HEAD"), EMPTY),
        (client(), OK[:-1]),
        (client(), OK + b"x"),
        (client(), OK[:30]),
        (client(), CHUNKED + b"0\r\n\r\n"),
        (client(), UNTIL_CLOSE),
        (client(), CONTINUE),
        (client(), b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n"),
        (client(), b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
        (client(), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n"),
        (Http1Client(), OK),
    ],
)
def test_what_is_no_whole_answer_changes_nothing(machine: Http1Client, raw: bytes) -> None:
    before = machine.reading, machine.began, machine.reusable
    assert machine.receive_whole(raw) is None
    assert (machine.reading, machine.began, machine.reusable) == before


def test_a_whole_answer_is_not_the_end_of_another() -> None:
    machine = client()
    machine.receive(CONTINUE[:5])
    assert machine.next_event() is None
    assert machine.receive_whole(OK) is None


def test_one_answer_after_the_other() -> None:
    machine = client()
    for raw in (OK, EMPTY, CHUNKED + b"1\r\na\r\n0\r\n\r\n", OK):
        feed(machine, raw)
        assert machine.reusable
        machine.expect("GET")
        assert (machine.reusable, machine.began) == (False, False)
        whole = machine.receive_whole(OK)
        assert whole is not None
        assert whole[1] == b"ok"
        machine.expect("GET")


@pytest.mark.parametrize(
    ("method", "raw", "told"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", ["200 OK", END]),
        ("HEAD", CHUNKED, ["200 OK", END]),
        ("HEAD", UNTIL_CLOSE, ["200 OK", END]),
        ("GET", b"HTTP/1.1 304 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ["304 OK", END]),
        ("GET", EMPTY, ["200 OK", END]),
        ("GET", CONTINUE * 16 + OK, ["100 Continue"] * 16 + ["200 OK", b"ok", END]),
        ("GET", CHUNKED + b"0\r\nA: b\r\n\r\n", ["200 OK", MessageEnd(b"A: b\r\n")]),
    ],
)
def test_answers_that_leave_the_connection_usable(
    method: str, raw: bytes, told: list[Told]
) -> None:
    for size in PIECES:
        machine = client(method)
        assert feed(machine, raw, size) == told
        assert machine.reusable


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("GET", OK + b"x"),
        ("GET", OK + OK),
        ("HEAD", OK),
        ("HEAD", CHUNKED + b"0\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 OK\r\nContent-Length: 2\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 OK\r\n\r\n0\r\n\r\n"),
        ("GET", CHUNKED + b"0\r\n\r\n\r\n"),
        ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", OK[:-1]),
        ("GET", UNTIL_CLOSE + b"ok"),
        ("GET", b""),
    ],
)
def test_connections_that_must_not_be_used_again(method: str, raw: bytes) -> None:
    for size in PIECES:
        machine = client(method)
        assert not str(feed(machine, raw, size)[-1:]).startswith("!")
        assert not machine.reusable


def test_bytes_after_an_answer_are_never_told() -> None:
    machine = client()
    assert feed(machine, OK + OK) == ["200 OK", b"ok", END]
    machine.receive(OK)
    assert machine.next_event() is None
    assert not machine.reusable


# The end of the connection.


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"H",
        OK[:10],
        OK[:-1],
        OK[:-2],
        CHUNKED,
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"0\r\n",
        CHUNKED + b"0\r\nA: b\r\n",
        CONTINUE,
    ],
)
def test_an_answer_cut_short_is_an_error(raw: bytes) -> None:
    machine = client()
    feed(machine, raw)
    assert machine.began is bool(raw)
    with pytest.raises(BadResponseError) as caught:
        machine.receive_eof()
    assert ("before" in caught.value.detail) is not bool(raw)
    assert not machine.reusable


def test_an_answer_may_end_with_its_connection() -> None:
    machine = client()
    assert feed(machine, UNTIL_CLOSE + b"ok") == ["200 OK", b"ok"]
    assert machine.receive_eof() == END
    assert machine.reading is Reading.DONE
    assert not machine.reusable
    assert machine.receive_eof() is None


def test_nothing_is_missing_after_a_whole_answer() -> None:
    machine = client()
    feed(machine, OK)
    assert machine.receive_eof() is None


# Switching protocols.


def test_after_a_switch_bytes_are_handed_on() -> None:
    script = Script(lambda: client(upgrade=True)) >> SWITCH + b"\x81\x00"
    script = script << "101 Switching Protocols" << b"\x81\x00"
    (script >> b"HTTP/1.1" << b"HTTP/1.1").play()
    machine = client(upgrade=True)
    feed(machine, SWITCH)
    assert machine.reading is Reading.SWITCHED
    assert not machine.reusable
    with pytest.raises(BadResponseError):
        machine.receive_eof()


def test_an_upgrade_may_be_declined() -> None:
    assert feed(client(upgrade=True), OK) == ["200 OK", b"ok", END]


@pytest.mark.parametrize("raw", [SWITCH.replace(b"WebSocket", b"h2c"), b"HTTP/1.1 101 OK\r\n\r\n"])
def test_a_switch_to_something_else_is_refused(raw: bytes) -> None:
    assert feed(client(upgrade=True), raw) == ["! 502"]
    assert feed(client(), SWITCH) == ["! 502"]


# Bounds.


def padded(size: int) -> bytes:
    """A head of so many bytes, with no body."""
    head = EMPTY[:-2] + b"X: "
    return head + b"a" * (size - len(head) - 4) + b"\r\n\r\n"


def test_a_head_may_have_so_many_bytes() -> None:
    for size in PIECES:
        machine = Http1Client(head_size=1000)
        machine.expect("GET")
        assert feed(machine, padded(1000), size) == ["200 OK", END]
        machine.expect("GET")
        assert feed(machine, padded(1001), size) == ["! 502"]
    machine = Http1Client(head_size=1000)
    machine.expect("GET")
    assert machine.receive_whole(padded(1000)) is not None
    machine.expect("GET")
    with pytest.raises(BadResponseError):
        machine.receive_whole(padded(1001))


def test_no_more_is_held_than_the_limit_allows() -> None:
    machine = Http1Client(head_size=1000)
    machine.expect("GET")
    for part in pieces(padded(5000), 1):
        try:
            machine.receive(part)
            machine.next_event()
        except BadResponseError:
            return
        assert len(machine._buffer) <= 1000
    pytest.fail("not refused")


def test_a_head_may_drip() -> None:
    begin = time.process_time()
    assert feed(client(), padded(64 * 1024), 1) == ["200 OK", END]
    assert time.process_time() - begin < 2.0  # measured 0.2 s


def test_repeated_heads_are_remembered_within_bounds() -> None:
    machine = Http1Client()
    heads = []
    for number in (0, 0, *range(100), 0):
        machine.expect("GET")
        whole = machine.receive_whole(EMPTY[:-2] + b"X: %d\r\n\r\n" % number)
        assert whole is not None
        heads.append(whole[0])
        assert len(machine._memo) <= 8
    assert heads[0] is heads[1]
    assert heads[0] is not heads[-1]
    machine.expect("GET")
    assert machine.receive_whole(padded(3000)) is not None
    assert padded(3000) not in machine._memo


def test_interim_answers_may_be_so_many() -> None:
    assert feed(client(), CONTINUE * 17)[-1] == "! 502"
    machine = client()
    for _ in range(3):
        assert feed(machine, CONTINUE * 16 + OK)[-1] == END
        machine.expect("GET")
