from typing import Annotated

import pytest
from pydantic import BeforeValidator, ValidationError

from proxy.settings import fields
from proxy.settings.fields import Table
from proxy.settings.problem import WrongValueError


class Sample(Table):
    switch: fields.Switch = False
    text: fields.Text = ""
    count: fields.Count = 1
    span: fields.Duration = 1.0
    span_or_off: fields.DurationOrOff = 1.0
    size: fields.Size = 1
    size_or_off: fields.SizeOrOff = 1
    speed: fields.ByteRate = 1.0
    file: fields.FilePath = ""
    log: fields.LogTarget = ""
    target: fields.RequestTarget = "/"
    filled: Annotated[tuple[fields.Count, ...], BeforeValidator(fields.filled_list)] = (1,)


def read(**given: object) -> Sample:
    return Sample.model_validate(given, context={"folder": "/srv/app"})


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("switch", "on", True), ("switch", "Yes", True), ("switch", "off", False),
        ("switch", "NO", False), ("switch", True, True), ("text", 8, "8"), ("text", "", ""),
        ("count", 7, 7), ("count", "7", 7), ("span", "2s", 2.0), ("span_or_off", "off", 0.0),
        ("span_or_off", None, 0.0), ("span_or_off", 0, 0.0), ("size", "1KB", 1024),
        ("size_or_off", False, 0), ("size_or_off", "2KB", 2048), ("speed", "off", 0.0),
        ("speed", "500B/s", 500.0), ("file", "certs", "/srv/app/certs"), ("file", "/x/../y", "/y"),
        ("file", "../a", "/srv/a"), ("log", "stdout", "stdout"), ("log", "off", "off"),
        ("log", None, "off"), ("log", "./a.log", "/srv/app/a.log"), ("target", "/x?y", "/x?y"),
        ("filled", 3, (3,)), ("filled", [3, 4], (3, 4)),
    ],
)  # fmt: skip
def test_what_fields_take(key: str, value: object, found: object) -> None:
    assert getattr(read(**{key: value}), key) == found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("switch", "maybe"), ("switch", 1), ("text", []), ("text", "a\0"), ("count", 0),
        ("count", "x"), ("count", True), ("count", 10**10), ("count", "9" * 20), ("span", 0),
        ("span", "off"), ("size", 0), ("size_or_off", "x"), ("speed", {}), ("file", ""),
        ("file", " "), ("log", "stdot"), ("log", "access.log"), ("target", "x"),
        ("target", "/a b"), ("target", "/a\r\n"), ("filled", []),
    ],
)  # fmt: skip
def test_what_fields_refuse(key: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        read(**{key: value})
    (error,) = caught.value.errors()
    cause = error["ctx"]["error"]
    assert isinstance(cause, WrongValueError)


def test_suggestions() -> None:
    for key, value, suggestion in (("log", "stdot", "stdout"), ("log", "a.log", "./a.log")):
        with pytest.raises(ValidationError) as caught:
            read(**{key: value})
        assert caught.value.errors()[0]["ctx"]["error"].suggestion == suggestion


def test_tables_are_frozen_and_know_their_keys() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read().count = 3
    with pytest.raises(ValidationError, match="extra_forbidden"):
        read(cuont=3)


def test_an_emptied_list_passes_while_the_rest_is_checked() -> None:
    context = {"folder": "", "lenient": True}
    assert Sample.model_validate({"filled": []}, context=context).filled == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [("Example.com", "example.com"), ("a.example:8080", "a.example:8080"), ("::1", "[::1]"),
     ("[::1]:80", "[::1]:80")],
)  # fmt: skip
def test_host_headers(text: str, found: str) -> None:
    assert fields.host_header(text) == found


@pytest.mark.parametrize("text", ["", "a b", "a:99999", "a\r\nX: y", "http://x"])
def test_what_is_no_host_header(text: str) -> None:
    with pytest.raises(WrongValueError):
        fields.host_header(text)


def test_prefixes() -> None:
    assert fields.prefix("on") is True
    assert fields.prefix("/api/") == "/api/"
    for wrong in ("api", 3, "/a//b"):
        with pytest.raises(WrongValueError):
            fields.prefix(wrong)
