"""TLS channels joined in memory: what one writes, the other reads when the test says so."""

import ssl
from functools import partial

from proxy.net.tls import TlsChannel
from proxy.net.tls_contexts import TlsFront
from tests.fakes.transports import Listener, MemoryTransport, feed


class End:
    """A TLS channel with everything that is told of it."""

    def __init__(
        self,
        context: ssl.SSLContext | TlsFront,
        *,
        size: int = 1 << 18,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self.session = Listener()
        self.transport = MemoryTransport()
        self.size = size
        self.established = 0
        self.failed: list[Exception] = []
        if isinstance(context, TlsFront):
            self.channel = TlsChannel(self._front(context), self._established, self._failed)
        else:
            wrap = partial(context.wrap_bio, server_hostname="localhost", session=session)
            self.channel = TlsChannel(wrap, self._established, self._failed)
        self.channel.connection_made(self.transport)

    def _front(self, front: TlsFront):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a `Wrap`
        return lambda incoming, outgoing: front.wrap(incoming, outgoing, "127.0.0.1")

    def _established(self, channel: TlsChannel) -> None:
        self.established += 1
        channel.session = self.session

    def _failed(self, _: TlsChannel, error: Exception) -> None:
        self.failed.append(error)

    def take_from(self, other: "End") -> bool:
        """Read what the other end wrote, and then its end; tell whether there was anything."""
        data = other.transport.read()
        if data and not self.transport.closed:
            feed(self.channel, data, self.size)
        return bool(data)


def pump(one: End, other: End) -> None:
    """Let both ends read until there is nothing more."""
    while one.take_from(other) | other.take_from(one):
        pass
