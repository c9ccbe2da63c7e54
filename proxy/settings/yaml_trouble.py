"""What a YAML parser means by its complaints, in the words of someone who edits proxy.yaml."""

import re

import yaml

from proxy.settings.problem import Problem
from proxy.settings.source import Source

_QUOTE_STAR = 'quote a name that begins with * (YAML takes it for an alias): "*.example.com"'
_QUOTE_EXPANSION = 'quote an expansion inside { } or [ ]: "${VAR}"'
_PLAIN_WORDS = (
    ("mapping values are not allowed", "a second ': ' in a value (quote it), or a wrong indent"),
    ("unexpected end of stream", "a quote is opened and never closed"),
    ("could not find expected ':'", "a key without its ': '"),
    ("but found another document", "a second document ('---') begins here: the file holds one"),
    ("expected ',' or '}'", "a { is not closed, or a ',' is missing"),
    ("expected ',' or ']'", "a [ is not closed, or a ',' is missing"),
    ("expected '-' indicator", "not indented like the items of the list above it"),
    ("did not find expected key", "indented unlike the keys above it, or text after a quote"),
    ("unknown escape character", "in double quotes a \\ begins an escape: use single quotes"),
    ("unknown directive", "quote a value that begins with %"),
    ("control characters", "a control character, which YAML does not take"),
)  # fmt: skip


def _first_words(error: yaml.YAMLError) -> str:
    """Return what the parser itself says."""
    words = getattr(error, "problem", None) or getattr(error, "reason", None)
    return str(words or "not readable as YAML")


def _place(error: yaml.YAMLError, source: Source) -> tuple[int, int]:
    """Return line and column, from 0, of a parser's complaint."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return mark.line, mark.column
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return 0, 0
    before = Source("", "\n".join(source.lines)[:position]).lines
    return len(before) - 1, len(before[-1])


def _plain_words(error: yaml.YAMLError, source: Source, line: int, col: int) -> str:
    words = _first_words(error)
    text = source.line(line)
    rest = text[col:].lstrip()
    if "alias" in f"{getattr(error, 'context', '')} {words}":
        return _QUOTE_STAR
    if "cannot start any token" in words and rest[:1] in {"@", "`", "%"}:
        return f"quote a value that begins with {rest[0]}"
    if text[col : col + 1] == "\t" or re.match(r" *\t", text):
        return "a tab cannot indent in YAML: use spaces"
    if "expected ','" in words and re.search(r"[^\"'$]\$\{", text[: col + 2]):
        return _QUOTE_EXPANSION
    return next((plain for part, plain in _PLAIN_WORDS if part in words), words)


def explain(error: yaml.YAMLError, source: Source) -> Problem:
    """Return a problem in plain words for what stopped the parser."""
    line, col = _place(error, source)
    if source.line(line)[col - 1 : col] == "*":
        col -= 1  # libyaml points behind the star that it took for an alias
    return source.problem((line, col), f"not YAML: {_plain_words(error, source, line, col)}")
