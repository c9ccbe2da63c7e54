"""An upstream for bodies that no memory should hold: `python -m benchmarks.scenarios.bulk_origin`.

GET /small answers a hundred bytes, GET anything else as many zeros as the path says (`/1048576`);
a POST is read to its end and answered with its length. One request a connection, one thread each.
"""

import socket
import socketserver
import sys

from benchmarks.bodies import SMALL
from benchmarks.stage import HOST

_PIECE = bytes(1 << 20)


class Handler(socketserver.BaseRequestHandler):
    """One connection with its one request."""

    request: socket.socket

    def handle(self) -> None:
        """Read the head, then do as asked."""
        head, begun = read_head(self.request)
        method, path, _ = head.split("\r\n")[0].split(" ")
        if method == "POST":
            self.answer(str(count_body(self.request, content_length(head), len(begun))).encode())
        elif path == "/small":
            self.answer(b"x" * SMALL)
        else:
            self.zeros(int(path.strip("/")))

    def answer(self, body: bytes) -> None:
        """A short answer."""
        self.request.sendall(answer_head(len(body)) + body)

    def zeros(self, count: int) -> None:
        """A long one, as fast as it is taken."""
        self.request.sendall(answer_head(count))
        while count:
            piece = _PIECE[: min(count, len(_PIECE))]
            self.request.sendall(piece)
            count -= len(piece)


class Server(socketserver.ThreadingTCPServer):
    """Listens; its threads end with it."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


def answer_head(length: int) -> bytes:
    """The head of an answer of so many bytes."""
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def read_head(connection: socket.socket) -> tuple[str, bytes]:
    """Read up to the empty line; return the head and the bytes of the body that came with it."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            raise ConnectionResetError("the proxy closed before a whole head came")
        received += data
    head, _, rest = received.partition(b"\r\n\r\n")
    return head.decode("ascii"), rest


def content_length(head: str) -> int:
    """The length that a request head announces.

    Raises:
        ValueError: it announces none; this origin wants none of chunked bodies.
    """
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    raise ValueError("a body without Content-Length")


def count_body(connection: socket.socket, expected: int, received: int) -> int:
    """Read a body to its announced end; return how much of it came."""
    buffer = bytearray(1 << 20)
    while received < expected:
        count = connection.recv_into(buffer)
        if not count:
            break
        received += count
    return received


def main() -> None:
    """Serve on the port given until ended."""
    with Server((HOST, int(sys.argv[1])), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
