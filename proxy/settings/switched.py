"""Tables that `off` takes away and, where every key of theirs has a default, `on` asks for.

Nothing (`key:` without a value) is none of the two: what was commented out must not open a door.
"""

from typing import Annotated, Literal

from pydantic import PlainValidator, WithJsonSchema

from proxy.settings.forms import WORD
from proxy.settings.problem import WrongValueError

OFF: Literal["off"] = "off"
_ON_WORDS = frozenset({"on", "yes", "true"})
_OFF_WORDS = frozenset({"off", "no", "false"})


def says_off(value: object) -> bool:
    """Tell whether a value takes away what an upper level says: off, no or false."""
    return value is False or (isinstance(value, str) and value.lower() in _OFF_WORDS)


def says_on(value: object) -> bool:
    """Tell whether a value asks for the defaults: on, yes or true."""
    return value is True or (isinstance(value, str) and value.lower() in _ON_WORDS)


def said(value: object) -> object:
    """Return what a route says for itself.

    Raises:
        WrongValueError: Nothing: the key stands there, and its value was forgotten.
    """
    if value is None:
        raise WrongValueError("expected a value; `off` takes away what the site says")
    return value


def null_as_off(value: object) -> object:
    """Return "off" for null: where nothing is guarded it may well mean that."""
    return OFF if value is None else value


def _off(value: object) -> str:
    if says_off(value):
        return OFF
    raise WrongValueError("expected off or a table of keys")


def _on_or_off(value: object) -> str:
    if says_off(value):
        return OFF
    raise WrongValueError("expected on, off or a table of keys")


OffWord = Annotated[
    Literal["off"],
    PlainValidator(_off),
    WithJsonSchema({"enum": ["off", "no", False]}),
    WORD,
]
"""The word beside a table of which `on` would say too little."""
SwitchWord = Annotated[
    Literal["off"],
    PlainValidator(_on_or_off),
    WithJsonSchema({"enum": ["on", "off", "yes", "no", True, False, None]}),
    WORD,
]
"""The word beside a table that `on`, which is read before, stands for."""
