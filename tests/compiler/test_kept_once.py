import gc
from weakref import ref

from proxy.compiler.kept_once import kept_once
from proxy.policy.part import Part
from proxy.routing.program import Program
from tests.compiler.compiling import found, program


class Made:
    def __init__(self, *args: object, **kwargs: object) -> None:
        self.args = args
        self.kwargs = kwargs

    def __bool__(self) -> bool:
        return False


def test_equal_arguments_make_one_object() -> None:
    make = kept_once(Made)
    one = make((1, "a"), b=2, c=3)
    assert make((1, "a"), c=3, b=2) is one
    assert (one.args, one.kwargs) == (((1, "a"),), {"b": 2, "c": 3})


def test_other_arguments_make_another() -> None:
    make = kept_once(Made)
    made = [make(1), make(2), make(1, 2), make(a=1), make(a=2), make(b=1)]
    assert len(set(map(id, made))) == len(made)


def test_makers_do_not_share() -> None:
    assert kept_once(Made)(1) is not kept_once(Made)(1)


def test_what_nobody_has_any_more_is_gone() -> None:
    count = 0

    def make(number: int) -> Made:
        nonlocal count
        count += 1
        return Made(number)

    find = kept_once(make)
    held = find(1)
    assert find(1) is held
    assert count == 1
    del held
    gc.collect()
    find(1)
    assert count == 2


ALIKE = """
upstreams: {app: {servers: [http://app:8000]}}
sites:
  - hosts: [localhost]
    allow: 10.9.8.0/24
    compress: on
    routes: [{path: /, proxy: app}, {path: /other/, proxy: app}]
"""


def parts(of: Program, path: str) -> dict[str, Part]:
    return {part.name: part for part in found(of, path).parts}


def test_routes_and_programs_share_parts_for_as_long_as_they_live() -> None:
    before = program(ALIKE)
    first, second = parts(before, "/"), parts(before, "/other/")
    after = parts(program(ALIKE), "/")
    for name in ("access", "compression"):
        assert first[name] is second[name] is after[name]
    seen = ref(first["access"])
    assert seen() is not None
    del before, first, second, after
    gc.collect()
    assert seen() is None
