"""The two faces between a request on its way and the connection that carries it.

Neither knows which version of HTTP the connection speaks: one that speaks HTTP/1.1 is an
`UpstreamStream` itself, one that carries many requests at once has one for each.
"""

from typing import Protocol

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.routing.route import ProxyPlan
from proxy.upstream.peer import Peer


class AnswerTaker(Protocol):
    """Who sent a request, and takes its answer. Exactly one of the last three calls ends it."""

    def answer_interim(self, head: ResponseHead) -> None:
        """Take a 1xx head (not 101)."""

    def answer_head(self, head: ResponseHead) -> None:
        """Take the final head, or 101."""

    def answer_body(self, data: bytes) -> None:
        """Take a piece of the body."""

    def answer_turn(self) -> None:
        """What one read brought has been told."""

    def upstream_full(self) -> None:
        """The upstream reads more slowly than it is sent to."""

    def upstream_ready(self) -> None:
        """The upstream has caught up."""

    def answer_whole(self, head: ResponseHead, body: bytes) -> None:
        """Take head and body in one. The stream is free again."""

    def answer_end(self, trailers: bytes) -> None:
        """The answer is whole; `trailers` is a field block. The stream is free again."""

    def answer_lost(self, error: ProxyError) -> None:
        """No answer, or no more of it, will come. The stream is gone."""


class UpstreamStream(Protocol):
    """What carries one request to an upstream, and its answer back."""

    @property
    def peer(self) -> Peer:
        """Whom it leads to."""

    @property
    def reused(self) -> bool:
        """True when its connection carried a request before."""

    @property
    def writing_paused(self) -> bool:
        """True while the upstream reads too slowly."""

    @property
    def answer_began(self) -> bool:
        """True when any byte of an answer has come."""

    def hold(self, taker: AnswerTaker, exchange: Exchange, plan: ProxyPlan) -> None:
        """Give the stream to a request that is about to be sent."""

    def hand_over(self, taker: AnswerTaker) -> None:
        """Give a running answer to somebody else."""

    def send_head(self, length: int | None) -> None:
        """Send the request's head; with `length` None the body's framing is the client's own."""

    def send_body(self, data: bytes) -> None:
        """Send a piece of the body."""

    def end_body(self, trailers: bytes) -> None:
        """The request is out; from now on the answer's head is waited for."""

    def write_raw(self, data: bytes) -> None:
        """Send bytes after an upgrade."""

    def write_eof(self) -> None:
        """Close our direction after an upgrade."""

    def set_idle(self, seconds: float) -> None:
        """Set how long may pass from now on without a byte; told as `answer_lost`."""

    def pause_reading(self) -> None:
        """Take nothing more of the answer for now; nothing times out meanwhile."""

    def resume_reading(self) -> None:
        """Go on taking it."""

    def drop(self) -> None:
        """Give the request up; nothing more is told of it."""

    def close_after_writing(self) -> None:
        """End an upgraded stream when what was written is out; nothing more is told of it."""
