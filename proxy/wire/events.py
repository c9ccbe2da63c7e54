"""What machines tell beside heads (`message.head`) and body pieces (plain bytes)."""

from enum import Enum


class MessageEnd:
    """A message is whole. `trailers` is a field block, b"" for none."""

    __slots__ = ("trailers",)

    def __init__(self, trailers: bytes = b"") -> None:
        self.trailers = trailers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MessageEnd) and other.trailers == self.trailers

    def __hash__(self) -> int:
        return hash(self.trailers)

    def __repr__(self) -> str:
        return f"MessageEnd({self.trailers!r})"


END = MessageEnd()


class Paused(Enum):
    """The one value PAUSED: bytes of a next message wait until this one has been answered."""

    PAUSED = "paused"


PAUSED = Paused.PAUSED
