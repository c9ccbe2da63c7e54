import pytest

from proxy.settings.header_levels import Headers
from tests.settings.loading import SITE, lines, only, settings

MEAN = ' mean "strict"?'
SETS = "expected default or strict or none"
PLACE = "`preset` has its place in `headers` of the file or of a site"


def test_names_and_a_preset() -> None:
    found = settings(f"headers: {{preset: strict, X-A: 1, X-Frame-Options: null}}\n{SITE}").headers
    assert found.preset == "strict"
    assert found.named == {"X-A": "1", "X-Frame-Options": None}
    assert settings(SITE).headers == Headers()
    assert Headers().named == {}


@pytest.mark.parametrize("word", ["off", "none", "null", "no"])
def test_no_preset(word: str) -> None:
    found = settings(f"headers: {{preset: {word}}}\n{SITE}")
    assert found.headers_of() == ({} if word != "null" else settings(SITE).headers_of())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{preset: Strict}", f'1:19: headers.preset: {SETS}, found "Strict"; did you{MEAN}'),
        ("{preset: [x]}", f"1:19: headers.preset: {SETS}"),
        ("{preset: secure}", f'1:19: headers.preset: {SETS}, found "secure"'),
        ("{Host: x}", "1:11: headers.Host: the proxy itself writes this header"),
        ("{Preset: x}", f"1:11: headers.Preset: {PLACE}"),
        ("{a b: x}", "1:11: headers.a b: not a header name: letters, digits and hyphens"),
        ("{X-A: [x]}", "1:16: headers.X-A: expected the text of a header, or null to remove it"),
        ("x", '1:10: headers: expected a table of keys, found "x"'),
    ],
)  # fmt: skip
def test_mistakes(text: str, message: str) -> None:
    assert only(f"headers: {text}\n{SITE}") == message


def test_one_mistake_hides_no_other() -> None:
    text = 'headers: {Host: x, X-A: " y", preset: z}\n'
    assert len(lines(text + SITE)) == 3


def test_values_are_in_no_repr() -> None:
    made = settings(f"headers: {{X-A: sesame}}\n{SITE}")
    assert "sesame" not in repr(made)
