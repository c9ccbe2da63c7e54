"""The text of a configuration file, as problems quote it: the line, a caret, no passwords."""

import re

from proxy.settings.problem import Problem

_WIDEST = 160
_LONG = 4000
_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s\"']*:)[^@\s\"']+(?=@)")
_TELLTALE = r"(?:password|passwd|secret|token|api[_-]?key|authorization|cookie)"
_SECRET_KEY = re.compile(_TELLTALE, re.IGNORECASE)
_SECRET_PAIR = re.compile(rf"({_TELLTALE}['\"]?\s*:\s+)\S.*", re.IGNORECASE)


def masked(text: str) -> str:
    """Return `text` without what is plainly a password written into the file."""
    return _SECRET_PAIR.sub(r"\1***", _PASSWORD_IN_URL.sub(r"\1***", text))


def names_secret(key: object) -> bool:
    """Tell whether the value under a key is plainly a secret: a password, a token."""
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None


class Source:
    """Name and lines of a file."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        # YAML's own line ends and no others: str.splitlines would count form feeds too.
        self.lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", text)

    def line(self, index: int) -> str:
        """Return a line by its number from 0, "" beyond the end."""
        return self.lines[index] if 0 <= index < len(self.lines) else ""

    def problem(self, mark: tuple[int, int], message: str, path: str = "") -> Problem:
        """Return a problem at `mark`, line and column counted from 0, with the line quoted."""
        line, col = mark
        return Problem(self.name, line + 1, col + 1, path, message, self._snippet(line, col))

    def _snippet(self, line: int, col: int) -> str:
        text = self.line(line)
        if len(text) > _LONG:  # Nobody writes it by hand, and looking through it takes its time.
            start = max(0, col - _LONG // 2)
            text, col = text[start : start + _LONG], col - start
        begin = max(0, col - _WIDEST // 2) if len(text) > _WIDEST else 0
        shown = masked(text)[begin : begin + _WIDEST].expandtabs(1)
        if not shown.strip():
            return ""
        clean = "".join(
            char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown
        )
        return f"    {clean}\n    {' ' * (col - begin)}^"
