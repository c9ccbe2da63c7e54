import pytest

from proxy.settings.switched import null_as_off, said, says_off, says_on
from tests.settings.loading import only, route, settings


@pytest.mark.parametrize("value", [False, "off", "no", "false", "OFF"])
def test_what_says_off(value: object) -> None:
    assert says_off(value)
    assert not says_on(value)


@pytest.mark.parametrize("value", [True, "on", "yes", "true", "On"])
def test_what_says_on(value: object) -> None:
    assert says_on(value)
    assert not says_off(value)


@pytest.mark.parametrize("value", [None, "none", "never", "", 0, 1, [], {}])
def test_what_says_neither(value: object) -> None:
    assert not says_on(value)
    assert not says_off(value)


def test_nothing() -> None:
    assert null_as_off(None) == "off"
    assert null_as_off({}) == {}
    assert said("off") == "off"
    with pytest.raises(ValueError, match="expected a value"):
        said(None)


@pytest.mark.parametrize("word", ["off", "no", "false", "'OFF'"])
@pytest.mark.parametrize("key", ["compress", "maintenance", "basic_auth", "forward_auth"])
def test_off_takes_a_table_away(key: str, word: str) -> None:
    found = settings(route(f"{{path: /, proxy: app, {key}: {word}}}")).sites[0].routes[0]
    assert getattr(found, key) == "off"


@pytest.mark.parametrize("word", ["none", "3", "[on]", "maybe"])
def test_other_words_do_not(word: str) -> None:
    for key in ("compress", "maintenance"):
        assert "expected on, off or a table of keys" in only(
            route(f"{{path: /, proxy: app, {key}: {word}}}")
        )
    for key in ("basic_auth", "forward_auth"):
        assert "expected off or a table of keys" in only(
            route(f"{{path: /, proxy: app, {key}: {word}}}")
        )
    assert "expected off or a table" in only(route("{path: /, proxy: app, basic_auth: on}"))
