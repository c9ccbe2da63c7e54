"""The promise of the HTTP/1.1 machines: whatever the bytes, in whatever pieces, they raise their
own error and nothing else, say the same, and hold no more than their limits allow.
"""

from collections.abc import Callable

import h11
from hypothesis import event, given, strategies as st

from proxy.errors import BadRequestError, BadResponseError
from proxy.message.head import HeadLimits, RequestHead, ResponseHead
from proxy.wire.events import PAUSED, MessageEnd
from proxy.wire.http1_client import Http1Client, Reading as ClientReading
from proxy.wire.http1_server import Http1Server, Reading
from tests.fuzz.http1_inputs import answers, cut, cuts, requests
from tests.wire.script import Told, add

LIMITS = HeadLimits(size=300, fields=8, target=60)
HEAD_SIZE = 300
TRAILERS = 16 * 1024

noise = st.binary(max_size=400)
in_pieces = st.one_of(requests, noise).flatmap(lambda raw: st.tuples(st.just(raw), cuts(len(raw))))
answers_in_pieces = st.one_of(answers, noise).flatmap(
    lambda raw: st.tuples(st.just(raw), cuts(len(raw)))
)


def reply(machine: Http1Server) -> None:
    head = ResponseHead(200, "OK")
    head.content_length = 2
    machine.begin(head, b"")
    machine.body(b"ok")
    machine.finish()


def held_by(machine: Http1Server | Http1Client) -> int:
    chunks = machine._chunks
    return len(machine._buffer) + (len(chunks._buffer) if chunks is not None else 0)


def serve(parts: list[bytes]) -> list[Told]:
    """What a server is told when it answers each request as soon as it has it whole."""
    machine = Http1Server(LIMITS)
    told: list[Told] = []
    try:
        for part in parts:
            before = held_by(machine)
            machine.receive(part)
            while (said := machine.next_event()) is not None:
                if said is not PAUSED:
                    add(told, said)
                if machine.reading is Reading.DONE:
                    reply(machine)
            assert held_by(machine) <= max(LIMITS.size, TRAILERS)
            assert held_by(machine) <= before + len(part)
    except BadRequestError as error:
        assert machine.reading is Reading.CLOSED
        assert machine.next_event() is None
        told.append(f"! {error.status}")
    return told


@given(in_pieces)
def test_servers_keep_the_promise(made: tuple[bytes, list[int]]) -> None:
    raw, places = made
    told = serve([raw])
    event(f"{len(told)} told" + (", refused" if str(told[-1:]).find("!") > 0 else ""))
    # A limit may be noticed before the fault that the whole shows, and the other way round.
    assert same(serve(cut(raw, places)), told)
    assert same(serve([raw[at : at + 1] for at in range(len(raw))]), told)


def same(first: list[Told], second: list[Told]) -> bool:
    """Compare what was told; before a refusal, whose status may differ, only the heads."""
    refused = [bool(each) and str(each[-1]).startswith("! ") for each in (first, second)]
    if not any(refused):
        return first == second
    heads = [[each for each in told[:-1] if isinstance(each, str)] for told in (first, second)]
    return all(refused) and heads[0] == heads[1]


def h11_serve(raw: bytes) -> tuple[list[Told], str]:
    """What h11 is told, answering in the same way; and why it read no further, if it refused."""
    machine = h11.Connection(h11.SERVER, max_incomplete_event_size=len(raw) + 1)
    machine.receive_data(raw)
    told: list[Told] = []
    try:
        while True:
            said = machine.next_event()
            if isinstance(said, h11.Request):
                told.append(said.method.decode())
            elif isinstance(said, h11.Data):
                add(told, bytes(said.data))
            elif isinstance(said, h11.EndOfMessage):
                machine.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                machine.send(h11.EndOfMessage())
                if machine.our_state is not h11.DONE:
                    return told, ""
                machine.start_next_cycle()
            else:
                return told, ""
    except h11.RemoteProtocolError as error:
        return told, str(error)


@given(requests)
def test_h11_finds_the_same_requests_in_a_stream(raw: bytes) -> None:
    """Two servers that see different requests in the same bytes are what smuggling lives on."""
    told = serve([raw])
    if str(told[-1:]).startswith("['! ") or b" ;" in raw:
        return  # white space before an extension is nothing that h11 takes
    ours = [each.partition(" ")[0] if isinstance(each, str) else each for each in told]
    ours = [each for each in ours if not isinstance(each, MessageEnd)]
    theirs, refusal = h11_serve(raw)
    event(f"{sum(isinstance(each, str) for each in ours)} requests")
    if "no request line" in refusal:  # nor an empty line before a request
        assert ours[: len(theirs)] == theirs
    else:
        assert (ours, "") == (theirs, refusal)


@given(in_pieces, st.data())
def test_servers_keep_it_whatever_is_called_between(
    made: tuple[bytes, list[int]], data: st.DataObject
) -> None:
    machine = Http1Server(LIMITS)
    head = ResponseHead(200, "OK")
    calls: list[Callable[[], object]] = [
        lambda: machine.begin(head, b""),
        lambda: machine.body(b"ok"),
        machine.finish,
        machine.finish_whole,
        machine.skip_body,
        lambda: machine.interim(head),
        machine.take_rest,
        machine.close,
        lambda: None,
    ]
    for part in cut(*made):
        machine.receive(part)
        try:
            said = machine.next_event()
        except BadRequestError:
            continue
        assert said is None or said is PAUSED or isinstance(said, RequestHead | bytes | MessageEnd)
        data.draw(st.sampled_from(calls))()


def fetch(parts: list[bytes], method: str) -> list[Told]:
    """What a client is told, one answer after the other on one connection."""
    machine = Http1Client(HEAD_SIZE)
    machine.expect(method, upgrade=True)
    told: list[Told] = []
    try:
        for part in parts:
            before = held_by(machine)
            machine.receive(part)
            while (said := machine.next_event()) is not None:
                add(told, said)
            assert held_by(machine) <= before + len(part)
            if machine.reading is not ClientReading.DONE:
                assert held_by(machine) <= max(HEAD_SIZE, TRAILERS)
        machine.receive_eof()
    except BadResponseError as error:
        assert not machine.reusable
        told.append(f"! {error.status}")
    return told


@given(answers_in_pieces, st.sampled_from(["GET", "HEAD"]))
def test_clients_keep_the_promise(made: tuple[bytes, list[int]], method: str) -> None:
    raw, places = made
    told = fetch([raw], method)
    event(f"{len(told)} told" + (", refused" if str(told[-1:]).find("!") > 0 else ""))
    assert same(fetch(cut(raw, places), method), told)
    assert same(fetch([raw[at : at + 1] for at in range(len(raw))], method), told)


@given(st.one_of(answers, noise))
def test_one_step_says_what_many_say(raw: bytes) -> None:
    machine = Http1Client(HEAD_SIZE)
    machine.expect("GET")
    told = fetch([raw], "GET")
    try:
        whole = machine.receive_whole(raw)
    except BadResponseError:
        assert str(told[-1]).startswith("! ")
        return
    if whole is not None:
        event("whole")
        head, body = whole
        assert told == [
            f"{head.status} {head.reason}".rstrip(), *([body] if body else []), MessageEnd()
        ]  # fmt: skip
