"""Pydantic's errors in words of our own: the value seen, what is allowed, the nearest right one."""

from typing import Any

from pydantic_core import ErrorDetails

from proxy.settings.document import Document
from proxy.settings.problem import Path, WrongNameError, WrongValueError
from proxy.settings.shape import keys_at, meant
from proxy.settings.source import guards_secret, masked, names_secret

_LONGEST = 60
_EXPECTED = {
    "model_type": "expected a table of keys",
    "model_attributes_type": "expected a table of keys",
    "dict_type": "expected a table of keys",
    "mapping_type": "expected a table of keys",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "too_short": "the list is empty: expected at least one",
}


def seen(document: Document, path: Path) -> str:
    """Return how to show the value at `path`: as written, never what an expansion brought."""
    place = document.places.get(path)
    if place is None or (place.written is None and not isinstance(document.at(path), str)):
        kind = document.at(path)
        return (
            "a table"
            if isinstance(kind, dict)
            else "a list"
            if isinstance(kind, list)
            else "nothing"
        )
    text = "***" if _under_secret(path, place.written or "") else masked(place.written or "")
    if not text and document.at(path) is None:
        return "nothing"
    text = "".join(char if char.isprintable() else " " for char in text)
    return f'"{text[:_LONGEST]}…"' if len(text) > _LONGEST else f'"{text}"'


def _under_secret(path: Path, written: str = "") -> bool:
    """Tell whether the key of a value, or of the list it is in, says that it is a secret."""
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    return names_secret(key) or guards_secret(path, written)


def secret(document: Document, path: Path) -> bool:
    """Tell whether the value at `path` may hold what nobody should read."""
    place = document.places.get(path)
    return _under_secret(path) or (
        place is not None
        and (
            place.expanded or (place.written is not None and masked(place.written) != place.written)
        )
    )


def names_key(error: ErrorDetails) -> bool:
    """Tell whether one of pydantic's errors is about a key where its path names the value."""
    return isinstance(error.get("ctx", {}).get("error"), WrongNameError)


def worded(error: ErrorDetails, document: Document, path: Path) -> str:
    """Return the message for one of pydantic's errors, at `path` of the file."""
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        return f"the key `{path[-1]}` is missing" if path else "the file is empty"
    context: dict[str, Any] = error.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, WrongValueError):
        return _wrong_value(cause, document, path, error)
    # Pydantic's own message may repeat the value.
    expected = _EXPECTED.get(kind, "not a value that fits here")
    return f"{expected}, found {seen(document, path)}"


def _unknown_key(path: Path) -> str:
    near = meant(path)
    if near:
        return f"unknown key; did you mean `{near}`?"
    return f"unknown key; allowed here: {', '.join(keys_at(path[:-1]))}"


def _wrong_value(
    cause: WrongValueError, document: Document, path: Path, error: ErrorDetails
) -> str:
    if isinstance(cause, WrongNameError) or error["loc"][-1:] == ("[key]",):
        hint = f"; did you mean `{cause.suggestion}`?" if cause.suggestion else ""
        return f"{cause.reason}{hint}"
    hint = ""
    if cause.suggestion and not secret(document, path):
        hint = f'; did you mean "{cause.suggestion}"?'
    value = document.at(path)
    if isinstance(value, dict | list):
        return f"{cause.reason}{hint}"
    return f"{cause.reason}, found {seen(document, path)}{hint}"
