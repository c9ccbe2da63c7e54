"""How one connection's wire is shared out among its streams."""

import asyncio

from proxy.exchange.exchange import Exchange
from proxy.wire import http2_frames as frames
from proxy.wire.http2_frames import ErrorCode
from tests.fakes.http2_line import Http2Line
from tests.fakes.serving import head_of

WIDE = {"initial_window_size": 1 << 30}
FRAME = 16384


def wide_line() -> Http2Line:
    line = Http2Line(settings=WIDE)
    line.send(frames.window_update(0, 1 << 30))
    return line


def ends(exchange: Exchange, body: bytes) -> None:
    exchange.stream.send_whole(exchange, head_of(length=len(body)), body)


async def one_turn(line: Http2Line) -> bytes:
    """Return what the loop's next turns write, up to the first that writes anything."""
    for _ in range(10):
        await asyncio.sleep(0)
        if line.pipe.writes:
            break
    out = line.out()
    line.peer.hear(out)
    return out


async def test_streams_take_turns_frame_by_frame() -> None:
    line = wide_line()
    first, second = line.ask(1), line.ask(3)
    ends(first, bytes(20 * FRAME))  # a turn's worth of it is on its way
    ends(second, bytes(3 * FRAME))
    await line.turns()
    order = [said.stream for said in line.peer.said if said.kind == frames.DATA]
    assert order[8:] == [1, 3, 1, 3, 1, 3, *[1] * 9]
    assert line.heard(1).ended
    assert line.heard(3).ended


async def test_small_answers_do_not_wait_for_a_huge_one() -> None:
    line = wide_line()
    huge, small = line.ask(1), line.ask(3)
    ends(huge, bytes(4 << 20))
    await one_turn(line)
    ends(small, b"ok")
    out = await one_turn(line)
    assert line.heard(3).ended
    assert len(out) < 256 * 1024
    assert not line.heard(1).ended
    await line.turns(200)
    assert len(line.heard(1).body) == 4 << 20


async def test_no_more_is_taken_in_one_turn_than_is_written() -> None:
    line = wide_line()
    exchange = line.ask(1)
    taker = line.takers[0]
    exchange.stream.send_head(exchange, head_of())
    given = 0
    while "full" not in taker.told:
        exchange.stream.send_body(exchange, bytes(FRAME))
        exchange.stream.flush()
        given += FRAME
        assert given < 1 << 20, "a sender that asks for no pause is given one"
    assert len(await one_turn(line)) < 256 * 1024
    await line.turns()
    assert taker.told == ["full", "ready"]
    assert len(line.heard(1).body) == given
    assert line.speaks.outlet.queued == 0


async def test_one_shut_window_holds_no_other_up() -> None:
    line = Http2Line(settings={"initial_window_size": 100})
    shut, other = line.ask(1), line.ask(3)
    ends(shut, bytes(50_000))
    await line.say(frames.window_update(3, 100_000))
    ends(other, bytes(40_000))
    await line.turns()
    assert len(line.heard(1).body) == 100
    assert line.heard(3).ended
    await line.say(frames.window_update(0, 100_000), frames.window_update(1, 20_000))
    assert len(line.heard(1).body) == 20_100
    await line.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
    await line.say(frames.window_update(1, 120))
    assert len(line.heard(1).body) == 20_120, "a window may be less than shut"
    await line.say(frames.window_update(1, 50_000))
    assert line.heard(1).ended


async def test_the_connections_window_is_shared_fairly() -> None:
    line = Http2Line(settings=WIDE)
    for number in range(1, 9, 2):
        ends(line.ask(number), bytes(100_000))
    await line.turns()
    assert sum(len(line.heard(number).body) for number in range(1, 9, 2)) == 65_535
    before = [len(line.peer.streams[number].body) for number in range(1, 9, 2)]
    for _ in range(8):
        await line.say(frames.window_update(0, FRAME))
    after = [len(line.heard(number).body) for number in range(1, 9, 2)]
    assert [new - old for old, new in zip(before, after, strict=True)] == [2 * FRAME] * 4
    await line.say(frames.window_update(0, 1 << 20))
    assert all(line.heard(number).ended for number in range(1, 9, 2))


