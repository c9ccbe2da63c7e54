"""The types of single values in the models: each reads what people write and knows its JSON Schema.

Every type is one function that returns the checked value or raises WrongValueError, so that a
mistake has one cause and one message, whatever forms the value may take.
"""

import os
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from proxy.message.authority import url_host
from proxy.settings import addresses, headers, hosts, units
from proxy.settings.nearest import nearest
from proxy.settings.paths import route_path
from proxy.settings.problem import WrongValueError

_OFF_WORDS = frozenset({"off", "no", "false", "none", "never"})
_ON_WORDS = frozenset({"on", "yes", "true"})


class Table(BaseModel):
    """What every model of the configuration is: frozen, and strict about its keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True
    )


def is_off(value: object) -> bool:
    """Tell whether a value switches something off: off, no, false or null."""
    if isinstance(value, str):
        return value.lower() in _OFF_WORDS
    return value is None or value is False


def one_of(value: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of the words allowed.

    Raises:
        WrongValueError: It is none of them.
    """
    if value in allowed:
        return value
    raise WrongValueError(f"expected {' or '.join(allowed)}", nearest(value, allowed))


def switch(value: object) -> bool:
    """Return a switch: true, false, on, off, yes or no.

    Raises:
        WrongValueError: It is none.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _ON_WORDS | _OFF_WORDS:
        return value.lower() in _ON_WORDS
    raise WrongValueError("expected true or false (on, off, yes and no will do)")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int):
        raise WrongValueError("expected text")
    if "\0" in str(value):
        raise WrongValueError("text without NUL characters is wanted")
    return str(value)


def _words(value: object) -> str:
    text = _text(value)
    if not text.strip():
        raise WrongValueError("expected some text, not nothing")
    return text


def count(low: int, high: int = 10**9) -> Callable[[object], int]:
    """Return a reader of whole numbers from `low` to `high`."""

    def read(value: object) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongValueError("expected a whole number")
        if not low <= value <= high:
            limit = f"at least {low}" if value < low else f"at most {high}"
            raise WrongValueError(f"expected a whole number, {limit}")
        return value

    return read


def span(value: object) -> float:
    """Return a duration above zero, in seconds.

    Raises:
        WrongValueError: It is none.
    """
    seconds = units.duration(value)
    if seconds == 0:
        raise WrongValueError("a time of nothing would cut everything: give a duration such as 10s")
    return seconds


def _span_or_off(value: object) -> float:
    return 0.0 if is_off(value) else units.duration(value)


def _positive_size(value: object) -> int:
    found = units.size(value)
    if found == 0:
        raise WrongValueError("a size of nothing would refuse everything")
    return found


def _size_or_off(value: object) -> int:
    return 0 if is_off(value) else units.size(value)


def _byte_rate_or_off(value: object) -> float:
    return 0.0 if is_off(value) else units.byte_rate(value)


def quantity(read: Callable[[Any], Any], spell: Callable[[Any], str], like: str) -> tuple[Any, ...]:
    """Return the marks of a type that is written as text or as a bare number."""
    schema = {"type": ["string", "integer", "number"], "examples": [like]}
    return PlainValidator(read), PlainSerializer(spell), WithJsonSchema(schema)


def word(read: Callable[[Any], Any], description: str) -> tuple[Any, ...]:
    """Return the marks of a type that is written as text."""
    schema = {"type": "string", "description": description}
    return PlainValidator(read), PlainSerializer(str), WithJsonSchema(schema)


def words_schema(*words: str) -> WithJsonSchema:
    """Return the schema of one word out of several; editors may read on and off as booleans."""
    switches = [value for value, text in ((True, "on"), (False, "off")) if text in words]
    return WithJsonSchema({"enum": [*words, *switches]})


_SWITCH_SCHEMA = {"enum": [True, False, "on", "off", "yes", "no"]}


def integer(low: int, high: int = 10**9) -> tuple[Any, ...]:
    """Return the marks of a whole number within bounds."""
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return PlainValidator(count(low, high)), WithJsonSchema(schema)


Switch = Annotated[bool, PlainValidator(switch), WithJsonSchema(_SWITCH_SCHEMA)]
Text = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": ["string", "integer"]})]
Words = Annotated[str, PlainValidator(_words), WithJsonSchema({"type": "string", "minLength": 1})]
Count = Annotated[int, *integer(1)]
CountOrNone = Annotated[int, *integer(0)]

Duration = Annotated[float, *quantity(span, units.spell_duration, "10s")]
DurationOrOff = Annotated[
    float,
    PlainValidator(_span_or_off),
    PlainSerializer(units.spell_duration),
    WithJsonSchema({"type": ["string", "integer", "number", "boolean", "null"]}),
]
Size = Annotated[int, *quantity(_positive_size, units.spell_size, "10MB")]
SizeOrOff = Annotated[
    int,
    PlainValidator(_size_or_off),
    PlainSerializer(lambda n: units.spell_size(n) if n else "off"),
    WithJsonSchema({"type": ["string", "integer", "boolean", "null"]}),
]
ByteRate = Annotated[
    float,
    PlainValidator(_byte_rate_or_off),
    PlainSerializer(lambda n: f"{int(n)}B/s" if n else "off"),
    WithJsonSchema({"type": ["string", "integer", "boolean", "null"], "examples": ["500B/s"]}),
]
RequestRate = Annotated[units.Rate, *word(units.rate, "a rate such as 5/minute")]

Listener = Annotated[
    addresses.ListenAddress,
    PlainValidator(addresses.listen_address),
    PlainSerializer(str),
    WithJsonSchema({"type": ["string", "integer"], "examples": [":443", "127.0.0.1:8443"]}),
]
Server = Annotated[
    addresses.ServerAddress,
    *word(addresses.server_address, "http://host:port, https://host:port or unix:/path"),
]
OffWord = Annotated[str, WithJsonSchema({"enum": ["off", "no", False, None]})]
SwitchWord = Annotated[str, WithJsonSchema({"enum": ["on", "off", "yes", "no", True, False, None]})]
Network = Annotated[addresses.IPNetwork, *word(addresses.network, "a CIDR or one address")]
Host = Annotated[str, *word(hosts.host_name, "a host name, *.a.wildcard or an IP address")]
HeaderName = Annotated[str, *word(headers.header_name, "a header name")]
AnswerHeaderName = Annotated[str, *word(headers.in_answers, "a header name")]
RequestHeaderName = Annotated[str, *word(headers.in_requests, "a header name")]
HeaderValue = Annotated[
    str,
    PlainValidator(headers.header_value),
    WithJsonSchema({"type": ["string", "integer", "boolean"]}),
]


def as_list(value: object) -> object:
    """Return `value` as the list it may be short for: one thing alone is a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def filled_list(value: object, info: ValidationInfo) -> object:
    """Return a list with something in it; one thing alone is a list of one.

    An empty list passes while the rest of a broken file is checked, where `lenient` in the
    context says that mistakes were taken out of it.

    Raises:
        WrongValueError: It is empty.
    """
    if value in ([], ()) and not (info.context or {}).get("lenient"):
        raise WrongValueError("the list is empty: expected at least one")
    return as_list(value)


