"""Health: when answers to probes change a verdict, and when failed requests take a peer out.

Active health is a machine with two verdicts. An answer that agrees with the verdict forgets what
spoke against it; one that contradicts it counts, and enough of these in a row turn it over. All
of that is in `TRANSITIONS`:

    verdict   answer   counts up to   then
    UP        good     -              UP
    UP        bad      fall           DOWN
    DOWN      bad      -              DOWN
    DOWN      good     rise           UP

A server nobody has asked yet is UP: start-up never waits for a probe.

Passive health counts failures of real requests in a sliding window.
"""

from collections import deque
from enum import Enum


class Verdict(Enum):
    """Whether a server may be sent requests."""

    UP = "up"
    DOWN = "down"


class Threshold(Enum):
    """Which number an answer counts towards."""

    NONE = "none"
    RISE = "rise"
    FALL = "fall"


TRANSITIONS: dict[tuple[Verdict, bool], tuple[Threshold, Verdict]] = {
    (Verdict.UP, True): (Threshold.NONE, Verdict.UP),
    (Verdict.UP, False): (Threshold.FALL, Verdict.DOWN),
    (Verdict.DOWN, False): (Threshold.NONE, Verdict.DOWN),
    (Verdict.DOWN, True): (Threshold.RISE, Verdict.UP),
}
"""(verdict, was the answer good) → (what it counts towards, the verdict once that is reached)."""


class HealthState:
    """The verdict on one server, and how many answers in a row speak against it."""

    __slots__ = ("_against", "_thresholds", "verdict")

    def __init__(self, rise: int, fall: int, verdict: Verdict = Verdict.UP) -> None:
        self._thresholds = {Threshold.RISE: rise, Threshold.FALL: fall}
        self._against = 0
        self.verdict = verdict

    @property
    def up(self) -> bool:
        """True while the server may be sent requests."""
        return self.verdict is Verdict.UP

    @property
    def settled(self) -> bool:
        """True while nothing speaks against the verdict."""
        return self._against == 0

    def record(self, *, good: bool) -> bool:
        """Take the outcome of a probe and return whether the verdict changed."""
        threshold, then = TRANSITIONS[self.verdict, good]
        if threshold is Threshold.NONE:
            self._against = 0
            return False
        self._against += 1
        if self._against < self._thresholds[threshold]:
            return False
        self._against = 0
        self.verdict = then
        return True


def too_many(times: deque[float], now: float, within: float) -> bool:
    """Note a failure at `now`; return whether the most allowed have come within `within` seconds.

    `times` holds the last failures; its `maxlen` is how many take a peer out, and 0 never does.
    """
    times.append(now)
    return 0 < len(times) == times.maxlen and now - times[0] <= within
