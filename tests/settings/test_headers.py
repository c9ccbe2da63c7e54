import pytest
from hypothesis import given, strategies as st

from proxy.settings import csp
from proxy.settings.headers import (
    DEFAULT_HEADERS,
    HEADER_PRESETS,
    STRICT_HEADERS,
    header_name,
    header_value,
    in_answers,
    in_requests,
    merged,
    misspelt,
)
from proxy.settings.problem import WrongValueError


@given(st.text())
def test_no_line_break_passes(text: str) -> None:
    for read in (header_name, header_value):
        try:
            found = read(text)
        except WrongValueError:
            continue
        assert found.isascii()
        assert not set(found) & set("\r\n\0")


def test_values() -> None:
    assert header_value("geolocation=()") == "geolocation=()"
    assert header_value(1) == "1"
    assert header_value("false") == "false"
    assert header_value("") == ""
    wrong: object
    for wrong in ("a\nb", "a\r\nX: y", " a", "a ", "é", "x" * 9000, None, [], "\0"):
        with pytest.raises(WrongValueError):
            header_value(wrong)


@pytest.mark.parametrize(
    "name", ["Connection", "content-length", "Transfer-Encoding", "Host", "Date"]
)
def test_names_the_proxy_owns_in_answers(name: str) -> None:
    with pytest.raises(WrongValueError):
        in_answers(name)


@pytest.mark.parametrize("name", ["Connection", "content-length", "TE", "Upgrade", "X-Request-ID"])
def test_names_the_proxy_owns_in_requests(name: str) -> None:
    with pytest.raises(WrongValueError):
        in_requests(name)


def test_names_that_may_be_set() -> None:
    assert in_answers("X-Powered-By") == "X-Powered-By"
    assert in_requests("X-Env") == "X-Env"
    for wrong in ("", "a b", "a:b", "é", "a\n"):
        with pytest.raises(WrongValueError):
            in_answers(wrong)


def test_levels_merge_without_regard_to_case() -> None:
    first = {"X-A": "1", "X-B": "1"}
    assert merged(first, {"x-a": "2"}, {"X-C": None}) == {"x-a": "2", "X-B": "1", "X-C": None}


def test_misspelt_names() -> None:
    assert misspelt("X-Frame-Option") == "X-Frame-Options"
    assert misspelt("x-frame-options") == ""
    assert misspelt("X-Env") == ""


def test_the_defaults_to_the_letter() -> None:
    assert DEFAULT_HEADERS == {
        "Strict-Transport-Security": "max-age=63072000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "no-referrer-when-downgrade",
    }


def test_presets() -> None:
    assert set(HEADER_PRESETS) == {"default", "strict", "none"}
    assert HEADER_PRESETS["none"] == {}
    for headers in HEADER_PRESETS.values():
        for name, value in headers.items():
            assert in_answers(name) == name
            assert header_value(value) == value


def test_preset_is_no_header() -> None:
    for name in ("preset", "Preset"):
        with pytest.raises(WrongValueError, match="has its place in `headers`"):
            in_answers(name)


POLICY = STRICT_HEADERS["Content-Security-Policy"]
HSTS = STRICT_HEADERS["Strict-Transport-Security"]
HALF_A_YEAR = 15768000
CODE = [
    source
    for name in ("default-src", "script-src", "style-src", "object-src")
    for source in csp.sources(POLICY, name) or ()
]

# What the graders ask for. securityheaders.com gives one mark for each of its six, and A+ for all
# of them; the Mozilla HTTP Observatory starts at 100, which is A+, and takes points off.
CRITERIA = {
    "securityheaders.com: Strict-Transport-Security": "Strict-Transport-Security" in STRICT_HEADERS,
    "securityheaders.com: Content-Security-Policy": "Content-Security-Policy" in STRICT_HEADERS,
    "securityheaders.com: X-Frame-Options": "X-Frame-Options" in STRICT_HEADERS,
    "securityheaders.com: X-Content-Type-Options": "X-Content-Type-Options" in STRICT_HEADERS,
    "securityheaders.com: Referrer-Policy": "Referrer-Policy" in STRICT_HEADERS,
    "securityheaders.com: Permissions-Policy": "Permissions-Policy" in STRICT_HEADERS,
    "securityheaders.com: no warning for unsafe sources": not [
        source for source in CODE if source.startswith(("'unsafe", "*", "http:", "https:", "data:"))
    ],
    "Observatory: HSTS for six months at least": (
        int(HSTS.partition("max-age=")[2].partition(";")[0]) >= HALF_A_YEAR
    ),
    "Observatory: a default-src or script-src and object-src": "default-src" in POLICY,
    "Observatory: no unsafe-inline, no unsafe-eval": "unsafe" not in POLICY,
    "Observatory: scripts and objects from no whole scheme": not {
        "*", "http:", "https:", "data:", "blob:",
    }.intersection(CODE),
    "Observatory: base-uri": csp.sources(POLICY, "base-uri") == ["'none'"],
    "Observatory: form-action": csp.sources(POLICY, "form-action") == ["'self'"],
    "Observatory: frame-ancestors": csp.sources(POLICY, "frame-ancestors") == ["'none'"],
    "Observatory: object-src": csp.sources(POLICY, "object-src") == ["'none'"],
    "Observatory: nosniff": STRICT_HEADERS["X-Content-Type-Options"] == "nosniff",
    "Observatory: X-Frame-Options": STRICT_HEADERS["X-Frame-Options"] in {"DENY", "SAMEORIGIN"},
    "Observatory: a private Referrer-Policy": STRICT_HEADERS["Referrer-Policy"]
    in {"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"},
    "Observatory: Cross-Origin-Resource-Policy": STRICT_HEADERS["Cross-Origin-Resource-Policy"]
    in {"same-origin", "same-site"},
    "Observatory: Cross-Origin-Opener-Policy": STRICT_HEADERS["Cross-Origin-Opener-Policy"]
    in {"same-origin", "same-origin-allow-popups"},
    "the policy does not cancel itself": not list(csp.troubles(POLICY)),
    "nothing browsers have removed": "X-XSS-Protection" not in STRICT_HEADERS,
}  # fmt: skip


@pytest.mark.parametrize("criterion", CRITERIA)
def test_strict_is_what_graders_want(criterion: str) -> None:
    assert CRITERIA[criterion]
