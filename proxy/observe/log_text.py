"""What others wrote, made harmless for a log: one line stays one line, one field one field."""

import re
from json.encoder import encode_basestring_ascii

MAX_FIELD = 4096
"""Characters of one field that are logged; the rest becomes three dots. nginx knows no bound, but
a line's length decides how many lines may wait for a slow disk."""

# What nginx escapes: quote, backslash, everything below 32 and above 126.
_unsafe = re.compile(r"[^ !#-\[\]-~]").search
_UNSAFE_RUN = re.compile(r"[^ !#-\[\]-~]+")

# What could end a line, drive a terminal or hide text in it (C0, DEL, C1, line separators,
# bidirectional controls, lone surrogates); a message may well be in any language.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def is_plain(text: str) -> bool:
    """Tell whether `escape` would leave a text as it is."""
    return len(text) <= MAX_FIELD and _unsafe(text) is None


def escape(text: str) -> str:
    r"""Return a text as nginx writes it between quotes: `"` as \x22, and so on, byte by byte.

    Characters up to U+00FF are the bytes they were on the wire; others are told in UTF-8.
    """
    if len(text) <= MAX_FIELD and _unsafe(text) is None:
        return text
    return _UNSAFE_RUN.sub(_as_bytes, _cut(text))


def _as_bytes(run: re.Match[str]) -> str:
    return "".join(
        f"\\x{byte:02X}"
        for char in run[0]
        for byte in ([ord(char)] if ord(char) < 256 else char.encode("utf-8", "surrogatepass"))
    )


def quote(text: str) -> str:
    """Return a text as a JSON string in ASCII, quotes included."""
    if len(text) > MAX_FIELD:
        text = _cut(text)
    return encode_basestring_ascii(text)


def one_line(text: str) -> str:
    """Return a message without what could end its line or disturb a terminal."""
    text = _cut(text)
    return text if text.isascii() and text.isprintable() else _CONTROL.sub(_as_bytes, text)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_FIELD else text[: MAX_FIELD - 3] + "..."
