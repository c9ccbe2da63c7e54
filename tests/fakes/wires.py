"""Raw connections, for both ends of the proxy: every byte is the test's."""

import asyncio
import functools
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec

import uvloop

from proxy.clock import monotonic

P = ParamSpec("P")
PATIENCE = 20.0
"""Seconds for what takes none; only a failing test waits for them."""


async def until(look: Callable[[], object]) -> None:
    """Wait for something that is bound to come."""
    end = monotonic() + PATIENCE
    while not look():
        assert monotonic() < end, "never came"
        await asyncio.sleep(0.001)


Test = Callable[P, Coroutine[Any, Any, None]]


def on_uvloop(test: Test[P]) -> Callable[P, None]:
    """Run a test as production runs; an exception that nobody caught fails it."""

    async def watched(*args: P.args, **kwargs: P.kwargs) -> None:
        uncaught: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, told: uncaught.append(told.get("exception") or told))
        async with asyncio.timeout(PATIENCE * 2):
            await test(*args, **kwargs)
        assert not uncaught

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        uvloop.run(watched(*args, **kwargs))

    return run


@dataclass
class Reply:
    """An answer as it came: the status, the fields by lower-case name, the body decoded."""

    status: int
    fields: dict[str, str]
    body: bytes
    head: bytes
    trailers: bytes = b""


class CutShortError(Exception):
    """The answer ended before its end."""


@dataclass
class Wire:
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)

    async def sent(self) -> None:
        """Wait until what was sent is on its way."""
        async with asyncio.timeout(PATIENCE):
            await self.writer.drain()

    async def head(self) -> bytes:
        """Read up to an empty line."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def exactly(self, count: int) -> bytes:
        """Read so many bytes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(count)

    async def some(self) -> bytes:
        """Read what there is; b"" at the end."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read(1 << 16)

    async def rest(self) -> bytes:
        """Read to the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read(-1)

    async def gone(self) -> bool:
        """Wait for the end, orderly or not; tell whether nothing came before it."""
        try:
            return not await self.rest()
        except ConnectionError:
            return True

    async def reply(self, method: str = "GET") -> Reply:
        """Read one final answer, interim ones left out.

        Raises:
            CutShortError: It ended too soon.
        """
        try:
            return await self._reply(method)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise CutShortError from error

    async def _reply(self, method: str) -> Reply:
        status = 100
        head = b""
        while status < 200 and status != 101:
            head = await self.head()
            status = int(head.split(b" ", 2)[1])
        lines = head.decode("latin-1").split("\r\n")[1:-2]
        pairs = [line.partition(":")[::2] for line in lines]
        fields = {name.lower(): value.strip() for name, value in pairs}
        reply = Reply(status, fields, b"", head)
        if method == "HEAD" or status in (101, 204, 304):
            pass
        elif fields.get("transfer-encoding") == "chunked":
            await self._chunks(reply)
        elif "content-length" in fields:
            reply.body = await self.exactly(int(fields["content-length"]))
        else:
            reply.body = await self.rest()
        return reply

    async def _chunks(self, reply: Reply) -> None:
        while True:
            async with asyncio.timeout(PATIENCE):
                line = await self.reader.readuntil(b"\r\n")
            size = int(line, 16)
            if not size:
                break
            reply.body += await self.exactly(size)
            assert await self.exactly(2) == b"\r\n"
        while True:
            async with asyncio.timeout(PATIENCE):
                line = await self.reader.readuntil(b"\r\n")
            if line == b"\r\n":
                return
            reply.trailers += line

    def eof(self) -> None:
        """Close our direction."""
        self.writer.write_eof()

    def close(self) -> None:
        """Close after what was sent."""
        self.writer.close()

    def reset(self) -> None:
        """Close at once, with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Wire], Awaitable[None]]


@dataclass
class Upstream:
    """A server whose every connection follows a script.

    Attributes:
        script: What happens on a connection; it is closed when the script ends.
        wires: Every connection that ever came.
        port: Where it listens; it stays the same over `stop` and `start`.
    """

    script: Script
    wires: list[Wire] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None
    _server: asyncio.Server | None = None
    _failed: list[BaseException] = field(default_factory=list)

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, ssl=self.tls, backlog=200
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Refuse further connections."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        self.wires.append(wire)
        try:
            await self.script(wire)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the proxy left
        except Exception as error:
            self._failed.append(error)
            raise
        finally:
            writer.close()


@asynccontextmanager
async def upstream(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """Run a scripted upstream."""
    server = Upstream(script, tls=tls)
    await server.start()
    try:
        yield server
    finally:
        server.stop()
        for wire in server.wires:
            wire.writer.transport.abort()
    assert not server._failed


def answer(body: bytes = b"ok", fields: bytes = b"", status: bytes = b"200 OK") -> bytes:
    """Return a whole answer with a Content-Length."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), fields, body)


def says(*answers: bytes) -> Script:
    """Answer requests without bodies, on each connection with these in turn, the last for ever."""

    async def script(wire: Wire) -> None:
        for number in range(1_000_000):
            await wire.head()
            wire.send(answers[min(number, len(answers) - 1)])

    return script
