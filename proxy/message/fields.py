"""Reading a field block: the values of one field, one cookie.

Only what the proxy decides by is ever read; the block itself travels untouched. A block has passed
the strict grammar, so a line ends with CRLF and nothing else, and a name begins right after one.
"""

import re
from functools import lru_cache

from proxy.message.edit import either_case


@lru_cache(maxsize=256)  # Names come from the configuration and the code, never from a client.
def _pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(rf"\n{either_case(name)}:[ \t]*([^\r\n]*)".encode())


def field_values(block: bytes, name: str) -> list[str]:
    """Return the values of all fields `name` in order, surrounding white space taken off.

    Bytes outside ASCII are read as ISO-8859-1 (RFC 9110, 5.5), which loses none.
    """
    # A line is found by the LF that ends the one before, so the block is led by one.
    found = _pattern(name).findall(b"\n" + block)
    return [value.rstrip(b" \t").decode("latin-1") for value in found]


def cookie_value(block: bytes, name: str) -> str | None:
    """Return the value of the cookie `name`, or None.

    Names of cookies are case-sensitive. Of several with one name the first counts: it has the
    longest path (RFC 6265, 5.4). HTTP/2 may spread cookies over several fields (RFC 9113, 8.2.3).
    """
    for line in field_values(block, "cookie"):
        for pair in line.split(";"):
            found, equals, value = pair.partition("=")
            if equals and found.strip(" \t") == name:
                return value.strip(" \t")
    return None
