import pytest

from proxy.policy.part import field_line


def test_field_line() -> None:
    assert field_line("X-A", "b: c\té") == b"X-A: b: c\t\xe9\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("X", "a\r\nY: b"), ("X", "a\n"), ("X", "\r"), ("X", "\0"), ("X\r\nY", "a"), ("X:Y", "a"),
     ("", "a"), ("X", "€")],
)  # fmt: skip
def test_one_line_and_no_more(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"header field|latin-1"):
        field_line(name, value)
