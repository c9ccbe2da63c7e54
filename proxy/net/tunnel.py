"""A WebSocket on its way: frames both ways as they come, with back-pressure, and an orderly end.

Bytes pass untouched. A lane for each direction knows where frames end, so that the proxy can say
what is its own to say: pings, and a close frame where one end cannot say it any more. Once close
frames of ours are out, their answers are waited for, and what else comes is thrown away.
"""

import asyncio
import math
import secrets

from proxy.clock import monotonic
from proxy.errors import BadRequestError, ProxyError, UpstreamError
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.net.hop import Hop
from proxy.net.upstream_stream import UpstreamStream
from proxy.net.websockets import WebSockets
from proxy.routing.route import ProxyPlan
from proxy.wire.websocket_frames import CloseReason, close_frame, ping_frame
from proxy.wire.websocket_lane import Lane
from proxy.wire.websocket_liveness import Liveness, Need

FAREWELL = 2.0
"""Seconds that a close frame of ours is waited for to be answered."""

_HALF_CLOSED = (
    30.0  # seconds of silence once one side has closed its direction or sent a close frame
)
_LEAST = 0.01  # seconds between two looks at the time
_OWN = secrets.token_bytes(8)  # in our pings: no end will hit on it for one of its own
_PING = ping_frame(_OWN, masked=False)
_GONE = "the client is gone"
_FAULTS = {
    CloseReason.MESSAGE_TOO_BIG: "a message that is too big",
    CloseReason.PROTOCOL_ERROR: "what is no WebSocket frame",
}


