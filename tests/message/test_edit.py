import re

import pytest
from hypothesis import given, strategies as st

from proxy.message.edit import NO_EDIT, FieldEdit, either_case

BLOCK = b"Host: a\r\nX-Frame-Options: DENY\r\nx-frame-options:\r\nX-Frame-Options-Not: 1\r\n"


def test_nothing_to_do_gives_the_block_itself() -> None:
    assert NO_EDIT.apply(BLOCK) == BLOCK
    assert NO_EDIT.apply(b"") == b""


@pytest.mark.parametrize(
    ("removes", "left"),
    [
        (["X-FRAME-options"], b"Host: a\r\nX-Frame-Options-Not: 1\r\n"),
        (["host"], BLOCK[len(b"Host: a\r\n") :]),
        (["host", "x-frame-options", "x-frame-options-not"], b""),
        (["rame-options", "x", "x-frame-options:"], BLOCK),
        (["x.frame.options"], BLOCK),
    ],
)
def test_names_go_in_any_case_and_as_a_whole(removes: list[str], left: bytes) -> None:
    assert FieldEdit(removes).apply(BLOCK) == left
    assert FieldEdit(removes, b"New: 1\r\n").apply(BLOCK) == left + b"New: 1\r\n"


def test_a_value_is_not_taken_for_a_line() -> None:
    assert FieldEdit(["b"]).apply(b"A: x b: y\r\nC: \rb: 1\r\n") == b"A: x b: y\r\nC: \rb: 1\r\n"


def test_added_to_an_empty_block() -> None:
    assert FieldEdit(["a"], b"A: 1\r\n").apply(b"") == b"A: 1\r\n"


def test_either_case_matches_just_the_name() -> None:
    pattern = re.compile(either_case("x-1.b"))
    assert pattern.fullmatch("X-1.B")
    assert pattern.fullmatch("x-1.b")
    assert not pattern.fullmatch("x-1-b")


names = st.sampled_from(["A", "a", "B", "Ab", "aB", "b-a", "X"])
fields = st.lists(st.tuples(names, st.text("aAbB:; \t", max_size=6)), max_size=8)


@given(fields, st.sets(names), fields)
def test_agrees_with_a_list_of_fields(
    held: list[tuple[str, str]], removes: set[str], added: list[tuple[str, str]]
) -> None:
    def block(pairs: list[tuple[str, str]]) -> bytes:
        return "".join(f"{name}:{value}\r\n" for name, value in pairs).encode()

    gone = {name.lower() for name in removes}
    kept = [pair for pair in held if pair[0].lower() not in gone]
    assert FieldEdit(removes, block(added)).apply(block(held)) == block(kept + added)
