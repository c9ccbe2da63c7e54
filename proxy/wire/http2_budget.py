"""What a client may make an HTTP/2 connection do for nothing: so much at once, so much a second.

Every one of these is legal now and then, and an attack in thousands: streams opened and reset
(CVE-2023-44487), resets provoked from us (CVE-2025-8671), SETTINGS, PING and PRIORITY that want an
answer or a thought, DATA without data or in crumbs, windows opened byte by byte. CONTINUATION
without end (CVE-2024-27316) is bounded in `http2_framing`.

What honest clients do grows with their traffic: one acknowledges every frame with two windows,
another measures the line with a PING for each, a proxy in front of us passes its clients' resets
on. So a finished answer and each frame sent earn some of these back.
"""

CRUMB = 128
"""Bytes; DATA frames with less than these cost more to read than they bring."""

_ACKNOWLEDGED = 2048  # bytes for which a window may be opened; Go's client: 4 KB, two windows each
_RESETS_AN_ANSWER = 0.25


class Allowance:
    """A bucket of tokens: `burst` at most, refilled steadily."""

    __slots__ = ("_burst", "_rate", "_since", "_tokens")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        """Begin full.

        Args:
            burst: Tokens that it holds.
            rate: Tokens it gets back each second.
            now: Monotonic seconds.
        """
        self._burst = self._tokens = burst
        self._rate = rate
        self._since = now

    def spend(self, now: float, tokens: float = 1.0) -> bool:
        """Take tokens out; False when they are not there, and nothing is taken."""
        left = min(self._burst, self._tokens + (now - self._since) * self._rate)
        self._since = now
        if left < tokens:
            self._tokens = left
            return False
        self._tokens = left - tokens
        return True

    def earn(self, tokens: float) -> None:
        """Put tokens in: what was paid for with honest use."""
        self._tokens = min(self._burst, self._tokens + tokens)


class Budgets:
    """The allowances of one connection; what may be had at once, and again each second."""

    __slots__ = ("crumbs", "empty_data", "idle_frames", "offences", "pings", "resets", "settings",
                 "window_updates")  # fmt: skip

    def __init__(self, now: float) -> None:
        self.resets = Allowance(200, 20, now)  # who leaves a page resets all of its streams
        self.offences = Allowance(50, 2, now)  # resets that the client provokes from us
        self.settings = Allowance(20, 1, now)
        self.pings = Allowance(60, 10, now)
        self.idle_frames = Allowance(500, 100, now)  # PRIORITY, unknown types, closed streams
        self.empty_data = Allowance(60, 10, now)
        self.crumbs = Allowance(20_000, 10_000, now)  # DATA frames of less than CRUMB bytes
        self.window_updates = Allowance(4000, 2000, now)

    def sent(self, size: int) -> None:
        """A frame of an answer's body went out."""
        self.window_updates.earn(2.0 + size / _ACKNOWLEDGED)
        self.pings.earn(1.0)

    def answered(self) -> None:
        """An answer is whole."""
        self.resets.earn(_RESETS_AN_ANSWER)
