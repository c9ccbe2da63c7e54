"""The upstream of WebSockets: every small message comes back as it is.

Run as a process of its own: `python -m benchmarks.websocket_echo PORT`. A request that is no
handshake is answered as the other upstream answers `/small`.
"""

import asyncio
import base64
import hashlib
import re
import resource
import sys
from typing import cast

import uvloop

from benchmarks.bodies import SMALL
from benchmarks.stage import HOST

_KEY = re.compile(rb"^sec-websocket-key: *(\S+)\r$", re.IGNORECASE | re.MULTILINE)
_UPGRADE = re.compile(rb"^upgrade: *websocket\r$", re.IGNORECASE | re.MULTILINE)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_CLOSE = 8
_MASKED_HEAD = 6  # bytes, of a message of 125 bytes at most
_PLAIN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
    + str(SMALL).encode("ascii")
    + b"\r\n\r\n"
    + b"x" * SMALL
)


class Echo(asyncio.Protocol):
    """One connection: a handshake, then small messages."""

    def __init__(self) -> None:
        self._transport = asyncio.Transport()
        self._received = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer a head, or the messages that are whole."""
        self._received += data
        if not self._upgraded:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            self._received = rest
            self._upgraded, answer = answered(head + b"\r\n")
            self._transport.write(answer)
        if self._upgraded and self._received:
            answer, self._received, closed = echoed(self._received)
            self._transport.write(answer)
            if closed:
                self._transport.close()


def answered(head: bytes) -> tuple[bool, bytes]:
    """Whether a request head asks for a WebSocket, and the answer to it."""
    key = _KEY.search(head)
    if not key or not _UPGRADE.search(head):
        return False, _PLAIN
    accept = base64.b64encode(hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest())
    return True, (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def echoed(data: bytes) -> tuple[bytes, bytes, bool]:
    """The frames that answer those in `data`, what is left of it, and whether one was a close.

    Frames are the masked ones of clients, of 125 bytes at most. The mask is not undone: the
    generator's is of zeros.
    """
    answers = []
    at = 0
    while at + _MASKED_HEAD <= len(data):
        size = data[at + 1] & 0x7F
        end = at + _MASKED_HEAD + size
        if end > len(data):
            break
        if data[at] & 0x0F == _CLOSE:
            answers.append(b"\x88\x00")
            return b"".join(answers), b"", True
        answers.append(bytes((data[at], size)) + data[at + _MASKED_HEAD : end])
        at = end
    return b"".join(answers), data[at:], False


async def serve(port: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, HOST, port, backlog=4096)
    await server.serve_forever()


def all_files() -> None:
    """Let this process open as many files as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    all_files()
    uvloop.run(serve(int(sys.argv[1])))
