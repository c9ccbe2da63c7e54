"""The model of `compress`: which answers are compressed, and how."""

import re
from typing import Annotated

from pydantic import BeforeValidator

from proxy.settings import fields
from proxy.settings.fields import Size, Table
from proxy.settings.forms import BY_FORM, TABLE
from proxy.settings.problem import WrongValueError
from proxy.settings.switched import SwitchWord, says_on

ALGORITHMS = ("zstd", "br", "gzip")
DEFAULT_TYPES = (
    "text/*", "application/json", "application/*+json", "application/javascript",
    "application/x-javascript", "application/xml", "application/*+xml",
    "application/x-ndjson", "application/wasm", "application/x-yaml", "application/graphql",
    "application/vnd.ms-fontobject", "application/vnd.apple.mpegurl", "font/ttf", "font/otf",
    "font/collection", "image/svg+xml", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon",
    "model/gltf+json",
)  # fmt: skip
"""What shrinks. Pictures, sound, films, WOFF fonts and archives are compressed as they are."""

_TYPE = re.compile(r"[a-z0-9.+-]+/(?:\*|\*\+[a-z0-9.-]+|[a-z0-9.+_-]+)", re.ASCII)


def _media_type(value: object) -> str:
    text = fields.plain_text(value).lower()
    if not _TYPE.fullmatch(text):
        bare = text.partition(";")[0].strip()
        raise WrongValueError(
            "expected a media type such as application/json, text/* or application/*+json",
            bare if _TYPE.fullmatch(bare) else "",
        )
    return text


def _algorithm(value: object) -> str:
    names = {"brotli": "br", "zstandard": "zstd", "gz": "gzip"}
    try:
        return fields.one_of(str(value), ALGORITHMS)
    except WrongValueError as error:
        near = error.suggestion or names.get(str(value).lower(), "")
        raise WrongValueError(error.reason, near) from None


class Compress(Table):
    """How answers are compressed."""

    algorithms: Annotated[
        tuple[Annotated[str, *fields.word(_algorithm, "a coding")], ...],
        BeforeValidator(fields.filled_list, json_schema_input_type=str | list[str]),
    ] = ALGORITHMS
    """The first one that the client likes best."""
    types: Annotated[
        tuple[Annotated[str, *fields.word(_media_type, "a media type")], ...],
        BeforeValidator(fields.filled_list, json_schema_input_type=str | list[str]),
    ] = DEFAULT_TYPES
    """Media types, lower case; `text/*` and `application/*+json` stand for several."""
    min_size: Size = 1024
    """Shorter answers go out as they are."""


def _on(value: object) -> object:
    return {} if says_on(value) else value


CompressChoice = Annotated[
    Annotated[SwitchWord | Annotated[Compress, TABLE], BY_FORM], BeforeValidator(_on)
]
