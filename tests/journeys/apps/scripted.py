"""An upstream that answers what a test tells it, byte for byte, and keeps every byte it is sent."""

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

from tests.journeys.running import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_NO_LINGER = struct.pack("ii", 1, 0)


class Conversation:
    """One connection that the proxy opened.

    Attributes:
        head: Of the request under way.
        body: Of the request under way, as it came: with its chunks' heads, if it has chunks.
        number: 1 for the first request on the connection.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held = b""
        self.head = b""
        self.body = b""
        self.number = 0
        self.over = False

    def read_head(self) -> bool:
        """Take the next request's head, and tell whether there was one."""
        if not self._read_until(b"\r\n\r\n"):
            return False
        self.head, _, self._held = self._held.partition(b"\r\n\r\n")
        self.head += b"\r\n\r\n"
        self.number += 1
        return True

    def read_body(self) -> bool:
        """Take its body, and tell whether it was whole."""
        length = _LENGTH.search(self.head)
        self.body = b""
        if length is not None:
            return self._take(int(length[1]))
        if b"\r\ntransfer-encoding: chunked\r\n" in self.head.lower():
            return self._take_chunks()
        return True

    def _take(self, size: int) -> bool:
        while len(self._held) < size:
            if not self._fill():
                return False
        self.body += self._held[:size]
        self._held = self._held[size:]
        return True

    def _take_chunks(self) -> bool:
        """Take the raw bytes up to the empty line behind the last chunk."""
        size = -1
        while size:
            if not self._read_until(b"\r\n"):
                return False
            line = self._held.partition(b"\r\n")[0]
            size = int(line.partition(b";")[0], 16)
            if not self._take(len(line) + 2 + (size + 2 if size else 0)):
                return False
        line = b"trailers"
        while line:
            if not self._read_until(b"\r\n"):
                return False
            line = self._held.partition(b"\r\n")[0]
            self._take(len(line) + 2)
        return True

    def _read_until(self, mark: bytes) -> bool:
        while mark not in self._held:
            if not self._fill():
                return False
        return True

    def _fill(self) -> bool:
        data = self.receive()
        self._held += data
        return bool(data)

    def receive(self) -> bytes:
        """Return what comes next, b"" at the end."""
        with contextlib.suppress(OSError):
            return self._sock.recv(65536)
        return b""

    def send(self, data: bytes) -> None:
        """Send bytes as they are; that nobody takes them is for the test to notice."""
        with contextlib.suppress(OSError):
            self._sock.sendall(data)

    def close(self) -> None:
        """Say goodbye and close, in order."""
        self.over = True
        with contextlib.suppress(OSError):
            if isinstance(self._sock, ssl.SSLSocket):
                self._sock = self._sock.unwrap()
            self._sock.shutdown(socket.SHUT_WR)

    def close_without_goodbye(self) -> None:
        """Close the stream below TLS."""
        self.over = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a reset."""
        self.over = True
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._sock.close()


Script = Callable[[Conversation], None]


def answer_ok(conversation: Conversation) -> None:
    """The script of those who have none."""
    conversation.send(OK)


class ScriptedUpstream:
    """Listens, and runs `script` for each request.

    Attributes:
        script: Called in a thread of the connection's own, after the request's body.
        on_head: Called before the body, if it is not None.
        heads: Of all requests since `begin`.
        bodies: Of all those that became whole.
        connections: How many were opened since `begin`.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.begin()
        self._threads[0].start()

    def begin(self) -> None:
        """Forget what was; said before each test."""
        self.script: Script = answer_ok
        self.on_head: Script | None = None
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0

    def says(self, data: bytes, *, close: bool = False) -> None:
        """Answer every request with these bytes."""

        def script(conversation: Conversation) -> None:
            conversation.send(data)
            if close:
                conversation.close()

        self.script = script

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(sock)
            thread = threading.Thread(target=self._converse, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _converse(self, sock: socket.socket) -> None:
        if self._context is not None:
            try:
                sock = self._context.wrap_socket(sock, server_side=True)
            except OSError:
                return
            self._sockets.append(sock)
        with contextlib.closing(sock):
            conversation = Conversation(sock)
            while not conversation.over and conversation.read_head():
                self.heads.append(conversation.head)
                if self.on_head is not None:
                    self.on_head(conversation)
                if not conversation.read_body():
                    return
                self.bodies.append(conversation.body)
                self.script(conversation)

    def end(self) -> None:
        """Close everything, and wait for it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(PATIENCE)
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a script that never ends"
        for sock in self._sockets:
            sock.close()


@contextlib.contextmanager
def scripted(context: ssl.SSLContext | None = None) -> Iterator[ScriptedUpstream]:
    """Run a scripted upstream, over TLS with a context."""
    upstream = ScriptedUpstream(context)
    try:
        yield upstream
    finally:
        upstream.end()
