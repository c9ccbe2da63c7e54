"""A line of the error log, the sentences for what fails most often, and a bound on repetition."""

from proxy.exchange.exchange import Exchange
from proxy.observe.log_text import escape, one_line, quote
from proxy.observe.log_time import ISO
from proxy.observe.log_variables import PHASE_NAMES, error_text, request_line


def text_line(stamp: str, level: str, pid: int, message: str, trace: str = "") -> str:
    """Return a record as text: time, level, process, message.

    A traceback follows in lines of its own, indented, so that none can pass for a record.
    """
    line = f"{stamp[ISO]} [{level}] {pid}: {one_line(message)}"
    return "\n    ".join([line, *map(one_line, trace.splitlines())])


def json_line(stamp: str, level: str, pid: int, message: str, trace: str = "") -> str:
    """Return a record as one JSON object."""
    rest = f',"traceback":{quote(trace)}' if trace else ""
    return (
        f'{{"time":"{stamp[ISO]}","level":{quote(level)},"pid":{pid},'
        f'"message":{quote(message)}{rest}}}'
    )


def handshake_failure(peer: str, server_name: str, reason: str) -> str:
    """Return the message for a TLS handshake that failed."""
    name = f'"{escape(server_name)}"' if server_name else "no name"
    return f"TLS handshake failed: {escape(reason)}, client: {escape(peer)}, asked for {name}"


def exchange_failure(exchange: Exchange) -> str:
    """Return the message for an exchange that ended with an error."""
    head = exchange.head
    parts = [
        escape(error_text(exchange.error)) or "unknown error",
        f"status: {exchange.status:03d}",
        f"phase: {PHASE_NAMES[exchange.phase]}",
        f"client: {escape(exchange.address)}",
        f'request: "{escape(request_line(head))}"',
        f'host: "{escape(head.authority)}"',
    ]
    if exchange.upstream:
        parts.append(f"upstream: {escape(exchange.upstream)} (try {exchange.tries})")
    if exchange.request_id:
        parts.append(f"id: {escape(exchange.request_id)}")
    return ", ".join(parts)


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
