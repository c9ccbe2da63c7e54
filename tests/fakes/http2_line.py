"""A client's HTTP/2 connection without sockets: frames in, frames out, and time moved by hand."""

import asyncio
from typing import Any

from proxy.exchange.exchange import Exchange
from proxy.net.http2_connection import Http2Connection
from tests.fakes.http2_peer import Heard, Http2Peer, asking
from tests.fakes.serving import Handler, Line


class Http2Line(Line):
    """A `Line` whose client speaks HTTP/2 and has said hello. To be made inside a running loop.

    Attributes:
        peer: The client.
        speaks: The session.
    """

    def __init__(
        self,
        handler: Handler | None = None,
        *,
        settings: dict[str, int] | None = None,
        hello: bool = True,
        **more: Any,  # noqa: ANN401 - of Line
    ) -> None:
        super().__init__(handler, **more)
        refusal = more.get("refusal")
        self.speaks = Http2Connection(self.channel, self.service, self.client, refusal)
        self.channel.session = self.speaks
        self.peer = Http2Peer()
        if hello:
            self.send(self.peer.hello(**(settings or {})))

    async def turns(self, count: int = 20) -> Http2Peer:
        """Let the loop go on, and hear what was written."""
        for _ in range(count):
            await asyncio.sleep(0)
        return self.peer.hear(self.out())

    async def say(self, *frames: bytes) -> Http2Peer:
        """Bytes come from the client."""
        self.send(b"".join(frames))
        return await self.turns()

    def ask(self, stream: int, *, method: str = "GET", end: bool = True) -> Exchange:
        """A request comes, and reaches the handler."""
        return self.asked(self.peer.request(stream, asking("/", method), end=end))

    def heard(self, stream: int) -> Heard:
        """Return what came on a stream."""
        return self.peer.streams[stream]

    def statuses(self) -> list[int]:
        """Return those of the access log."""
        return [entry["status"] for entry in self.entries()]
