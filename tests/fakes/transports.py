"""Channels without sockets: a transport that keeps what is written, and a session that listens."""

import asyncio
from collections.abc import Callable
from typing import Any

from proxy.net.channel import READ_SIZE, Channel


class MemoryTransport(asyncio.Transport):
    """Keeps what is written until `read`; refuses what a real one refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.ended = False
        self.closed = False
        self.aborted = False
        self.reading = True
        self.options: list[object] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not self.closed:
            self.data += data

    def read(self) -> bytes:
        """Take what was written."""
        data, self.data = self.data, b""
        return data

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits = (high, low)

    def get_write_buffer_size(self) -> int:
        return len(self.data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's
        return self if name == "socket" else default

    # As much of a socket as `Channel.reset` needs.
    family = 2

    def setsockopt(self, *options: object) -> None:
        self.options.append(options)


class Listener:
    """A session that notes what it is told.

    Attributes:
        on_data: Called with what comes.
    """

    def __init__(self) -> None:
        self.data = b""
        self.told: list[str] = []
        self.on_data: Callable[[bytes], None] = lambda _: None

    def data_received(self, data: bytes) -> None:
        assert data
        self.data += data
        self.on_data(data)

    def eof_received(self) -> None:
        self.told.append("eof")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def channel_lost(self, error: Exception | None) -> None:
        self.told.append(f"lost {error}")

    def deadline_passed(self, now: float) -> bool:
        self.told.append(f"deadline {now:g}")
        return True


def feed(channel: Channel, data: bytes, size: int = READ_SIZE) -> None:
    """Have a channel read bytes, so many at a time, as the loop would."""
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        channel.get_buffer(-1)[: len(piece)] = piece
        channel.buffer_updated(len(piece))
