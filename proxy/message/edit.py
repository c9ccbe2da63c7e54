"""Edits to a field block, made ready at load: which names go out of it, which lines are added.

An edit is applied to a block that passed the strict grammar, so that a line's end is CRLF and
nothing else, and a name begins right after one.
"""

import re
from collections.abc import Iterable


def either_case(name: str) -> str:
    """Return a pattern for a field name in any case.

    Spelt out as classes ("[Hh][Oo]…") because the regular expression engine then tries only the
    alternatives that can begin with the byte at hand, which it does not do with IGNORECASE.
    """
    return "".join(
        f"[{char.upper()}{char.lower()}]" if char.isalpha() else re.escape(char) for char in name
    )


class FieldEdit:
    """Fields to take out of a block, and a block to add at its end.

    Attributes:
        removes: Lower-case names.
        block: The lines added, as a field block.
    """

    __slots__ = ("_pattern", "block", "removes")

    def __init__(self, removes: Iterable[str] = (), block: bytes = b"") -> None:
        self.removes = frozenset(name.lower() for name in removes)
        self.block = block
        self._pattern: re.Pattern[bytes] | None = None
        if self.removes:
            names = "|".join(either_case(name) for name in sorted(self.removes))
            self._pattern = re.compile(rf"\n(?:{names}):[^\n]*".encode())

    def apply(self, block: bytes) -> bytes:
        """Return `block` edited."""
        return self.cut(block) + self.block

    def cut(self, block: bytes) -> bytes:
        """Return `block` without what goes out of it, and with nothing added: for trailers."""
        if self._pattern is None or not block:
            return block
        # A line is found by the LF that ends the one before, so the block is led by one.
        return self._pattern.sub(b"", b"\n" + block)[1:]


NO_EDIT = FieldEdit()
