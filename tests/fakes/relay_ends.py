"""The two ends of a relay: a client's stream and an upstream's, which keep what they are told."""

from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.net.upstream_stream import AnswerTaker
from proxy.routing.route import ProxyPlan
from proxy.upstream.peer import Peer
from proxy.upstream.plan import ServerPlan
from tests.fakes.exchanges import looked_at


class FakeClientStream:
    """Where an answer goes.

    Attributes:
        told: Everything it was told, in order, but for pieces of a body.
        body: Those.
    """

    def __init__(self) -> None:
        self.told: list[object] = []
        self.body = b""
        self._paused = False

    def send_answer(self, exchange: Exchange, answer: Answer) -> None:  # noqa: ARG002 - the face
        self.told.append(("answer", answer.head.status))

    def send_interim(self, exchange: Exchange, head: ResponseHead) -> None:  # noqa: ARG002 - same
        self.told.append(("interim", head.status))

    def send_head(self, exchange: Exchange, head: ResponseHead) -> None:  # noqa: ARG002 - same
        self.told.append(("head", head.status))

    def send_whole(self, exchange: Exchange, head: ResponseHead, body: bytes) -> None:  # noqa: ARG002 - same
        self.told.append(("whole", head.status, body))

    def send_body(self, exchange: Exchange, data: bytes) -> None:  # noqa: ARG002 - same
        self.body += data

    def end(self, exchange: Exchange, trailers: bytes) -> None:  # noqa: ARG002 - same
        self.told.append(("end", trailers))

    def flush(self) -> None:
        self.told.append("flush")

    def abort(self, exchange: Exchange) -> None:  # noqa: ARG002 - same
        self.told.append("abort")

    def switch(self, exchange: Exchange, head: ResponseHead) -> None:  # noqa: ARG002 - same
        self.told.append(("switch", head.status))

    def pause_body(self, exchange: Exchange) -> None:  # noqa: ARG002 - same
        self._paused = True

    def resume_body(self, exchange: Exchange) -> None:  # noqa: ARG002 - same
        self._paused = False

    def paused(self) -> bool:
        """Say whether the request's body is held up."""
        return self._paused


class FakeUpstream:
    """What carries a request.

    Attributes:
        told: Everything it was told, in order, but for pieces of a body.
        body: Those.
        writing_paused: True while it takes no more.
        room: How many pieces it takes before that.
    """

    reused = False
    answer_began = False

    def __init__(self) -> None:
        self.peer = Peer(ServerPlan("http://app", "http", "app", 80), ("192.0.2.9", 80), 3)
        self.told: list[object] = []
        self.body = b""
        self.writing_paused = False
        self.room = 1_000_000

    def hold(self, taker: AnswerTaker, exchange: Exchange, plan: ProxyPlan) -> None:  # noqa: ARG002 - the face
        self.told.append("hold")

    def hand_over(self, taker: AnswerTaker) -> None:  # noqa: ARG002 - same
        self.told.append("hand over")

    def send_head(self, length: int | None) -> None:
        self.told.append(("head", length))

    def send_body(self, data: bytes) -> None:
        assert data
        self.body += data
        self.room -= 1
        if self.room <= 0:
            self.writing_paused = True

    def end_body(self, trailers: bytes) -> None:
        self.told.append(("end", trailers))

    def write_raw(self, data: bytes) -> None:
        self.send_body(data)

    def write_eof(self) -> None:
        self.told.append("eof")

    def set_idle(self, seconds: float) -> None:
        self.told.append(("idle", seconds))

    def pause_reading(self) -> None:
        self.told.append("pause")

    def resume_reading(self) -> None:
        self.told.append("resume")

    def drop(self) -> None:
        self.told.append("drop")

    def close_after_writing(self) -> None:
        self.told.append("close")


def between(stream: FakeClientStream, method: str = "POST") -> Exchange:
    """Return an exchange whose answer goes to `stream`."""
    exchange = looked_at(method=method)
    exchange.stream = stream
    return exchange