async def test_nothing_more_is_sent_to_who_does_not_read() -> None:
    line = wide_line()
    ends(line.ask(1), bytes(1 << 20))
    await one_turn(line)
    line.channel.pause_writing()
    await line.turns()
    held = len(line.heard(1).body)
    assert held < 1 << 20
    await line.turns()
    assert len(line.heard(1).body) == held
    line.channel.resume_writing()
    await line.turns(100)
    assert line.heard(1).ended


async def test_what_waits_goes_with_its_stream() -> None:
    line = Http2Line(settings={"initial_window_size": 10})
    lost, other = line.ask(1), line.ask(3)
    ends(lost, bytes(50_000))
    ends(other, bytes(50_000))
    assert line.speaks.outlet.queued == 100_000 - 20
    await line.say(frames.rst_stream(1, ErrorCode.CANCEL))
    assert line.speaks.outlet.queued == 50_000 - 10
    await line.say(frames.window_update(1, 1000), frames.window_update(3, 100_000))
    assert line.heard(3).ended
    assert len(line.heard(1).body) == 10
    assert line.speaks.outlet.queued == 0
    assert line.entries()[0]["bytes_sent"] == 10


async def test_who_was_blocked_and_has_sent_it_all_says_nothing() -> None:
    line = Http2Line(settings={"initial_window_size": 10})
    exchange = line.ask(1)
    exchange.stream.send_head(exchange, head_of())
    exchange.stream.send_body(exchange, bytes(15))
    exchange.stream.flush()
    await line.turns()

    def gate(_: Exchange) -> None:  # between the window's growth and the word of it
        exchange.stream.send_body(exchange, bytes(5))
        exchange.stream.flush()

    route = next(iter(line.service.live.program.all_sites())).routes.routes[0]
    route.serve = gate
    await line.say(frames.window_update(1, 100), line.peer.request(3))
    sizes = [len(said.payload) for said in line.peer.said if said.kind == frames.DATA]
    assert sizes == [10, 10]


async def test_many_streams_wait_for_less_each() -> None:
    line = Http2Line(settings={"initial_window_size": 0})
    exchanges = [line.ask(number) for number in range(1, 101, 2)]
    for exchange, taker in zip(exchanges, line.takers, strict=True):
        exchange.stream.send_head(exchange, head_of())
        while "full" not in taker.told:
            exchange.stream.send_body(exchange, bytes(4096))
            exchange.stream.flush()
    assert line.speaks.outlet.queued < 3 << 20
    line.send(frames.window_update(0, 1 << 30))
    for number in range(1, 101, 2):
        await line.say(frames.window_update(number, 1 << 20))
    assert all(taker.told == ["full", "ready"] for taker in line.takers)


async def test_who_is_told_to_go_on_may_end_itself_and_others() -> None:
    line = wide_line()
    first, second = line.ask(1), line.ask(3)

    def ready() -> None:
        second.stream.abort(second)
        first.stream.send_body(first, bytes(300_000))
        first.stream.flush()
        first.stream.end(first, b"")

    line.takers[0].client_ready = ready  # type: ignore[method-assign]
    for exchange in (first, second):
        exchange.stream.send_head(exchange, head_of())
        exchange.stream.send_body(exchange, bytes(300_000))
    first.stream.flush()
    second.stream.flush()
    await line.turns(50)
    assert len(line.heard(1).body) == 600_000
    assert line.heard(1).ended
    assert line.heard(3).reset == ErrorCode.INTERNAL_ERROR
    assert not line.speaks.machine.streams
    assert line.statuses() == [200, 200]
