"""Clients that open WebSockets over TLS, keep them open, and send small messages when told.

Run as a process of its own: `python -m benchmarks.websocket_clients PORT COUNT CERTIFICATE`. It
tells how many are open, then answers each line on its standard input with one line: `ask` sends a
message on each and tells how many came back; `load SECONDS WINDOW` keeps WINDOW messages under way
on each and tells how many came back in how many seconds. The end of the input ends it.
"""

import asyncio
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import uvloop

from benchmarks import client
from benchmarks.idle_clients import IdleClients
from benchmarks.load import BROWSER_HEADERS, Load
from benchmarks.stage import HOST
from benchmarks.websocket_echo import all_files

TEXT = b"thirty-two bytes of a short chat"
MESSAGE = bytes((0x81, 0x80 | len(TEXT), 0, 0, 0, 0)) + TEXT
"""A text frame; the mask of zeros costs the generator nothing, and a proxy does not look at it."""
ANSWER = bytes((0x81, len(TEXT))) + TEXT
_AT_ONCE = 20  # handshakes
_PATIENCE = 60.0  # seconds for all answers
# The key and the answer to it are those of RFC 6455, 1.3.
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_LINES = (
    "GET /chat HTTP/1.1",
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Key: {_KEY}",
    "Sec-WebSocket-Version: 13",
    "Origin: https://localhost",
    *(line for line in BROWSER_HEADERS if line.startswith(("User-Agent", "Accept-"))),
)
HANDSHAKE = "".join(f"{line}\r\n" for line in (*_LINES, "")).encode("ascii")


class WebSocketClients(IdleClients):
    """The process that holds `count` WebSockets, as the rig sees it."""

    program = "benchmarks.websocket_clients"

    def load(self, seconds: float, window: int) -> Load:
        """Echo as fast as it goes; a WebSocket that was lost or got anything else is broken."""
        self._say(f"load {seconds} {window}")
        line = self.process.stdout.readline() if self.process.stdout else ""
        messages, lasted, whole = (line or "0 0 0").split()
        return Load(int(messages), float(lasted), broken=self.count - int(whole))


class WebSocket(asyncio.Protocol):
    """One client; `messages` counts those that came back, `whole` tells that nothing went wrong."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.open = loop.create_future()
        self.messages = 0
        self.whole = True
        self.again = False
        self._transport = asyncio.Transport()
        self._received = b""
        self._answered = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        """Read the answer to the handshake, then count what comes back."""
        self._received += data
        if not self.open.done():
            head, end, self._received = self._received.partition(b"\r\n\r\n")
            if not end:
                self._received = head
            elif head.startswith(b"HTTP/1.1 101 ") and _ACCEPT in head:
                self.open.set_result(None)
            else:
                self._lose()
            return
        count = len(self._received) // len(ANSWER)
        size = count * len(ANSWER)
        if self._received[:size] != ANSWER * count:
            self._lose()
        self._received = self._received[size:]
        self.messages += count
        if self.again:
            self._transport.write(MESSAGE * count)
        elif count and not self._answered.done():
            self._answered.set_result(True)

    def connection_lost(self, _error: Exception | None) -> None:
        """Nothing is to be lost while this is watched."""
        self._lose()

    def send(self, count: int) -> asyncio.Future[bool]:
        """Send so many messages; the future tells whether something came back, or it was lost."""
        self._answered = asyncio.get_running_loop().create_future()
        if self.whole:
            self._transport.write(MESSAGE * count)
        return self._answered

    def _lose(self) -> None:
        self.whole = False
        self._transport.close()
        if not self.open.done():
            self.open.set_result(None)
        if not self._answered.done():
            self._answered.set_result(False)


async def open_all(port: int, count: int, certificate: Path) -> list[WebSocket]:
    """Open WebSockets, some at a time; those that failed are left out."""
    context = client.tls_context(certificate)
    loop = asyncio.get_running_loop()

    async def one() -> WebSocket | None:
        try:
            _, socket = await loop.create_connection(
                WebSocket, HOST, port, ssl=context, server_hostname="localhost"
            )
        except OSError:
            return None
        await socket.open
        return socket

    sockets: list[WebSocket] = []
    for begun in range(0, count, _AT_ONCE):
        some = await asyncio.gather(*(one() for _ in range(min(_AT_ONCE, count - begun))))
        sockets += [socket for socket in some if socket and socket.whole]
    return sockets


async def ask(sockets: Iterable[WebSocket]) -> int:
    """Send a message on each; how many came back."""
    waiting = [socket.send(1) for socket in sockets if socket.whole]
    done, _ = await asyncio.wait(waiting, timeout=_PATIENCE) if waiting else (set(), set())
    return sum(answer.result() for answer in done)


async def echo(sockets: Iterable[WebSocket], seconds: float, window: int) -> tuple[int, float]:
    """Keep messages under way; how many came back, in how many seconds."""
    begun = time.monotonic()
    for socket in sockets:
        socket.messages, socket.again = 0, True
        _ = socket.send(window)
    await asyncio.sleep(seconds)
    for socket in sockets:
        socket.again = False
    return sum(socket.messages for socket in sockets), time.monotonic() - begun


async def main(port: int, count: int, certificate: Path) -> None:
    """Open, tell, and serve the lines on standard input."""
    loop = asyncio.get_running_loop()
    sockets = await open_all(port, count, certificate)
    print(len(sockets), flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while words := (await lines.readline()).split():
        if words[0] == b"ask":
            print(await ask(sockets), flush=True)
        else:
            messages, lasted = await echo(sockets, float(words[1]), int(words[2]))
            whole = sum(socket.whole for socket in sockets)
            print(messages, lasted, whole, flush=True)


if __name__ == "__main__":
    all_files()
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
