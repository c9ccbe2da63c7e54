"""An HTTP/1.1 upstream in a thread of the test: says what it is told to say, and what it saw."""

import asyncio
import concurrent.futures
import contextlib
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TypeVar

PATIENCE = 30.0

T = TypeVar("T")


@dataclass
class Request:
    """What came. Names of fields are in lower case; `fields` has every line."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes
    connection: int
    """Number of the connection it came on, from 1."""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def get(self, name: str, default: str = "") -> str:
        found = self.all(name)
        assert len(found) <= 1, f"{name} came {len(found)} times: {found}"
        return found[0] if found else default


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes | str, status: str = "200 OK", *fields: str) -> bytes:
    """The bytes of a whole answer."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def says(text: str) -> Handler:
    """Answer with a text."""

    async def handle(_request: Request, client: asyncio.StreamWriter) -> None:
        client.write(answer(text))

    return handle


async def mirror(request: Request, client: asyncio.StreamWriter) -> None:
    """Answer with what came, as JSON."""
    seen = {
        "method": request.method,
        "target": request.target,
        "fields": request.fields,
        "body": request.body.decode("latin-1"),
    }
    client.write(answer(json.dumps(seen), "200 OK", "Content-Type: application/json"))


async def hang_up(_request: Request, client: asyncio.StreamWriter) -> None:
    """Close without a word."""
    client.close()


@dataclass
class Gate:
    """A handler that says when it was asked, and answers when it may."""

    text: str = "late"
    asked: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, _request: Request, client: asyncio.StreamWriter) -> None:
        self.asked.set()
        await asyncio.to_thread(self.may_answer.wait, PATIENCE)
        client.write(answer(self.text))


class Upstream:
    """A server on a free port of `host`, or on a unix socket.

    Attributes:
        requests: All that came, in order.
        handler: What answers; may be changed at any time.
        idle: Seconds after which an idle connection is closed; None keeps it.
    """

    def __init__(
        self,
        handler: Handler = mirror,
        *,
        host: str = "127.0.0.1",
        unix: str = "",
        tls: ssl.SSLContext | None = None,
        idle: float | None = None,
    ) -> None:
        self.handler = handler
        self.idle = idle
        self.host = host
        self.port = 0
        self.unix = unix
        self.requests: list[Request] = []
        self.connections = 0
        self._tls = tls
        self._open: set[asyncio.StreamWriter] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.start()

    @property
    def url(self) -> str:
        if self.unix:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def targets(self) -> list[str]:
        return [request.target for request in self.requests]

    def start(self) -> None:
        """Listen, on the port it had before if any."""
        self._do(self._start())

    def kill(self) -> None:
        """Vanish as a process that is killed does: nobody listens, every connection is cut."""
        self._do(self._kill())

    def close(self) -> None:
        """End everything."""
        self._do(self._kill())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _do(self, work: Coroutine[None, None, T]) -> T:
        done: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(PATIENCE)

    async def _start(self) -> None:
        if self.unix:
            self._server = await asyncio.start_unix_server(self._serve, self.unix)
            return
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _kill(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for _ in range(3):  # who was accepted in this very moment is to be known, too
            await asyncio.sleep(0)
        for client in tuple(self._open):
            client.transport.abort()
        for task in tuple(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await asyncio.sleep(0)  # lets transports say that they are gone

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        self._open.add(client)
        self.connections += 1
        number = self.connections
        try:
            while (request := await self._read(reader, number)) is not None:
                self.requests.append(request)
                await self.handler(request, client)
                await client.drain()
                if client.is_closing() or request.get("connection") == "close":
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, TimeoutError):
            pass  # whoever left, left
        finally:
            self._open.discard(client)
            self._running.discard(task)
            client.close()

    async def _read(self, reader: asyncio.StreamReader, number: int) -> Request | None:
        try:
            async with asyncio.timeout(self.idle):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        fields = [
            (name.lower(), value.strip()) for name, _, value in (x.partition(":") for x in lines)
        ]
        request = Request(method, target, fields, b"", number)
        if request.get("transfer-encoding") == "chunked":
            request.body = await _chunks(reader)
        elif request.get("content-length"):
            request.body = await reader.readexactly(int(request.get("content-length")))
        return request


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    while (await reader.readline()).strip():
        pass
    return body


class Upstreams:
    """Makes upstreams, and ends those it made."""

    def __init__(self) -> None:
        self._made: list[Upstream] = []

    def __call__(
        self,
        handler: Handler = mirror,
        *,
        host: str = "127.0.0.1",
        unix: str = "",
        tls: ssl.SSLContext | None = None,
        idle: float | None = None,
    ) -> Upstream:
        made = Upstream(handler, host=host, unix=unix, tls=tls, idle=idle)
        self._made.append(made)
        return made

    def close(self) -> None:
        for each in self._made:
            with contextlib.suppress(TimeoutError):
                each.close()
