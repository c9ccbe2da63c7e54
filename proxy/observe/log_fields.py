"""Fields of a request that the log names: looked up in the head's block, or remembered."""

from collections.abc import Callable

from proxy.message.head import RequestHead

_MOST_REMEMBERED = 1024


def field_finder(name: str) -> Callable[[bytes], str]:
    """Return a function that finds a field in a block: its values joined by ", ", or ""."""
    key = f"\n{name.lower()}:".encode("latin-1")

    def find(block: bytes) -> str:
        # Lower-casing a copy and searching that takes a third of what a regular expression does.
        lines = b"\n" + block
        lower = lines.lower()
        values = []
        at = lower.find(key)
        while at >= 0:
            values.append(_value(lines, at + len(key)))
            at = lower.find(key, at + 1)
        return ", ".join(values)

    return find


def client_fields(ready: Callable[[str], str]) -> Callable[[RequestHead], tuple[str, str]]:
    """Return a function that returns a request's Referer and User-Agent, ready for the log.

    A client on a kept-alive connection sends the same block again and again, and looking the two
    up costs more than the rest of the line. What is remembered is the two texts under the block's
    hash and never the block, for that may hold credentials. The hash is cached in the block, keyed
    for each process and of 64 bits; were two blocks ever to share one, a line would tell a wrong
    browser.

    Args:
        ready: Escapes or quotes a value; gets "" for a field that is not there.
    """
    known: dict[int, tuple[str, str]] = {}

    def read(head: RequestHead) -> tuple[str, str]:
        key = hash(head.block)
        found = known.get(key)
        if found is None:
            if len(known) >= _MOST_REMEMBERED:
                known.clear()
            lines = b"\n" + head.block
            found = known[key] = (
                ready(_first(lines, b"\nReferer:")),
                ready(_first(lines, b"\nUser-Agent:")),
            )
        return found

    return read


def _first(lines: bytes, key: bytes) -> str:
    at = lines.find(key)  # as browsers write it
    if at < 0:
        at = lines.lower().find(key.lower())
    return _value(lines, at + len(key)) if at >= 0 else ""


def _value(lines: bytes, start: int) -> str:
    return str(lines[start : lines.find(b"\r", start)], "latin-1").strip(" \t")
