import pytest

from proxy.settings.names import given_name
from proxy.settings.problem import WrongValueError


@pytest.mark.parametrize("value", ["app", "app-1", "a.b_c", "9to5", 9, "x" * 100])
def test_names(value: object) -> None:
    assert given_name(value) == str(value)


@pytest.mark.parametrize("value", ["", "a b", "-a", ".a", "é", "x" * 101, "a\n", True, None, ["a"]])
def test_what_is_no_name(value: object) -> None:
    with pytest.raises(WrongValueError, match="letters, digits, _ - and"):
        given_name(value)
