"""Every state of the HTTP/1.1 machines under every input, and the two machines joined.

A state is reached by bytes and calls; an input is bytes or a call. The table says where it leads.
"""

from collections.abc import Callable

import h11
import pytest
from hypothesis import given, strategies as st

from proxy.errors import ProxyError
from proxy.message.head import HeadLimits, ResponseHead
from proxy.wire.events import END, MessageEnd
from proxy.wire.http1_client import Http1Client
from proxy.wire.http1_server import Http1Server
from tests.wire.script import Told, feed, pieces

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKS = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


def answer(length: int | None, status: int = 200) -> ResponseHead:
    head = ResponseHead(status, "OK")
    head.content_length = length
    return head


# The server. A state is "READING FRAMING", with a "!" where the connection will not go on.

BYTES = [GET, POST, CHUNKS, b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n", b"\n", b""]
SERVER_CALLS: dict[str, Callable[[Http1Server], object]] = {
    "begin length": lambda machine: machine.begin(answer(2), b""),
    "begin chunked": lambda machine: machine.begin(answer(None), b""),
    "begin none": lambda machine: machine.begin(answer(None, 204), b""),
    "body": lambda machine: machine.body(b"ok"),
    "finish": lambda machine: machine.finish(),
    "finish_whole": lambda machine: machine.finish_whole(),
    "skip_body": lambda machine: machine.skip_body(),
    "take_rest": lambda machine: machine.take_rest(),
    "close": lambda machine: machine.close(),
}
SERVER_STATES: dict[str, list[bytes | str]] = {
    "HEAD idle": [],
    "LENGTH idle": [POST],
    "CHUNKED idle": [CHUNKS],
    "DONE idle": [GET],
    "HEAD length!": ["begin length"],
    "HEAD none!": ["begin none"],
    "LENGTH length!": [POST, "begin length"],
    "LENGTH chunked!": [POST, "begin chunked"],
    "LENGTH none!": [POST, "begin none"],
    "CHUNKED length!": [CHUNKS, "begin length"],
    "CHUNKED chunked!": [CHUNKS, "begin chunked"],
    "CHUNKED none!": [CHUNKS, "begin none"],
    "DONE length": [GET, "begin length"],
    "DONE chunked": [GET, "begin chunked"],
    "DONE none": [GET, "begin none"],
    "DONE length!": [POST, "begin length", b"hello"],
    "DONE close!": [b"GET / HTTP/1.0\r\n\r\n", "begin chunked"],
    "CLOSED idle!": ["close"],
    "CLOSED length!": [b"\n", "begin length"],
}


def apply(machine: Http1Server, step: bytes | str) -> None:
    if isinstance(step, bytes):
        feed(machine, step)
    else:
        SERVER_CALLS[step](machine)


def state_of(machine: Http1Server) -> str:
    end = "" if machine.keep_alive else "!"
    return f"{machine.reading.name} {machine.framing.value}{end}"


def in_state(name: str) -> Http1Server:
    machine = Http1Server(HeadLimits())
    for step in SERVER_STATES[name]:
        apply(machine, step)
    return machine


def read_to(state: str, data: bytes) -> str:
    """Where bytes lead: the request goes on, and the answer is not touched."""
    reading, _, rest = state.partition(" ")
    after = {
        ("HEAD", GET): "DONE", ("HEAD", POST): "LENGTH", ("HEAD", CHUNKS): "CHUNKED",
        ("HEAD", b"hello"): "HEAD", ("HEAD", b""): "HEAD",
        ("LENGTH", b""): "LENGTH",
        ("CHUNKED", b"5\r\nhello\r\n"): "CHUNKED", ("CHUNKED", b"0\r\n\r\n"): "DONE",
        ("CHUNKED", b""): "CHUNKED",
    }  # fmt: skip
    if reading in {"DONE", "CLOSED"}:  # a further request waits, or nobody reads
        return state
    if reading == "LENGTH" and data:  # any five bytes are a body
        return f"{'DONE' if len(data) >= 5 else 'LENGTH'} {rest}"
    if (reading, data) in after:
        return f"{after[reading, data]} {rest}"
    return f"CLOSED {rest.rstrip('!')}!"


def called_to(state: str, call: str) -> str:
    """Where a call leads."""
    reading, _, rest = state.partition(" ")
    framing, end = rest.rstrip("!"), rest[-1:] == "!"
    if call.startswith("begin"):
        framing = call.removeprefix("begin ")
        if framing == "chunked" and (reading in {"HEAD", "CLOSED"} or state == "DONE close!"):
            framing, end = "close", True  # to a client whose version is not known, or is 1.0
        return f"{reading} {framing}{'!' if end or reading != 'DONE' else ''}"
    if call in {"take_rest", "close"}:
        return f"CLOSED {framing}!"
    if call == "finish":  # in the state the body left: an answer that owes bytes ends it
        whole = framing in {"chunked", "none"} and reading == "DONE" and not end
        return "HEAD idle" if whole else "CLOSED idle!"
    if call == "finish_whole":
        return f"HEAD {framing}" if reading == "DONE" and not end else f"CLOSED {framing}!"
    return state


def test_the_states_are_what_they_are_called() -> None:
    assert [state_of(in_state(name)) for name in SERVER_STATES] == list(SERVER_STATES)


@pytest.mark.parametrize("data", BYTES)
@pytest.mark.parametrize("state", SERVER_STATES)
def test_server_reads(state: str, data: bytes) -> None:
    machine = in_state(state)
    feed(machine, data)
    assert state_of(machine) == read_to(state, data)


@pytest.mark.parametrize("call", SERVER_CALLS)
@pytest.mark.parametrize("state", SERVER_STATES)
def test_server_is_called(state: str, call: str) -> None:
    machine = in_state(state)
    SERVER_CALLS[call](machine)
    assert state_of(machine) == called_to(state, call)


@pytest.mark.parametrize("state", SERVER_STATES)
def test_after_the_whole_body_an_answer_is_whole(state: str) -> None:
    machine = in_state(state)
    machine.body(b"ok")
    machine.finish()
    good = state in {"DONE length", "DONE chunked", "DONE none"}
    assert state_of(machine) == ("HEAD idle" if good else "CLOSED idle!")


# The client: what each input leads to, and what the end of the connection means there.

CLIENT_STATES: dict[str, list[bytes]] = {
    "HEAD": [],
    "LENGTH": [OK],
    "CHUNKED": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    "CLOSE": [b"HTTP/1.1 200 OK\r\n\r\n"],
    "SWITCHED": [b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n"],
    "DONE": [OK, b"ok"],
}
CLIENT_TABLE: dict[tuple[str, bytes], tuple[list[Told], str]] = {
    ("HEAD", OK): (["200 OK"], "LENGTH"),
    ("HEAD", b"ok"): (["! 502"], "HEAD"),
    ("HEAD", b"2\r\nok\r\n"): (["! 502"], "HEAD"),
    ("HEAD", b"0\r\n\r\n"): (["! 502"], "HEAD"),
    ("LENGTH", OK): ([OK[:2], END], "DONE"),
    ("LENGTH", b"ok"): ([b"ok", END], "DONE"),
    ("LENGTH", b"2\r\nok\r\n"): ([b"2\r", END], "DONE"),
    ("LENGTH", b"0\r\n\r\n"): ([b"0\r", END], "DONE"),
    ("CHUNKED", OK): (["! 502"], "CHUNKED"),
    ("CHUNKED", b"ok"): (["! 502"], "CHUNKED"),
    ("CHUNKED", b"2\r\nok\r\n"): ([b"ok"], "CHUNKED"),
    ("CHUNKED", b"0\r\n\r\n"): ([END], "DONE"),
    **{
        (state, data): ([data], state)
        for state in ("CLOSE", "SWITCHED")
        for data in (OK, b"ok", b"2\r\nok\r\n", b"0\r\n\r\n")
    },
    **{("DONE", data): ([], "DONE") for data in (OK, b"ok", b"2\r\nok\r\n", b"0\r\n\r\n")},
}


def client_in(state: str) -> Http1Client:
    machine = Http1Client()
    machine.expect("GET", upgrade=True)
    for data in CLIENT_STATES[state]:
        feed(machine, data)
    assert machine.reading.name == state
    return machine


@pytest.mark.parametrize(("state", "data"), CLIENT_TABLE)
def test_client_reads(state: str, data: bytes) -> None:
    machine = client_in(state)
    told, after = CLIENT_TABLE[state, data]
    assert feed(machine, data) == told
    assert machine.reading.name == after
    if state != "HEAD":
        assert client_in(state).receive_whole(data) is None


@pytest.mark.parametrize("state", CLIENT_STATES)
def test_client_sees_the_end_of_the_connection(state: str) -> None:
    machine = client_in(state)
    if state in {"CLOSE", "DONE"}:
        assert machine.receive_eof() == (END if state == "CLOSE" else None)
        assert machine.reading.name == "DONE"
    else:
        with pytest.raises(ProxyError):
            machine.receive_eof()
    assert machine.reusable is (state == "DONE")


@pytest.mark.parametrize("state", CLIENT_STATES)
def test_client_makes_ready_for_the_next_answer(state: str) -> None:
    machine = client_in(state)
    machine.expect("HEAD")
    assert machine.reading.name == "HEAD"
    assert feed(machine, OK) == ["200 OK", END]


# Joined: what the server writes is what the client, and h11, read.

bodies = st.lists(st.binary(max_size=50), max_size=5)
trailer_blocks = st.sampled_from([b"", b"ETag: a\r\n", b"Digest: b\r\nX:\r\n"])
kinds = st.sampled_from(["length", "none"])
statuses = st.sampled_from([200, 204, 304, 404, 599])
methods = st.sampled_from(["GET", "HEAD"])


def written(
    machine: Http1Server, status: int, body: list[bytes], kind: str, trailers: bytes
) -> bytes:
    head = answer(len(b"".join(body)) if kind == "length" else None, status)
    out = machine.begin(head, b"Server: x\r\n") + b"".join(map(machine.body, body))
    return out + machine.finish(trailers)


@given(methods, statuses, bodies, kinds, trailer_blocks, st.sampled_from([b"1.1", b"1.0"]))
def test_answers_are_read_as_they_were_meant(
    method: str, status: int, body: list[bytes], kind: str, trailers: bytes, version: bytes
) -> None:
    line = b"%b / HTTP/%b\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" % (method.encode(), version)
    server, client = Http1Server(HeadLimits()), Http1Client()
    feed(server, line)
    client.expect(method)
    out = written(server, status, body, kind, trailers)
    told = feed(client, out, 3)
    empty = method == "HEAD" or status in {204, 304}
    whole = b"" if empty else b"".join(body)
    chunked = kind == "none" and version == b"1.1" and not empty
    assert told[0] == f"{status} OK"
    assert told[1:2] == ([whole] if whole else told[1:2])
    if client.reading.name == "CLOSE":
        assert client.receive_eof() == END
        assert server.reading.name == "CLOSED"
        return
    assert told[-1] == MessageEnd(trailers if chunked else b"")
    assert client.reusable is (server.reading.name == "HEAD") is True
    assert h11_reads(method, out) == (status, whole)


def h11_reads(method: str, data: bytes) -> tuple[int, bytes]:
    machine = h11.Connection(h11.CLIENT)
    machine.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    machine.send(h11.EndOfMessage())
    machine.receive_data(data)
    response = machine.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while not isinstance(event := machine.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data)
        body += event.data
    assert machine.trailing_data[0] == b""
    return response.status_code, body


@given(st.lists(st.tuples(methods, statuses, bodies, kinds), min_size=1, max_size=4))
def test_pipelined_answers_come_apart_again(
    exchanges: list[tuple[str, int, list[bytes], str]],
) -> None:
    server, client = Http1Server(HeadLimits()), Http1Client()
    server.receive(b"".join(GET.replace(b"GET", method.encode()) for method, *_ in exchanges))
    for method, status, body, kind in exchanges:
        server.next_event()
        out = written(server, status, body, kind, b"")
        client.expect(method)
        for part in pieces(out, 5):
            feed(client, part)
        assert client.reusable
