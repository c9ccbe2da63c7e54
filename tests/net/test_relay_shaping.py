"""Answers that a route shapes and encodes on their way through the relay."""

from proxy.errors import BadRequestError
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.net.spool import MEMORY
from proxy.policy.part import Encoder
from tests.fakes.bench import bench, get, pool_plan, program
from tests.fakes.serving import head_of
from tests.fakes.wires import Wire, answer, on_uvloop, says, upstream


class Shifted:
    """An encoder with a tail, that says nothing before it is flushed or has a lot."""

    def __init__(self) -> None:
        self._kept = b""

    def encode(self, data: bytes) -> bytes:
        self._kept += data
        return self.flush() if len(self._kept) > 1000 else b""

    def flush(self) -> bytes:
        out, self._kept = self._kept.swapcase(), b""
        return out

    def finish(self) -> bytes:
        return self.flush() + b"."


def encode(exchange: Exchange, head: ResponseHead) -> tuple[ResponseHead, Encoder | None]:
    made = head_of(head.status, None, head.block + b"Content-Encoding: case\r\n")
    return made, None if exchange.head.method == "HEAD" else Shifted()


def refuse(_exchange: Exchange, head: ResponseHead) -> ResponseHead:
    if head.status >= 500:
        raise BadRequestError("not shown", status=410)
    return head


@on_uvloop
async def test_whole_answers() -> None:
    async with (
        upstream(says(answer(b"hello"))) as app,
        bench(program(pool_plan(app.port), encode=encode)) as proxy,
    ):
        client = await proxy.client()
        for _ in range(2):
            client.send(get())
            reply = await client.reply()
            assert reply.body == b"HELLO."
            assert reply.fields["content-length"] == "6"
        client.send(get(method="HEAD"))
        reply = await client.reply("HEAD")
        assert reply.fields["content-encoding"] == "case"
        assert "content-length" not in reply.fields


@on_uvloop
async def test_pieces_without_a_length_arrive_as_they_come() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await wire.head()  # comes once the client has read the first piece
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with (
        upstream(script) as app,
        bench(program(pool_plan(app.port), encode=encode)) as proxy,
    ):
        client = await proxy.client()
        client.send(get())
        assert b"Transfer-Encoding: chunked" in await client.head()
        assert await client.exactly(10) == b"5\r\nHELLO\r\n"


@on_uvloop
async def test_a_long_answer_with_a_length_ends_with_its_tail() -> None:
    body = b"a" * (MEMORY * 4)
    async with (
        upstream(says(answer(body))) as app,
        bench(program(pool_plan(app.port), encode=encode)) as proxy,
    ):
        client = await proxy.client()
        client.send(get())
        reply = await client.reply()
        assert reply.body == body.upper() + b"."
        (entry,) = await proxy.entries(1)
        assert entry["bytes_sent"] == len(body) + 1


@on_uvloop
async def test_a_slow_reader_gets_the_encoded_body_from_the_backlog() -> None:
    body = b"b" * (MEMORY * 100)
    async with (
        upstream(says(answer(body))) as app,
        bench(program(pool_plan(app.port), encode=encode)) as proxy,
    ):
        client = await proxy.client(rcvbuf=4096)
        client.send(get())
        await proxy.until(lambda: proxy.counters.upstream_requests)
        await proxy.until(lambda: not any(peer.active for peer in proxy.pool.group))
        reply = await client.reply()
        assert reply.body == body.upper() + b"."


@on_uvloop
async def test_a_shape_may_answer_in_place_of_the_upstream() -> None:
    big = answer(b"x" * 300_000, status=b"502 Bad")
    async with (
        upstream(says(answer(b"small", status=b"500 Oh"), big)) as app,
        bench(program(pool_plan(app.port), shapes=(refuse,), encode=encode)) as proxy,
    ):
        client = await proxy.client()
        for _ in range(2):
            client.send(get())
            reply = await client.reply()
            assert reply.status == 410
            assert "content-encoding" not in reply.fields
        client.close()
        await proxy.at_rest()
