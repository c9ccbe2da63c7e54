"""Models of the pages that stand in for answers: for errors, and while a site is closed."""

import re
from typing import Annotated

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from proxy.settings import fields
from proxy.settings.access import Access
from proxy.settings.fields import Duration, Table
from proxy.settings.forms import BY_FORM, TABLE
from proxy.settings.problem import WrongValueError
from proxy.settings.switched import SwitchWord, says_on

PAGE_KINDS = {".html": "text/html", ".htm": "text/html", ".json": "application/json",
              ".txt": "text/plain"}  # fmt: skip
"""Media types of pages, by the end of their name; all in UTF-8."""

_STATUS = re.compile(r"[45](?:[0-9][0-9]|xx)", re.ASCII)


def _status_key(value: object) -> str:
    text = str(value)
    if not _STATUS.fullmatch(text):
        lower = text.lower()
        near = lower if _STATUS.fullmatch(lower) else ""
        raise WrongValueError("expected a status from 400 to 599, or 4xx or 5xx", near)
    return text


def _page(value: object, info: ValidationInfo) -> str:
    path = fields.file_path(value, info)
    if not path.lower().endswith(tuple(PAGE_KINDS)):
        raise WrongValueError(f"expected a file that ends in {', '.join(PAGE_KINDS)}")
    return path


def _when(value: object, info: ValidationInfo) -> bool | str:
    if isinstance(value, str) and "/" in value:
        return fields.file_path(value, info)
    try:
        return fields.switch(value)
    except WrongValueError:
        raise WrongValueError(
            "expected on, off or the path of a file, which holds a /",
            f"./{value}" if isinstance(value, str) and value else "",
        ) from None


def _spell_when(value: bool | str) -> str:  # noqa: FBT001 - pydantic calls it
    return value if isinstance(value, str) else "on" if value else "off"


Page = Annotated[
    str, PlainValidator(_page), WithJsonSchema({"type": "string", "examples": ["404.html"]})
]
"""Absolute path of a file whose name ends in one of PAGE_KINDS."""
ErrorPages = dict[Annotated[str, *fields.word(_status_key, "404, or 4xx or 5xx")], Page | None]
"""Pages by status or class of statuses; None takes back what an upper level says."""


class Maintenance(Table):
    """While it is on, everybody but some gets one answer."""

    when: Annotated[
        bool | str,
        PlainValidator(_when),
        PlainSerializer(_spell_when),
        WithJsonSchema({"type": ["boolean", "string"], "examples": ["on", "/run/maintenance"]}),
    ]
    """on, off, or the path of a file: on while that file exists."""
    page: Page | None = None
    """What is sent; the error page of the status when absent."""
    status: Annotated[int, *fields.integer(400, 599)] = 503
    retry_after: Duration | None = None
    """Sent as Retry-After."""
    allow: Access = ()
    """Who is served as ever."""


def _on(value: object) -> object:
    return {"when": True} if says_on(value) else value


MaintenanceChoice = Annotated[
    Annotated[SwitchWord | Annotated[Maintenance, TABLE], BY_FORM], BeforeValidator(_on)
]
