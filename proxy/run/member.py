"""The child's side of being supervised: orders come, signs of life go, the end is noticed."""

import asyncio
import contextlib
from collections.abc import Callable

from proxy.run.link import Link, LinkError, Message, close_all

BEAT = 1.0
"""Seconds between two signs of life."""

Order = Callable[[Message, list[int]], None]


class Member:
    """A supervised process, as its event loop sees it."""

    def __init__(self, link: Link, obey: Order, alone: Callable[[], None]) -> None:
        """Take the link, what to do with an order, and what to do when the supervisor is gone.

        The descriptors that come with an order are closed when `obey` returns.
        """
        self._link = link
        self._obey = obey
        self._alone = alone
        self._beat: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(link.fileno(), self._read)

    def tell(self, message: Message) -> None:
        """Send a message. One that the supervisor cannot take is lost.

        If it is gone, reading tells; if it is just slow, it has its own deadlines.
        """
        with contextlib.suppress(LinkError):
            self._link.send(message)

    def begin_to_beat(self) -> None:
        """Send the first sign of life, and one each second from now on."""
        self.tell({"is": "beat"})
        if self._beat is None or not self._beat.cancelled():
            self._beat = self._loop.call_later(BEAT, self.begin_to_beat)

    def leave(self) -> None:
        """Neither beat nor obey any more."""
        if self._beat is not None:
            self._beat.cancel()
        self._loop.remove_reader(self._link.fileno())

    def _read(self) -> None:
        while True:
            try:
                received = self._link.receive()
            except LinkError:
                self._lost()
                return
            if received is None:
                return
            try:
                self._obey(received.message, received.descriptors)
            finally:
                close_all(received.descriptors)

    def _lost(self) -> None:
        self.leave()
        self._alone()
