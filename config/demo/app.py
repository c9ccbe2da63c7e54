"""A small application to try the proxy with, from the standard library alone.

``/`` is a page, ``/api/echo`` answers any method with what arrived here as JSON, ``/events``
streams server-sent events, and ``/upload`` counts the bytes it is sent.

    python config/demo/app.py 9000
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import SplitResult, parse_qs, urlsplit

PIECE = 64 * 1024
PAGE = Path(__file__).with_name("page.html").read_bytes()


class DemoHandler(BaseHTTPRequestHandler):
    """One connection; HTTP/1.1, so that the proxy's kept-alive connections have an end."""

    protocol_version = "HTTP/1.1"
    server_version = "pyproxy-demo"
    timeout: ClassVar[float | None] = 75.0  # seconds an idle connection is kept
    disable_nagle_algorithm = True  # head and body are two writes
    body: Iterator[bytes]  # of the request under way; what has been read does not come again

    def handle_one_request(self) -> None:
        """Answer one request, or notice that the peer is gone."""
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def answer(self) -> None:
        """Send the request to the function of its path."""
        self.body = self.incoming()
        try:
            self.route(urlsplit(self.path))
        except ValueError as error:
            self.close_connection = True
            self.reply_json(400, {"error": str(error)})

    def route(self, target: SplitResult) -> None:
        """Answer by path."""
        match target.path:
            case "/":
                self.reply(200, "text/html; charset=utf-8", PAGE)
            case "/api/echo":
                self.echo()
            case "/events":
                self.events(parse_qs(target.query))
            case "/upload":
                self.reply_json(200, {"bytes": sum(len(piece) for piece in self.body)})
            case _:
                self.reply_json(404, {"error": "not found", "path": target.path})

    def echo(self) -> None:
        """Say what arrived, so that one sees what the proxy sent on."""
        body = b"".join(itertools.islice(self.body, 16))
        self.reply_json(
            200,
            {
                "method": self.command,
                "path": self.path,
                "client": self.client_address[0],
                "headers": self.headers.items(),
                "body": body.decode("utf-8", "replace"),
                "process": os.getpid(),
            },
        )

    def events(self, query: dict[str, list[str]]) -> None:
        """Stream ``?count=`` events, ``?every=`` seconds apart; without a count, for ever."""
        count = int(query.get("count", ["0"])[0])
        every = float(query.get("every", ["1"])[0])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD":
            return
        for number in range(1, count + 1) if count else itertools.count(1):
            self.write_chunk(f"id: {number}\ndata: {time.strftime('%H:%M:%S')}\n\n".encode())
            if number != count:
                time.sleep(every)
        self.write_chunk(b"")

    def write_chunk(self, data: bytes) -> None:
        """Write one chunk; the empty one ends the body."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def incoming(self) -> Iterator[bytes]:
        """The request's body in pieces, whether it came with a length or in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield from self.pieces(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass  # trailers
        else:
            yield from self.pieces(int(self.headers.get("Content-Length", "0")))

    def pieces(self, size: int) -> Iterator[bytes]:
        """Read ``size`` bytes; a connection that ends early ends the request."""
        while size:
            piece = self.rfile.read(min(size, PIECE))
            if not piece:
                raise ConnectionResetError("the request's body was cut short")
            size -= len(piece)
            yield piece

    def reply_json(self, status: int, value: object) -> None:
        """Answer with JSON, indented for people."""
        self.reply(status, "application/json", json.dumps(value, indent=2).encode() + b"\n")

    def reply(self, status: int, content_type: str, body: bytes) -> None:
        """Answer with a whole body, once the request's own has been read to its end."""
        for _ in self.body:
            pass
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # http.server looks for these names by the request's method.
    do_GET = do_HEAD = do_OPTIONS = answer  # noqa: N815 - see above
    do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - see above

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Stay silent: the proxy in front keeps the access log."""


class DemoServer(ThreadingHTTPServer):
    """Serves until it is told to stop; requests under way do not hold it up."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


def main() -> None:
    """Serve on the loopback port named by the first argument, 9000 by default."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    with DemoServer(("127.0.0.1", port), DemoHandler) as server:
        sys.stderr.write(f"demo application on http://127.0.0.1:{server.server_port}\n")
        server.serve_forever()


if __name__ == "__main__":
    main()
