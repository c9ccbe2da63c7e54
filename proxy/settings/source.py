"""The text of a configuration file, as problems quote it: the line, a caret, no passwords."""

import re

from proxy.settings.problem import Path, Problem

_WIDEST = 160
_LONG = 4000
_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s\"']*:)[^@\s\"']+(?=@)")
_TELLTALE = r"(?:password|passwd|secret|token|api[_-]?key|authorization|cookie)"
_HASH = re.compile(r"(?:\$(?:argon2[a-z]*|2[abxy]|apr1|[156])|p=[0-9]+)\$[^\s\"'}]+")
PUBLIC_KEYS = frozenset({"realm", "users_file"})
"""Of `basic_auth`: what stands under any other one is never shown."""
_WORDS = frozenset({"", "off", "on", "yes", "no", "false", "true", "none", "null"})
_SECRET_KEY = re.compile(_TELLTALE, re.IGNORECASE)
_SECRET_PAIR = re.compile(rf"({_TELLTALE}['\"]?\s*:\s+)\S.*", re.IGNORECASE)


def masked(text: str) -> str:
    """Return `text` without what is plainly a password written into the file."""
    return _SECRET_PAIR.sub(r"\1***", _PASSWORD_IN_URL.sub(r"\1***", hashless(text)))


def hashless(text: str) -> str:
    """Return `text` without hashes of passwords."""
    return _HASH.sub("***", text)


def names_secret(key: object) -> bool:
    """Tell whether the value under a key is plainly a secret: a password, a token."""
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None


def guards_secret(path: Path, written: str) -> bool:
    """Tell whether what stands at `path` is a password's hash, or taken for one."""
    if "basic_auth" not in path:
        return False
    rest = path[path.index("basic_auth") + 1 :]
    if not rest:
        return written.lower() not in _WORDS
    return len(rest) > 1 or rest[0] not in PUBLIC_KEYS


class Source:
    """Name and lines of a file."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._hidden: list[tuple[tuple[int, int], tuple[int, int]]] = []
        # YAML's own line ends and no others: str.splitlines would count form feeds too.
        self.lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", text)

    def line(self, index: int) -> str:
        """Return a line by its number from 0, "" beyond the end."""
        return self.lines[index] if 0 <= index < len(self.lines) else ""

    def hide(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Quote no more what stands between two marks."""
        self._hidden.append((start, end))

    def problem(self, mark: tuple[int, int], message: str, path: str = "") -> Problem:
        """Return a problem at `mark`, line and column counted from 0, with the line quoted."""
        line, col = mark
        snippet = self._snippet(line, col)
        return Problem(self.name, line + 1, col + 1, hashless(path), message, snippet)

    def _shown(self, line: int, col: int) -> tuple[str, int]:
        """Return a line without what is hidden of it, and where in it its column `col` is now."""
        text = self.line(line)
        for (first, begin), (last, end) in reversed(self._hidden):
            if not first <= line <= last:
                continue
            start = begin if line == first else 0
            stop = end if line == last else len(text)
            text = f"{text[:start]}***{text[stop:]}"
            if col >= stop:
                col += 3 - (stop - start)
        return text, col

    def _snippet(self, line: int, col: int) -> str:
        text, col = self._shown(line, col)
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
