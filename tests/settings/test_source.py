import pytest

from proxy.settings.source import Source, guards_secret, hashless, masked, names_secret


def test_a_problem_shows_its_line_and_a_caret() -> None:
    problem = Source("p.yaml", "a: 1\nbb: 2\n").problem((1, 4), "wrong", "bb")
    assert (problem.line, problem.col) == (2, 5)
    assert problem.snippet == "    bb: 2\n        ^"


def test_tabs_and_control_characters_leave_the_caret_in_place() -> None:
    problem = Source("p", "a:\t\x1b[31m x").problem((0, 3), "wrong")
    assert problem.snippet == "    a: \N{REPLACEMENT CHARACTER}[31m x\n       ^"


def test_a_long_line_is_cut_around_the_place() -> None:
    problem = Source("p", "x" * 500 + "HERE" + "y" * 500).problem((0, 500), "wrong")
    line, caret = problem.snippet.splitlines()
    assert len(line) < 200
    assert line[caret.index("^") :].startswith("HERE")


def test_a_monstrous_line_is_looked_at_around_the_place_only() -> None:
    problem = Source("p", "password: x " * 100_000 + "HERE").problem((0, 1_200_000), "wrong")
    assert len(problem.snippet) < 400
    assert problem.col == 1_200_001


def test_a_place_beyond_the_end_has_no_snippet() -> None:
    assert Source("p", "a").problem((7, 0), "wrong").snippet == ""


def test_passwords_are_not_quoted() -> None:
    assert masked("redis://:hunter2@host/0") == "redis://:***@host/0"
    assert masked("smtp://me:hunter2@host") == "smtp://me:***@host"
    assert masked("  password: hunter2 # x") == "  password: ***"
    assert masked('Authorization: "Bearer x"') == "Authorization: ***"
    assert masked("proxy: http://django:8000") == "proxy: http://django:8000"
    assert masked('balance: {hash: "cookie:sessionid"}') == 'balance: {hash: "cookie:sessionid"}'


def test_keys_that_name_secrets() -> None:
    assert names_secret("X-Api-Key")
    assert names_secret("password")
    assert not names_secret("path")
    assert not names_secret(0)


def test_hashes_are_not_quoted() -> None:
    assert hashless("alice:$2b$12$abc x") == "alice:*** x"
    assert masked("  a: $argon2id$v=19$m=65536,t=3,p=4$c2$aGFz") == "  a: ***"
    assert masked("{a: '$apr1$x$y', b: 1}") == "{a: '***', b: 1}"
    assert hashless("users.p=4$c2FsdA$aGFzaA") == "users.***"
    assert hashless("costs $5 and $HOME") == "costs $5 and $HOME"


def test_what_is_hidden_is_quoted_nowhere() -> None:
    source = Source("p", "a: {x: hunter2, y: 3}\nb: |\n  hunter2\n  hunter2 z\n")
    source.hide((0, 7), (0, 14))
    source.hide((1, 3), (3, 9))
    behind = source.problem((0, 19), "wrong")
    assert behind.snippet == "    a: {x: ***, y: 3}\n                   ^"
    assert behind.col == 20
    assert source.problem((0, 3), "wrong").snippet.endswith("\n       ^")
    for line in (1, 2, 3):
        assert "hunter2" not in source.problem((line, 0), "wrong").snippet


@pytest.mark.parametrize(
    ("path", "written", "secret"),
    [
        (("sites", 0, "basic_auth", "users", "alice"), "x", True),
        (("sites", 0, "basic_auth", "users", "realm"), "x", True),
        (("sites", 0, "basic_auth", "user"), "x", True),
        (("sites", 0, "basic_auth", "realm"), "x", False),
        (("sites", 0, "basic_auth", "users_file"), "x", False),
        (("sites", 0, "basic_auth"), "alice:x", True),
        (("sites", 0, "basic_auth"), "off", False),
        (("sites", 0, "hosts", 0), "x", False),
    ],
)
def test_where_hashes_are(path: tuple[str | int, ...], written: str, *, secret: bool) -> None:
    assert guards_secret(path, written) == secret
