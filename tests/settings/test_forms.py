import pytest
from pydantic import TypeAdapter

from proxy.settings.fields import Table
from proxy.settings.forms import BY_FORM, TABLE, TAGS, WORD, _form
from proxy.settings.upstreams import BALANCES, Upstream


class Some(Table):
    key: int = 0


@pytest.mark.parametrize("value", [{}, {"key": 1}, Some()])
def test_tables(value: object) -> None:
    assert _form(value) == TABLE.tag


@pytest.mark.parametrize("value", ["x", "", 1, 1.5, True, None, [], [{}]])
def test_whatever_is_no_table_is_a_word(value: object) -> None:
    assert _form(value) == WORD.tag


def test_tags_are_no_keys() -> None:
    assert {WORD.tag, TABLE.tag} == TAGS
    assert all(tag.startswith("~") for tag in TAGS)
    assert BY_FORM.discriminator is _form


@pytest.mark.parametrize("written", [BALANCES[0], {"hash": "cookie:id"}])
def test_a_union_of_both_is_read_by_its_form(written: object) -> None:
    told = {"servers": ["http://app:8000"], "balance": written}
    found = TypeAdapter(Upstream).validate_python(told).balance
    assert isinstance(found, str) is isinstance(written, str)
