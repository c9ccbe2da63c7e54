"""What stands at both ends of a file that is served: a client's stream, and the worker."""

from collections.abc import Callable

from proxy.clock import monotonic
from proxy.errors import ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Client, Exchange
from proxy.message.head import RequestHead, ResponseHead
from proxy.message.target import normalise_path
from proxy.net.file_desk import FileDesk


class Sink:
    """A client's stream that keeps what it is given.

    Attributes:
        head: Of the answer; None before it.
        body: What came of it.
        pieces: How long each piece was.
        over: True once it ended whole.
        on_body: Called with each piece.
    """

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.body = b""
        self.pieces: list[int] = []
        self.over = False
        self.on_body: Callable[[], None] = lambda: None

    def send_answer(self, exchange: Exchange, answer: Answer) -> None:
        self.send_whole(exchange, answer.head, answer.body)

    def send_whole(self, exchange: Exchange, head: ResponseHead, body: bytes) -> None:
        assert self.head is None
        self.head = head
        self.body = body
        self.over = True
        exchange.consumer = None

    def send_head(self, exchange: Exchange, head: ResponseHead) -> None:
        assert exchange.consumer is not None
        assert self.head is None
        self.head = head

    def send_body(self, exchange: Exchange, data: bytes) -> None:
        assert self.head is not None
        assert exchange.consumer is not None
        assert not self.over
        self.body += data
        self.pieces.append(len(data))
        self.on_body()

    def flush(self) -> None:
        pass

    def end(self, exchange: Exchange, trailers: bytes) -> None:
        assert not trailers
        assert not self.over
        self.over = True
        exchange.consumer = None

    def send_interim(self, exchange: Exchange, head: ResponseHead) -> None:
        raise NotImplementedError

    def abort(self, exchange: Exchange) -> None:
        raise NotImplementedError

    def switch(self, exchange: Exchange, head: ResponseHead) -> None:
        raise NotImplementedError

    def pause_body(self, exchange: Exchange) -> None:
        raise NotImplementedError

    def resume_body(self, exchange: Exchange) -> None:
        raise NotImplementedError

    def field(self, name: str) -> str | None:
        """Return the one value of a field of the head, or None."""
        assert self.head is not None
        lines = self.head.block.decode("latin-1").split("\r\n")
        values = [line.split(": ", 1)[1] for line in lines if line.startswith(f"{name}: ")]
        assert len(values) < 2, values
        return values[0] if values else None


class Worker:
    """What a file handler sees of the worker.

    Attributes:
        errors: What was to be answered.
    """

    def __init__(self) -> None:
        self.date_line = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        self.files = FileDesk()
        self.errors: list[ProxyError] = []

    def fail(self, exchange: Exchange, error: ProxyError) -> None:
        """Take an error."""
        consumer, exchange.consumer = exchange.consumer, None
        if consumer is not None:
            consumer.client_gone()
        self.errors.append(error)


def exchange_of(target: str = "/", *lines: str, method: str = "GET") -> tuple[Exchange, Sink]:
    """An exchange that begins now, and where its answer goes."""
    head = RequestHead(method, target, "HTTP/1.1")
    head.path = normalise_path(target)
    head.block = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    sink = Sink()
    return Exchange(sink, Client("192.0.2.1", 50000, 443, "https"), head, monotonic()), sink
