import pytest
from hypothesis import given, strategies as st

from proxy.settings.csp import DIRECTIVES, directives, sources, troubles
from proxy.settings.headers import STRICT_HEADERS

NOTHING = "has no sources, which allows nothing: write 'none' if that is meant"


@pytest.mark.parametrize(
    "policy",
    [
        STRICT_HEADERS["Content-Security-Policy"],
        "default-src 'self'",
        "default-src 'none'; script-src 'self' 'nonce-abc'; upgrade-insecure-requests",
        "script-src 'strict-dynamic' 'nonce-abc' 'unsafe-inline' https: http:",
        "default-src 'self'; style-src 'self' 'unsafe-inline'",
        "img-src * data:; report-uri /csp; sandbox allow-forms",
        "frame-ancestors 'self' https://*.example.com;",
        "Script-Src 'Self' 'sha256-abc='",
        "",
    ],
)
def test_nothing_is_wrong(policy: str) -> None:
    assert list(troubles(policy)) == []


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("script-src 'self' 'unsafe-inline' 'nonce-abc'",
         "'unsafe-inline' in script-src is ignored beside a nonce or a hash"),
        ("style-src 'unsafe-inline' 'sha256-abc='",
         "'unsafe-inline' in style-src is ignored beside a nonce or a hash"),
        ("default-src 'self' 'unsafe-inline'",
         "'unsafe-inline' in default-src lets injected scripts run, which is what a policy is for"),
        ("default-src 'none' https://a.example",
         "'none' beside other sources in default-src is ignored"),
        ("script-src *", "* in script-src lets scripts come from anywhere"),
        ("script-src 'self' https:", "https: in script-src lets scripts come from anywhere"),
        ("default-src 'self'; img-src *; default-src *",
         "default-src is given twice: browsers ignore the second"),
        ("defualt-src 'self'",
         "browsers know no directive defualt-src; did you mean default-src?"),
        ("zzzz 'self'", "browsers know no directive zzzz"),
        ("default-src 'self' script-src 'self'",
         "script-src stands among the sources of default-src: a semicolon is missing before it"),
        ("default-src self", "self in default-src needs single quotes: 'self'"),
        ("object-src none", "none in object-src needs single quotes: 'none'"),
        ('default-src "self"', "\"self\" in default-src needs single quotes: 'self'"),
        ("default-src 'sefl'", "browsers know no keyword 'sefl'; did you mean 'self'?"),
        ("font-src", f"font-src {NOTHING}"),
    ],
)  # fmt: skip
def test_what_is_wrong(policy: str, told: str) -> None:
    assert list(troubles(policy)) == [told]


def test_directives() -> None:
    assert directives(" A b  c;; d ") == [("a", ["b", "c"]), ("d", [])]
    assert sources("frame-ancestors 'NONE'; frame-ancestors x", "frame-ancestors") == ["'none'"]
    assert sources("default-src x", "frame-ancestors") is None


@given(st.text(), st.sampled_from(DIRECTIVES))
def test_any_text_is_looked_at(text: str, name: str) -> None:
    assert all(isinstance(told, str) for told in troubles(f"{name} {text}"))
