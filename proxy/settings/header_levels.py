"""The model of `headers` of the file and of a site: a named set, and names beside it."""

from typing import Annotated

from pydantic import ConfigDict, Field, PlainValidator

from proxy.settings import fields
from proxy.settings.fields import HeaderValue, Table
from proxy.settings.headers import HEADER_PRESETS, in_answers
from proxy.settings.nearest import nearest
from proxy.settings.problem import WrongNameError, WrongValueError


def _preset(value: object) -> str:
    text = "none" if fields.is_off(value) else str(value)
    if text in HEADER_PRESETS:
        return text
    names = tuple(HEADER_PRESETS)
    raise WrongValueError(f"expected {' or '.join(names)}", nearest(text, names))


def _name(value: object) -> str:
    try:
        return in_answers(str(value))
    except WrongValueError as error:
        raise WrongNameError(error.reason, error.suggestion) from None


class Headers(Table):
    """Headers of answers by name; null takes back what an upper level set."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Annotated[str, PlainValidator(_name)], HeaderValue | None] = Field(  # type: ignore[mutable-override]  # as pydantic documents it
        init=False
    )

    preset: Annotated[str, PlainValidator(_preset), fields.words_schema(*HEADER_PRESETS)] | None = (
        None
    )
    """In place of the set that an upper level names; the names beside it win over it."""

    @property
    def named(self) -> dict[str, str | None]:
        """Return the headers that are given by name."""
        return self.__pydantic_extra__
