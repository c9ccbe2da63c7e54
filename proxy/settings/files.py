"""Models of what a route serves from a folder, and of how long clients may keep an answer."""

import re
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from proxy.settings import fields, units
from proxy.settings.fields import FilePath, Switch, Table
from proxy.settings.forms import BY_FORM, TABLE, WORD
from proxy.settings.nearest import nearest
from proxy.settings.problem import WrongValueError

CACHE_WORDS = ("no-store", "no-cache", "off")
_CACHE_FORMS = "expected a time such as 30d, no-store, no-cache, off, or {age: 1y, immutable: on}"
_SEGMENT = re.compile(r"[^/\x00-\x1f\x7f]{1,255}")


def _file_name(value: object) -> str:
    if not isinstance(value, str) or not _SEGMENT.fullmatch(value) or value.startswith("."):
        raise WrongValueError("expected the name of a file such as index.html, without a path")
    return value


def _fallback(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise WrongValueError("expected a file beneath the root such as index.html")
    segments = value.strip("/").split("/")
    fits = all(_SEGMENT.fullmatch(one) and not one.startswith(".") for one in segments)
    if not fits or value.endswith("/"):
        raise WrongValueError("expected a file beneath the root, without dot segments")
    if value.startswith("/"):
        raise WrongValueError("it is looked for beneath the root", value.lstrip("/"))
    return value


def _age(value: object) -> float:
    try:
        seconds = units.duration(value)
    except WrongValueError as error:
        raise WrongValueError(_CACHE_FORMS, error.suggestion) from None
    if seconds < 1 or seconds != int(seconds):
        raise WrongValueError("expected whole seconds, at least one; see no-cache")
    return seconds


def _cache_word(value: object) -> str:
    text = "off" if fields.is_off(value) else str(value)
    if text in CACHE_WORDS:
        return text
    raise WrongValueError(_CACHE_FORMS, nearest(text, CACHE_WORDS))


def _as_cache(value: object) -> object:
    """Return a time alone as the table it is short for."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    return {"age": value} if str(value)[:1].isdigit() else value


def _as_files(value: object) -> object:
    return {"root": value} if isinstance(value, str) else value


class Files(Table):
    """A folder, and what of it is served."""

    root: FilePath
    """What follows the last `/` of the route's `path` is looked for beneath it."""
    index: Annotated[
        tuple[Annotated[str, *fields.word(_file_name, "a file's name")], ...],
        BeforeValidator(
            fields.as_switched_list, json_schema_input_type=str | list[str] | fields.OffWord
        ),
    ] = ("index.html",)
    """What is served for a folder, the first there is; off for none."""
    symlinks: Switch = False
    """Whether links may lead out of the root."""
    dotfiles: Switch = False
    """Whether names that begin with a dot are served."""
    precompressed: Switch = True
    """Whether a neighbour such as app.js.br goes out in place of app.js."""


class Cache(Table):
    """How long clients may keep an answer: `Cache-Control: max-age`, and Expires."""

    age: Annotated[
        float,
        PlainValidator(_age),
        PlainSerializer(units.spell_duration),
        WithJsonSchema({"type": ["string", "integer"], "examples": ["30d"]}),
    ]
    """Whole seconds from now."""
    immutable: Switch = False
    """Say it never changes, for files whose name carries a hash of their content."""


CacheChoice = Annotated[
    Annotated[
        Annotated[
            Literal["no-store", "no-cache", "off"],
            PlainValidator(_cache_word),
            WithJsonSchema({"type": ["string", "integer", "boolean"], "examples": ["30d"]}),
            WORD,
        ]
        | Annotated[Cache, TABLE],
        BY_FORM,
    ],
    BeforeValidator(_as_cache),
]
FallbackPath = Annotated[str, *fields.word(_fallback, "a file beneath the root")]
FilesChoice = Annotated[Files, BeforeValidator(_as_files, json_schema_input_type=Files | str)]
