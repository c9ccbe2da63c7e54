"""How long to wait before a process that died is started again."""

FIRST = 1.0
LONGEST = 30.0
LONG_LIFE = 60.0
"""Seconds after which a process counts as one that had worked: its death is a first one again."""


class Backoff:
    """The waits of one slot: none the first time, then one second, doubling up to 30 seconds.

    gunicorn starts the dead again at once and without end, which turns a fault at start into a
    busy loop; systemd gives up after five. A proxy must neither burn the machine nor give up.
    """

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0.0

    def died(self, lived: float) -> float:
        """Return the seconds to wait after a process died that had lived for `lived` seconds."""
        if lived >= LONG_LIFE:
            self._next = 0.0
        wait = self._next
        self._next = min(max(FIRST, 2 * self._next), LONGEST)
        return wait