class Tunnel:
    """Joins a client's stream and an upstream's after 101 (Switching Protocols).

    Implements `exchange.Consumer`, `upstream_stream.AnswerTaker` and `websockets.Open`.
    """

    __slots__ = (
        "_active",
        "_client",
        "_client_ended",
        "_client_up",
        "_ending",
        "_exchange",
        "_full",
        "_idle",
        "_interval",
        "_server",
        "_timer",
        "_to_client",
        "_to_upstream",
        "_upstream",
        "_upstream_up",
        "_websockets",
    )

    def __init__(
        self, exchange: Exchange, upstream: UpstreamStream, plan: ProxyPlan, websockets: WebSockets
    ) -> None:
        """Join, and count in with `websockets`. Call `join`, which asks whether that may be."""
        now = monotonic()
        interval = plan.websocket_ping
        own = _OWN if interval else b""
        limit = plan.websocket_max_message
        self._exchange = exchange
        self._upstream = upstream
        self._websockets = websockets
        self._to_upstream = Lane(masked=True, limit=limit, own=own)
        self._to_client = Lane(masked=False, limit=limit, own=own)
        self._client = Liveness(interval, now)
        self._server = Liveness(interval, now)
        self._interval = interval
        self._idle = plan.websocket_idle
        self._active = now  # when something was passed on; our pings and their answers are not
        self._client_up = True
        self._client_ended = False  # it has closed its direction
        self._upstream_up = True
        self._full = False  # one of them reads more slowly than it is sent to
        self._ending = False  # the proxy has begun to end it
        websockets.enter(self, exchange.address)
        upstream.set_idle(math.inf)
        self._timer = self._wake_in(min(self._idle, interval or self._idle))

    # From the client.

    def body_received(self, data: bytes) -> None:
        """Pass bytes on to the upstream."""
        self._client.heard = now = monotonic()
        lane = self._to_upstream
        out = lane.push(data)
        if out and self._upstream_up:
            self._active = now
            self._upstream.write_raw(out)
            if self._upstream.writing_paused:
                self.upstream_full()
        if lane.news:
            self._look(lane, self._server)

    def body_ended(self, trailers: bytes) -> None:  # noqa: ARG002 - the face's signature
        """The client closed its direction: without a close frame it is as good as gone."""
        self._client_ended = True
        if self._ending:
            self._end_if_answered()
        elif self._may_tell(self._to_upstream):
            self._ending = True
            self._restart(FAREWELL)
            self._tell_upstream(CloseReason.GOING_AWAY, _GONE)
        else:
            if not self._to_upstream.closed:
                self._upstream.write_eof()
            self._half_close()

    def client_full(self) -> None:
        """Stop reading from the upstream."""
        if not self._to_client.shut:
            self._full = True
            self._upstream.pause_reading()

    def client_ready(self) -> None:
        """Read from the upstream again."""
        self._full = False
        self._upstream.resume_reading()

    def client_gone(self) -> None:
        """Tell the upstream, unless the client has, and end."""
        self._client_up = False
        self._websockets.leave(self)
        if not self._ending and self._upstream_up and self._may_tell(self._to_upstream):
            self._ending = True
            self._restart(FAREWELL)
            self._tell_upstream(CloseReason.GOING_AWAY, _GONE)
        if self._ending and self._upstream_up and self._to_upstream.shut:
            self._upstream.resume_reading()
            self._end_if_answered()
        else:
            self._finish(clean=True)

    # From the upstream.

    def answer_whole(self, head: ResponseHead, body: bytes) -> None:
        """Never comes: the answer was 101."""

    def answer_interim(self, head: ResponseHead) -> None:
        """Never comes: the answer was 101."""

    def answer_head(self, head: ResponseHead) -> None:
        """Never comes: the answer was 101."""

    def answer_body(self, data: bytes) -> None:
        """Pass bytes on to the client."""
        self._server.heard = now = monotonic()
        lane = self._to_client
        out = lane.push(data)
        if out and self._client_up:
            self._active = now
            self._exchange.stream.send_body(self._exchange, out)
        if lane.news:
            self._exchange.stream.flush()
            self._look(lane, self._client)

    def answer_turn(self) -> None:
        """Write what came."""
        self._exchange.stream.flush()

    def answer_end(self, trailers: bytes) -> None:  # noqa: ARG002 - the face's signature
        """The upstream closed its direction: without a close frame it is lost."""
        self._upstream_left(None)

    def answer_lost(self, error: ProxyError) -> None:
        """The upstream is gone."""
        self._upstream_left(error)

    def _upstream_left(self, error: ProxyError | None) -> None:
        self._upstream_up = False
        self._upstream.close_after_writing()
        if self._ending:
            self._end_if_answered()
            return
        lane = self._to_client
        if self._may_tell(lane) and not self._to_upstream.closed:
            lost = error or UpstreamError(502, "the upstream left without a close frame")
            self._end("the upstream is gone", lost, client=CloseReason.INTERNAL_ERROR)
            return
        if error is not None:
            self._exchange.error = error
        self._finish(clean=error is None or lane.closed)

    def upstream_full(self) -> None:
        """Stop reading from the client."""
        if not self._to_upstream.shut:
            self._full = True
            self._exchange.stream.pause_body(self._exchange)

    def upstream_ready(self) -> None:
        """Read from the client again."""
        self._full = False
        self._exchange.stream.resume_body(self._exchange)

    # The end.

    def go_away(self) -> None:
        """Tell both ends that this worker ends, and end when they have answered."""
        self._end("the server is going away", None)

    def _end(
        self,
        reason: str,
        error: ProxyError | None,
        *,
        client: CloseReason = CloseReason.GOING_AWAY,
        upstream: CloseReason = CloseReason.GOING_AWAY,
    ) -> None:
        """Send both ends a close frame, now or where the running frame ends."""
        if self._ending:
            return
        self._ending = True
        self._restart(FAREWELL)
        if error is not None:
            self._exchange.error = error
        if self._upstream_up:
            self._tell_upstream(upstream, reason)
        if self._client_up:
            frame = close_frame(client, reason, masked=False)
            self._say_to_client(self._to_client.say(frame, last=True))
        # Nothing goes to whoever was told, so its slowness stops nobody from being heard.
        if self._to_upstream.shut or not self._upstream_up:
            self._exchange.stream.resume_body(self._exchange)
        if self._upstream_up and self._to_client.shut:
            self._upstream.resume_reading()
        self._end_if_answered()

    def _may_tell(self, lane: Lane) -> bool:
        """Say whether a close frame may follow what a lane's sink was sent."""
        return lane.at_border and not (lane.closed or lane.shut)

    def _tell_upstream(self, code: CloseReason, reason: str) -> None:
        frame = self._to_upstream.say(close_frame(code, reason, masked=True), last=True)
        if frame:
            self._upstream.write_raw(frame)

    def _say_to_client(self, frame: bytes) -> None:
        if frame:
            self._exchange.stream.send_body(self._exchange, frame)
            self._exchange.stream.flush()

    def _look(self, lane: Lane, sink: Liveness) -> None:
        """Act on what a lane came upon."""
        lane.news = False
        if lane.pinged:  # as good as one of ours
            lane.pinged = False
            sink.asked(monotonic())
        if self._ending:
            self._end_if_answered()
        elif lane.fault is not None:
            what = _FAULTS[lane.fault]
            error: ProxyError = BadRequestError(f"the client sent {what}")
            if lane is self._to_client:
                error = UpstreamError(502, f"the upstream sent {what}")
            self._end(what, error, client=lane.fault, upstream=lane.fault)
        elif lane.closed:
            self._half_close()

    def _half_close(self) -> None:
        """One has said that it will say no more: the other is given less time."""
        self._idle = min(self._idle, _HALF_CLOSED)
        self._active = monotonic()
        self._restart(self._idle)

    def _end_if_answered(self) -> None:
        """Finish once nobody is left who could still answer a close frame."""
        to_client, to_upstream = self._to_client, self._to_upstream
        mute = self._client_ended or to_upstream.closed or to_upstream.lost
        if self._client_up and not mute:
            return
        if self._upstream_up and not (to_client.closed or to_client.lost):
            return
        self._finish()

    def _finish(self, *, clean: bool | None = None) -> None:
        """Close what is still open; by default cleanly where no frame is cut."""
        self._timer.cancel()
        self._websockets.leave(self)
        self._ending = True
        if self._upstream_up:
            self._upstream_up = False
            self._upstream.close_after_writing()
        if self._client_up:
            self._client_up = False
            lane = self._to_client
            stream = self._exchange.stream
            if clean or (clean is None and (lane.shut or lane.closed or lane.lost)):
                stream.end(self._exchange, b"")
            else:
                stream.abort(self._exchange)

    # Time.

    def _wake_in(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._wake)

    def _restart(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self._wake_in(seconds)

    def _wake(self) -> None:
        """Look at the time: whether they have been silent, and whether they are there."""
        if self._ending:
            self._finish()
            return
        now = monotonic()
        if self._full:  # whoever is not read from is not silent
            self._active = self._client.heard = self._server.heard = now
        due = self._active + self._idle
        if now >= due:
            self._websockets.counters.upstream_timeouts += 1
            self._end("silent for too long", UpstreamError(504, "nothing was said in time"))
            return
        if self._interval:
            if not self._ask(now):
                return
            # Who has just been asked may answer at once, and be silent from then on.
            due = min(due, self._client.due(), self._server.due(), now + self._interval)
        self._timer = self._wake_in(max(due - now, _LEAST))

    def _ask(self, now: float) -> bool:
        """Send pings where they are due; return whether both ends are still there."""
        need = self._client.need(now)
        counters = self._websockets.counters
        if need is Need.GIVE_UP:
            counters.client_timeouts += 1
            error: ProxyError = BadRequestError("the client answered no ping", status=408)
            self._end("no answer to a ping", error, client=CloseReason.INTERNAL_ERROR)
            return False
        if need is Need.PING:
            self._client.asked(now)
            self._say_to_client(self._to_client.say(_PING))
        need = self._server.need(now)
        if need is Need.GIVE_UP:
            counters.upstream_timeouts += 1
            error = UpstreamError(504, "the upstream answered no ping")
            self._end("the upstream is gone", error, client=CloseReason.INTERNAL_ERROR)
            return False
        if need is Need.PING:
            self._server.asked(now)
            frame = self._to_upstream.say(ping_frame(_OWN, masked=True))
            if frame:
                self._upstream.write_raw(frame)
        return True


def join(hop: Hop, exchange: Exchange, upstream: UpstreamStream, head: ResponseHead) -> None:
    """Switch protocols, as an upstream has done with `head`; unless there are too many already."""
    refusal = hop.websockets.refusal(exchange.address)
    if refusal is not None:
        upstream.drop()
        hop.fail(exchange, refusal)
        return
    tunnel = Tunnel(exchange, upstream, hop.plan, hop.websockets)
    upstream.hand_over(tunnel)
    exchange.consumer = tunnel
    exchange.stream.switch(exchange, head)
