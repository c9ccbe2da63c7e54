"""The answering half of a client's HTTP/1.1 connection: the `ClientStream` of its exchange."""

from abc import ABC, abstractmethod

from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.exchange.phases import Phase
from proxy.message.head import ResponseHead
from proxy.net.channel import Channel
from proxy.net.prepared import PreparedAnswer
from proxy.net.service import Service
from proxy.wire.http1_server import Framing, Http1Server, Reading

_JOIN = 16 * 1024  # pieces up to a TLS record's size are joined to one write; larger ones are not


class Http1Answering(ABC):
    """Turns what an exchange's handler says into bytes on the channel.

    One exchange runs at a time; what is said for any other is ignored. The reading half is told
    through `_answered`, `_aborted` and `_upgraded`.
    """

    __slots__ = ("_channel", "_exchange", "_machine", "_out", "_service", "_switched")

    def __init__(self, channel: Channel, service: Service) -> None:
        self._channel = channel
        self._service = service
        self._machine = Http1Server(service.head_limits)
        self._exchange: Exchange | None = None
        self._out: list[bytes] = []
        self._switched = False

    @abstractmethod
    def _answered(self, exchange: Exchange, *, unread: bool) -> None:
        """The answer is out; `unread` if some of the request's body has not been read."""

    @abstractmethod
    def _aborted(self, exchange: Exchange) -> None:
        """The answer was cut short; the channel is closing."""

    @abstractmethod
    def _upgraded(self, exchange: Exchange, rest: bytes) -> None:
        """The protocol was switched; `rest` is what the client sent already."""

    def send_answer(self, exchange: Exchange, answer: Answer) -> None:
        """Send a whole answer of our own."""
        if exchange is not self._exchange:
            return
        machine = self._machine
        unread = machine.reading is not Reading.DONE and not machine.skip_body()
        if answer.close:
            machine.keep_alive = False
        head = answer.head
        out = machine.begin(head, self._service.answer_fields(exchange, head))
        body = machine.body(answer.body)
        out += body + machine.finish()
        exchange.sent = len(body)
        self.flush()
        self._channel.write(out)
        self._answered(exchange, unread=unread)

    def send_interim(self, exchange: Exchange, head: ResponseHead) -> None:
        """Pass a 1xx head on."""
        if exchange is self._exchange:
            self._out.append(self._machine.interim(head))

    def send_head(self, exchange: Exchange, head: ResponseHead) -> None:
        """Begin the answer."""
        if exchange is self._exchange:
            fields = self._service.answer_fields(exchange, head)
            self._out.append(self._machine.begin(head, fields))

    def send_whole(self, exchange: Exchange, head: ResponseHead, body: bytes) -> None:
        """Send head and body in one go; what was made for a repeated head is used again."""
        if exchange is not self._exchange:
            return
        machine = self._machine
        prepared = head.prepared
        unread = False
        plain = (
            machine.keep_alive
            and machine.reading is Reading.DONE
            and exchange.head.version == "HTTP/1.1"
        )
        if type(prepared) is not PreparedAnswer or prepared.edit is not exchange.edit:
            prepared = None
        if plain and prepared is not None and prepared.http1:
            out = prepared.http1 + body
            exchange.status = head.status
            exchange.phase = Phase.ANSWERED
            machine.finish_whole()
        else:
            # An early answer: the rest of its request may still be on the way.
            unread = machine.reading is not Reading.DONE and not machine.skip_body()
            begun = machine.begin(head, self._service.answer_fields(exchange, head))
            if plain and head.dated:
                if prepared is None:
                    prepared = head.prepared = PreparedAnswer(exchange.edit)
                prepared.http1 = begun
            out = begun + machine.body(body) + machine.finish()
        exchange.sent = len(body)
        if self._out:
            self.flush()
        self._channel.write(out)
        self._answered(exchange, unread=unread)

    def send_body(self, exchange: Exchange, data: bytes) -> None:
        """Send a piece of the body."""
        if exchange is self._exchange:
            exchange.sent += len(data)
            self._out.append(data if self._switched else self._machine.body(data))

    def flush(self) -> None:
        """Write what waits, small pieces in one."""
        out = self._out
        if not out:
            return
        self._out = []
        if len(out) == 1:
            self._channel.write(out[0])
            return
        joined = b""
        for piece in out:
            if joined and len(joined) + len(piece) > _JOIN:
                self._channel.write(joined)
                joined = piece
            else:
                joined += piece
        self._channel.write(joined)

    def end(self, exchange: Exchange, trailers: bytes) -> None:
        """End the answer."""
        if exchange is not self._exchange:
            return
        unread = False
        if not self._switched:
            unread = self._machine.reading in (Reading.LENGTH, Reading.CHUNKED)
            self._out.append(self._machine.finish(trailers))
        self.flush()
        if exchange is self._exchange:  # the last write may have found the client gone
            self._answered(exchange, unread=unread)

    def abort(self, exchange: Exchange) -> None:
        """Cut the answer short, visibly: no last chunk, no close_notify, a reset if need be."""
        if exchange is not self._exchange:
            return
        delimited = self._machine.framing in (Framing.LENGTH, Framing.CHUNKED)
        self.flush()
        self._machine.close()
        if delimited or self._switched:
            self._channel.cut()
        else:
            self._channel.reset()
        self._aborted(exchange)

    def switch(self, exchange: Exchange, head: ResponseHead) -> None:
        """Send 101, and from now on hand bytes on as they come."""
        if exchange is not self._exchange:
            return
        fields = self._service.answer_fields(exchange, head)
        upgrade = head.upgrade.encode("latin-1")
        fields += b"Connection: Upgrade\r\nUpgrade: %b\r\n" % upgrade
        self._out.append(self._machine.interim(ResponseHead(101, head.reason, fields)))
        self._switched = True
        self.flush()
        self._channel.resume_reading()  # a lot may have come behind the request
        self._upgraded(exchange, self._machine.take_rest())

    def pause_body(self, exchange: Exchange) -> None:
        """Stop reading from the client."""
        if exchange is self._exchange:
            self._channel.pause_reading()

    def resume_body(self, exchange: Exchange) -> None:
        """Read from the client again."""
        if exchange is self._exchange:
            self._channel.resume_reading()
