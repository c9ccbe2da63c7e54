import pytest
import yaml

from proxy.settings import document
from proxy.settings.document import NODE_LIMIT, TEXT_LIMIT, Document, read_document
from proxy.settings.problem import SettingsError


def read(text: str) -> Document:
    return read_document(text, "p.yaml", {"PORT": "443", "WORD": "a: b", "NO": "null"}, "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"), ("NO", "NO"), ("80:30", "80:30"), ("0755", "0755"), ("1e3", "1e3"),
        ("2026-11-21", "2026-11-21"), ("1.20", "1.20"), ("12:30:45", "12:30:45"), ("+5", "+5"),
        ("0x10", "0x10"), ("1_000", "1_000"), ("True", "True"), ("<", "<"), ("=", "="),
        ("443", 443), ("-1", -1), ("0", 0), ("true", True), ("false", False), ("null", None),
        ("~", None), ("", None), ("'443'", "443"), ('"null"', "null"), ("|-\n    x", "x"),
        ("${PORT}", 443), ('"${PORT}"', "443"), ("${WORD}", "a: b"), ("${NO}", None),
        ("1" + "0" * 30, "1" + "0" * 30),
    ],
)  # fmt: skip
def test_scalars(text: str, value: object) -> None:
    assert read(f"a: {text}\n").value == {"a": value}


def test_an_empty_variable_is_empty_text() -> None:
    assert read_document("a: ${X}", "p", {"X": ""}, "").value == {"a": ""}


def test_places() -> None:
    found = read("sites:\n  - hosts: [a, b]\n")
    assert found.place(("sites", 0, "hosts")).key == (1, 4)
    assert found.place(("sites", 0, "hosts", 1)).value == (1, 15)
    assert found.place(("sites", 0, "hosts", 1, "deeper")).value == (1, 15)
    assert found.at(("sites", 0, "hosts", 1)) == "b"
    assert found.at(("sites", 7)) is None
    assert found.given(("sites", 0))
    assert not found.given(("sites", 1))


def test_what_was_expanded_is_known() -> None:
    found = read("a: x${PORT}\nb: $$x\n")
    assert found.places["a",].expanded
    assert found.places["a",].written == "x${PORT}"
    assert not found.places["b",].expanded


def test_mistakes_in_a_mapping_do_not_end_the_reading() -> None:
    found = read("a: 1\nb: ${GONE}\na: 2\n? [x]\n: 1\n<<: {c: 1}\nd: !!int 3\n'': 1\nz: 9\n")
    assert found.value == {"a": 1, "b": None, "d": None, "z": 9}
    assert [(one.line, one.path) for one in found.problems] == [
        (2, "b"), (3, "a"), (4, ""), (6, ""), (7, "d"), (8, ""),
    ]  # fmt: skip
    assert "given twice; the first is on line 1" in found.problems[1].message
    assert found.broken == {("b",), ("d",)}


def test_aliases_are_counted_at_each_use() -> None:
    laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True):
        laughs += f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    with pytest.raises(SettingsError, match=str(NODE_LIMIT)):
        read(laughs)


@pytest.mark.parametrize("text", ["a: &a [*a]", "[" * 60 + "]" * 60, "{a: " * 60 + "}" * 60])
def test_depth_is_bounded(text: str) -> None:
    with pytest.raises(SettingsError, match="deeper than 50"):
        read(text)


@pytest.mark.parametrize(
    "text", ["[" * 5000, "[" * 500_000, "{" * 5000, "- " * 5000, "a: !" + "x" * 9999]
)
def test_monstrous_text_is_a_problem_and_no_crash(text: str) -> None:
    try:
        found = read(text)
    except SettingsError:
        return
    assert found.problems


def test_the_length_is_bounded() -> None:
    with pytest.raises(SettingsError, match="larger than 1 MB"):
        read("#" * (TEXT_LIMIT + 1))


def test_text_that_is_no_utf8() -> None:
    with pytest.raises(SettingsError, match="UTF-8"):
        read("a: \udcff")


def test_an_empty_text_is_nothing() -> None:
    assert read("# nothing\n").value is None


def test_without_libyaml_the_values_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, object] = {}  # noqa: RUF012 - PyYAML's own name

    text = "a: off\nb: [1, '1']\nf: ${PORT}\nc: {d: 80:30, e: *x}\n".replace("*x", "y")
    fast = read(text)
    monkeypatch.setattr(document, "_Loader", Slow)
    slow = read(text)
    assert (slow.value, slow.places) == (fast.value, fast.places)
    with pytest.raises(SettingsError, match="deeper than 50"):
        read("[" * 5000)
