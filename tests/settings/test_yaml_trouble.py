import pytest

from tests.settings.loading import problems


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("host: *.example.com", (1, 7), "quote a name that begins with *"),
        ("hosts: [*.a.com]", (1, 9), "quote a name that begins with *"),
        ("hosts: *all", (1, 8), "quote a name that begins with *"),
        ("{x: ${Y}}", (1, 6), 'quote an expansion inside { } or [ ]: "${VAR}"'),
        ("a: [${Y}]", (1, 6), "quote an expansion"),
        ("a:\n\t- b", (2, 1), "a tab cannot indent"),
        ("a: b: c", (1, 5), "second ': '"),
        ("a: 1\n b: 2", (2, 3), "wrong indent"),
        ("a: @x", (1, 4), "quote a value that begins with @"),
        ("a: `x`", (1, 4), "quote a value that begins with `"),
        ("a: %x", (1, 4), "quote a value that begins with %"),
        ("a: 'x", (1, 6), "never closed"),
        ('a: "\\.php$"', (1, 5), "use single quotes"),
        ("a: [1", (2, 1), "[ is not closed"),
        ("a: {b: 1", (2, 1), "{ is not closed"),
        ("- 1\nb: 2", (2, 1), "items of the list"),
        ("a: 1\n---\nb: 2", (2, 1), "second document"),
        ("a: 'b' c", (1, 8), "after a quote"),
        ("a: 1\nb\nc: 2", (3, 1), "key without its ': '"),
        ("a: \x01", (1, 4), "control character"),
        ("x\ny: \x07", (2, 4), "control character"),
    ],
)
def test_a_parser_is_put_into_words(text: str, place: tuple[int, int], part: str) -> None:
    (problem,) = problems(text)
    assert (problem.line, problem.col) == place
    assert problem.message.startswith("not YAML: ")
    assert part in problem.message


def test_what_nobody_foresaw_is_said_in_the_parsers_own_words() -> None:
    (problem,) = problems("[][]")
    assert problem.message == "not YAML: did not find expected <document start>"