def as_switched_list(value: object) -> object:
    """Return a list, an empty one for off and null."""
    return [] if is_off(value) else as_list(value)


def file_path(value: object, info: ValidationInfo) -> str:
    """Return the path of a file, relative ones beneath the folder of the configuration.

    Raises:
        WrongValueError: It is none.
    """
    text = _words(value)
    folder = (info.context or {}).get("folder", "")
    return os.path.normpath(os.path.join(folder, text)) if folder else text  # noqa: PTH118 - text in, text out


def _log_target(value: object, info: ValidationInfo) -> str:
    if is_off(value):
        return "off"
    text = _words(value)
    if text in {"stdout", "stderr"}:
        return text
    if "/" not in text:
        near = nearest(text, ("stdout", "stderr", "off"))
        raise WrongValueError(
            "expected stdout, stderr, off or the path of a file, which holds a /",
            near or f"./{text}",
        )
    return file_path(text, info)


_URI_PATH = re.compile(r"/[!-~]{0,2000}", re.ASCII)


def _request_target(value: object) -> str:
    text = _words(value)
    if not _URI_PATH.fullmatch(text) or "#" in text:
        raise WrongValueError("expected a path such as /healthz, as a request would carry it")
    return text


def host_header(value: object) -> str:
    """Return a Host field's value: a name or an address, with a port if need be."""
    text = _words(value)
    name, colon, port = text.rpartition(":")
    if not (colon and port.isdigit() and (name.endswith("]") or ":" not in name)):
        name, port = text, ""
    host = url_host(hosts.host_name(name))
    return f"{host}:{count(1, 65535)(port)}" if port else host


FilePath = Annotated[
    str, PlainValidator(file_path), WithJsonSchema({"type": "string", "minLength": 1})
]
LogTarget = Annotated[
    str,
    PlainValidator(_log_target),
    WithJsonSchema({"type": ["string", "boolean", "null"], "examples": ["stdout", "./access.log"]}),
]
RequestTarget = Annotated[str, *word(_request_target, "a path such as /healthz")]


def plain_text(value: object) -> str:
    """Return text of any kind, nothing included.

    Raises:
        WrongValueError: It is no text, or holds a NUL.
    """
    return _text(value)


def prefix(value: object) -> bool | str:
    """Return a switch, or the prefix of a path.

    Raises:
        WrongValueError: It is neither.
    """
    if isinstance(value, str) and value.startswith("/"):
        return route_path(value)
    try:
        return switch(value)
    except WrongValueError:
        raise WrongValueError("expected true, false, or a prefix such as /api/") from None
