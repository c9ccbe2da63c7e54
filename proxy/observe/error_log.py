"""A line of the error log, and a bound on how often one may be repeated."""

from json.encoder import encode_basestring_ascii

from proxy.observe.log_text import one_line, quote
from proxy.observe.log_time import ISO

_MOST_OF_TRACE = 16 * 1024  # characters, from its end, where the exception is


def text_line(stamp: str, level: str, pid: int, message: str, trace: str = "") -> str:
    """Return a record as text: time, level, process, message.

    A traceback follows in lines of its own, indented, so that none can pass for a record.
    """
    line = f"{stamp[ISO]} [{level}] {pid}: {one_line(message)}"
    return "\n    ".join([line, *map(one_line, trace[-_MOST_OF_TRACE:].splitlines())])


def json_line(stamp: str, level: str, pid: int, message: str, trace: str = "") -> str:
    """Return a record as one JSON object."""
    rest = f',"traceback":{encode_basestring_ascii(trace[-_MOST_OF_TRACE:])}' if trace else ""
    return (
        f'{{"time":"{stamp[ISO]}","level":{quote(level)},"pid":{pid},'
        f'"message":{quote(message)}{rest}}}'
    )


class RepeatLimit:
    """Lets a message through a few times a second, then counts how often it came.

    Both bounds are there for floods: that of equal messages for one thing gone wrong, that of
    different ones for a client that finds a new name for it each time.
    """

    __slots__ = ("_counts", "_different", "_equal", "_since", "_until")

    def __init__(self, equal: int = 10, different: int = 256) -> None:
        """Take how often a second a message may come, and how many different ones may."""
        self._equal = equal
        self._different = different
        self._counts: dict[str, int] = {}
        self._since = self._until = float("-inf")

    def roll(self, now: float) -> list[tuple[str, int]]:
        """Begin a new second if it is time; `now` is in seconds, of any clock.

        Returns:
            The messages held back in the one that ended, and how often each. "" stands for all
            that were one too many to be told apart.
        """
        if self._since <= now < self._until:
            return []
        held = []
        for message, count in self._counts.items():
            spare = count - (self._equal if message else 0)
            if spare > 0:
                held.append((message, spare))
        self._counts.clear()
        self._since, self._until = now, now + 1.0
        return held

    def admit(self, message: str) -> bool:
        """Tell whether a message may be written."""
        counts = self._counts
        if message not in counts and len(counts) >= self._different:
            message = ""
        count = counts[message] = counts.get(message, 0) + 1
        return bool(message) and count <= self._equal
