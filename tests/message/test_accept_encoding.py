import pytest
from hypothesis import given, strategies as st

from proxy.message.accept_encoding import acceptable, acceptable_in, negotiate

ALL = ("zstd", "br", "gzip")
TOKENS = ["gzip", "br", "zstd", "identity", "*", "deflate", "x-gzip", "GZip"]


@pytest.mark.parametrize(
    ("value", "best_first"),
    [
        ("gzip, deflate, br, zstd", ["zstd", "br", "gzip"]),
        ("gzip", ["gzip"]),
        ("x-gzip", ["gzip"]),
        ("GZIP;Q=0.5", ["gzip"]),
        ("gzip;q=1.0, br;q=0.9, zstd;q=0.95", ["gzip", "zstd", "br"]),
        ("gzip;q=0.001", ["gzip"]),
        ("gzip;q=0", []),
        ("gzip;q=0.000, *", ["zstd", "br"]),
        ("*", ["zstd", "br", "gzip"]),
        ("*;q=0.2, gzip;q=0.5", ["gzip", "zstd", "br"]),
        ("*;q=0", []),
        ("", []),
        ("identity", []),
        ("identity, gzip", ["gzip"]),
        ("identity;q=0.5, gzip;q=0.4, br;q=0.6", ["br"]),
        ("identity;q=0, gzip", ["gzip"]),
        ("identity;q=0", []),
        ("deflate", []),
        (" gzip\t;\tq=0.8 ,, br ", ["br", "gzip"]),
        ("gzip;q=0, gzip", []),
    ],
)
def test_best_first(value: str, best_first: list[str]) -> None:
    assert acceptable(value.encode(), ALL) == tuple(best_first)
    assert negotiate(value.encode(), ALL) == (best_first[0] if best_first else "")


@pytest.mark.parametrize(
    "broken",
    [
        "gzip;q=2", "gzip;q=1.5", "gzip;q=0.1234", "gzip;q=-1", "gzip;q=", "gzip;q", "gzip;",
        "gzip;level=9", "gzip q=1", "gzip;q=1;q=1", "gzip;q=\u0661", "gz\xefp", '"gzip"', ";q=1",
        "gzip;q=1e0", "gzip;q=.5", "gzip/1", "gzip;q = 1",
    ],
)  # fmt: skip
def test_what_breaks_the_grammar_counts_as_not_said(broken: str) -> None:
    value = broken.encode("utf-8")
    assert acceptable(value, ALL) == ()
    assert acceptable(value + b", br", ALL) == ("br",)


def test_ties_go_by_the_order_offered() -> None:
    assert negotiate(b"gzip, br, zstd", ("br", "gzip", "zstd")) == "br"
    assert negotiate(b"gzip, br, zstd", ("gzip",)) == "gzip"
    assert negotiate(b"zstd", ("gzip",)) == ""


def test_a_field_too_long_to_be_a_browsers_is_taken_for_none() -> None:
    assert acceptable(b"gzip" + b"," * 508, ALL) == ("gzip",)
    assert acceptable(b"gzip" + b"," * 509, ALL) == ()


@pytest.mark.parametrize(
    ("block", "best_first"),
    [
        (b"", ()),
        (b"Accept: gzip\r\nX-Accept-Encoding: gzip\r\n", ()),
        (b"Accept-Encoding: gzip\r\n", ("gzip",)),
        (b"A: b\r\naccept-ENCODING:br;q=0.1 \r\nC: d\r\n", ("br",)),
        (b"Accept-Encoding: br;q=0.1\r\nA: b\r\nAccept-Encoding: gzip\r\n", ("gzip", "br")),
        (b"Accept-Encoding:\r\nA: gzip\r\n", ()),
    ],
)
def test_the_field_is_found_in_a_block(block: bytes, best_first: tuple[str, ...]) -> None:
    assert acceptable_in(block, ALL) == best_first


def obvious(elements: list[tuple[str, int | None]], offered: tuple[str, ...]) -> list[str]:
    """The rules of RFC 9110, 12.5.3, one after the other, for a field that is well formed."""
    said: dict[str, int] = {}
    for name, weight in elements:
        coding = {"x-gzip": "gzip"}.get(name.lower(), name.lower())
        if coding not in said:
            said[coding] = 1000 if weight is None else weight

    def weight_of(coding: str) -> int | None:
        if coding in said:
            return said[coding]
        return said.get("*")

    identity = weight_of("identity") or 0
    taken: list[str] = []
    for weight in range(1000, 0, -1):
        taken += [each for each in offered if weight_of(each) == weight and weight >= identity]
    return taken


def spelt(weight: int | None) -> str:
    return "" if weight is None else f"; q={weight // 1000}.{weight % 1000:03}"


weights = st.none() | st.sampled_from([0, 1, 500, 999, 1000]) | st.integers(0, 1000)


@given(
    st.lists(st.tuples(st.sampled_from(TOKENS), weights), max_size=8),
    st.permutations(ALL).map(tuple),
    st.integers(1, 3),
)
def test_as_an_obvious_reading_of_the_rules_has_it(
    elements: list[tuple[str, int | None]], order: tuple[str, ...], count: int
) -> None:
    value = ", ".join(name + spelt(weight) for name, weight in elements).encode()
    assert list(acceptable(value, order[:count])) == obvious(elements, order[:count])


@given(st.binary(max_size=600), st.booleans())
def test_anything_may_come(value: bytes, more: bool) -> None:  # noqa: FBT001 - drawn
    taken = acceptable(value + (b",gzip;q=0,br;q=0,zstd;q=0" if more else b""), ALL)
    assert set(taken) <= set(ALL)
    assert len(set(taken)) == len(taken)
