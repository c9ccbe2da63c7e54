"""What a gate may say of an exchange: let it pass, answer it, or first have something happen.

A gate does no I/O and never waits. Where it cannot decide yet, it says what must happen first and
who decides then; the room with sockets carries it out, and nothing of the client's body is lost
meanwhile. When the client leaves, what was begun for it is given up and nobody is asked.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from proxy.exchange.answer import Answer
from proxy.message.head import RequestHead, ResponseHead

T = TypeVar("T")


class Wait:
    """Something that must happen before an exchange goes on."""

    __slots__ = ()


class Delay(Wait):
    """Some time must pass; then the next gate is asked.

    Attributes:
        seconds: More than 0.
    """

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Work(Wait, Generic[T]):
    """Something that takes long must be computed, in a thread of its own.

    Attributes:
        call: What to compute. It shares nothing with the loop that changes meanwhile.
        then: Decides by the result, on the loop. Both may raise a ProxyError.
    """

    __slots__ = ("call", "then")

    def __init__(self, call: Callable[[], T], then: "Callable[[T], Verdict]") -> None:
        self.call = call
        self.then = then


class Subrequest(Wait):
    """A server must be asked; where no answer of it can be had, the exchange fails (502, 503, 504).

    Attributes:
        pool: Name of the pool that it is sent through.
        head: What to ask, without a body; forwarding fields are added as for any request.
        timeout: Seconds from the request to the end of the answer.
        limit: Most bytes of the answer's body; more is an error (502).
        then: Decides by the answer, on the loop. It may raise a ProxyError.
    """

    __slots__ = ("head", "limit", "pool", "then", "timeout")

    def __init__(
        self,
        pool: str,
        head: RequestHead,
        timeout: float,
        limit: int,
        then: "Callable[[ResponseHead, bytes], Verdict]",
    ) -> None:
        self.pool = pool
        self.head = head
        self.timeout = timeout
        self.limit = limit
        self.then = then


Verdict = Answer | Wait | None
