from importlib import import_module
from pathlib import Path

import pytest

import proxy.policy
from proxy.policy.order import ORDER, in_order
from proxy.policy.part import Part


def test_parts_come_in_the_order_of_the_list() -> None:
    parts = [Part(name) for name in ORDER]
    assert [part.name for part in in_order(reversed(parts))] == list(ORDER)
    assert in_order([]) == ()


def test_the_limit_of_a_body_comes_after_answers_that_do_not_read_it() -> None:
    assert ORDER.index("body_limit") > max(ORDER.index("redirect"), ORDER.index("respond"))


@pytest.mark.parametrize("names", [["surprise"], ["respond", "respond"], ["surprise", "respond"]])
def test_unknown_and_repeated_parts(names: list[str]) -> None:
    with pytest.raises(ValueError, match="not in the list"):
        in_order(map(Part, names))


def test_every_policy_is_in_the_list() -> None:
    assert proxy.policy.__file__ is not None
    folder = Path(proxy.policy.__file__).parent
    modules = [import_module(f"proxy.policy.{path.stem}") for path in folder.glob("[a-z]*.py")]
    names = {module.NAME for module in modules if hasattr(module, "NAME")}
    assert len(names) > 10
    assert names <= set(ORDER)
