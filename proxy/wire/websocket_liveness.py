"""Whether one end of a WebSocket is still there, and when to ask it (RFC 6455, 5.5.2)."""

from enum import Enum

ANSWER = 20.0
"""Seconds in which something must come from whoever was sent a ping."""


class Need(Enum):
    """What is to be done about an end."""

    NOTHING = "nothing"
    PING = "ping"
    GIVE_UP = "give up"


class Liveness:
    """Of one end. Whatever comes from it shows that it lives, not its pongs alone.

    Attributes:
        heard: Monotonic seconds when something came from it last.
    """

    __slots__ = ("_asked", "_interval", "heard")

    def __init__(self, interval: float, now: float) -> None:
        """Begin now; `interval` is after how many seconds of silence it is asked."""
        self.heard = now
        self._interval = interval
        self._asked = 0.0

    def asked(self, now: float) -> None:
        """A ping goes to it, be it ours or the other end's; a second one changes nothing."""
        if self._asked <= self.heard:
            self._asked = now

    def due(self) -> float:
        """Return when to look again."""
        if self._asked > self.heard:
            return self._asked + ANSWER
        return self.heard + self._interval

    def need(self, now: float) -> Need:
        """Say what is to be done."""
        if now < self.due():
            return Need.NOTHING
        return Need.GIVE_UP if self._asked > self.heard else Need.PING
