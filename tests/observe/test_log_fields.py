import pytest

from proxy.message.head import RequestHead
from proxy.observe.log_fields import client_fields, field_finder

BLOCK = (
    b"Referer: https://a.test/\r\n"
    b"X-Agent: User-Agent: wrong\r\n"
    b"uSER-aGENT:\t two words \t\r\n"
    b"Accept: a\r\n"
    b"X-Referer: wrong\r\n"
    b"accept: b\r\n"
    b"Empty:\r\n"
    b"Last: caf\xe9\r\n"
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Referer", "https://a.test/"),
        ("user-agent", "two words"),
        ("Accept", "a, b"),
        ("Empty", ""),
        ("Last", "caf\xe9"),
        ("Absent", ""),
        ("Agent", ""),
    ],
)
def test_fields_are_found_whole_and_in_any_case(name: str, value: str) -> None:
    assert field_finder(name)(BLOCK) == value
    assert field_finder(name)(b"") == ""


def head(block: bytes) -> RequestHead:
    made = RequestHead("GET", "/", "HTTP/1.1")
    made.block = block
    return made


def test_the_two_fields_are_made_ready_once() -> None:
    asked: list[str] = []

    def ready(text: str) -> str:
        asked.append(text)
        return f"<{text}>"

    read = client_fields(ready)
    assert read(head(BLOCK)) == ("<https://a.test/>", "<two words>")
    assert read(head(bytes(bytearray(BLOCK)))) == ("<https://a.test/>", "<two words>")
    assert asked == ["https://a.test/", "two words"]
    assert read(head(b"Accept: a\r\n")) == ("<>", "<>")


def test_the_first_of_two_counts() -> None:
    read = client_fields(str)
    assert read(head(b"User-Agent: a\r\nUser-Agent: b\r\n")) == ("", "a")


def test_what_is_remembered_is_bounded() -> None:
    asked: list[str] = []

    def ready(text: str) -> str:
        asked.append(text)
        return text

    read = client_fields(ready)
    for number in range(1025):
        assert read(head(b"User-Agent: %d\r\n" % number)) == ("", str(number))
    assert read(head(b"User-Agent: 0\r\n")) == ("", "0")
    assert asked.count("0") == 2, "still remembered after 1,024 others"
