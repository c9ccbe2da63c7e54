"""A request's body on its way to an upstream: kept until it is whole, or passed on as it comes."""

from proxy.exchange.exchange import Exchange
from proxy.net.spool import MEMORY, BudgetError, Spool, SpoolBudget, SpoolError
from proxy.net.upstream_stream import UpstreamStream


class RequestBody:
    """Takes pieces from the client and gives them to an upstream, at the slower one's pace.

    Kept bodies can be sent again, to another server. When the disk is full a body that was to be
    kept is streamed after all: nothing is lost but the shield. When only our own budget is, it is
    refused: else whoever fills the budget could take the shield away.

    Attributes:
        kept: True while it is, or was, kept until it is whole.
        sent: True once some of it went to an upstream.
    """

    __slots__ = ("_ended", "_exchange", "_spool", "_trailers", "_upstream", "kept", "sent")

    def __init__(self, exchange: Exchange, budget: SpoolBudget, *, kept: bool) -> None:
        self._exchange = exchange
        self._spool = Spool(budget, exchange.address, keep=kept)
        self._upstream: UpstreamStream | None = None
        self._ended = False
        self._trailers = b""
        self.kept = kept
        self.sent = False

    @property
    def replayable(self) -> bool:
        """True when all that went to an upstream can be sent again."""
        return self.kept or not self.sent

    # From the client.

    def received(self, data: bytes) -> bool:
        """Take a piece; return True when the body can be kept no longer and is to be streamed.

        Raises:
            BudgetError: It would have to be kept, and there is no room for it.
        """
        upstream, spool = self._upstream, self._spool
        if upstream is not None and not self.kept and not spool.size:
            self.sent = True
            upstream.send_body(data)
            if upstream.writing_paused:
                self._pause()
            return False
        try:
            spool.put(data)
        except BudgetError:
            raise
        except SpoolError as error:
            self._exchange.error = error
            self._pause()  # the piece itself was taken, into memory
            was_kept, self.kept = self.kept, False
            spool.let_go()
            return was_kept
        if not self.kept and spool.size >= MEMORY:
            self._pause()
        return False

    def ended(self, trailers: bytes) -> None:
        """The client has sent it all."""
        self._ended = True
        self._trailers = trailers
        if self._upstream is not None:
            self.pump()

    # To the upstream.

    def send_to(self, upstream: UpstreamStream) -> None:
        """Send head and body, from the body's beginning."""
        self._upstream = upstream
        if self.kept:
            self._spool.rewind()
            upstream.send_head(self._spool.total)
        else:
            upstream.send_head(None)
        self.pump()

    def pump(self) -> None:
        """Send what waits, as far as the upstream takes it.

        Raises:
            SpoolError: What was kept cannot be read back.
        """
        upstream, spool = self._upstream, self._spool
        if upstream is None:
            return
        while spool.size and not upstream.writing_paused:
            self.sent = True
            upstream.send_body(spool.take())
        if spool.size or upstream.writing_paused:
            return
        self._exchange.stream.resume_body(self._exchange)  # also to hear of the client's leaving
        if self._ended:
            self._upstream = None
            upstream.end_body(self._trailers)

    def upstream_full(self) -> None:
        """The upstream reads slowly: so must we, unless the body is kept anyway."""
        if not self._ended and not self.kept:
            self._pause()

    def detach(self) -> None:
        """The upstream is gone; another one may follow."""
        self._upstream = None

    def close(self) -> None:
        """Let go of what was kept."""
        self._upstream = None
        self._spool.close()

    def _pause(self) -> None:
        self._exchange.stream.pause_body(self._exchange)
