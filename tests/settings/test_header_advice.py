import pytest

from tests.settings.loading import SITE
from tests.settings.test_advice import advice


def test_removing_a_header_needs_no_advice() -> None:
    text = "headers: {Strict-Transport-Security: null, X-XSS-Protection: null}"
    assert advice(f"{text}\n{SITE}") == []


def test_strict_transport_security() -> None:
    hsts = "    headers: {Strict-Transport-Security: max-age=1}\n    routes:"
    (line,) = advice(SITE.replace("    routes:", hsts))
    assert line.startswith("3:15: sites[0].headers.Strict-Transport-Security")
    plain = SITE.replace("    routes:", f"    tls: off\n{hsts}")
    (line,) = advice(plain)
    assert "over TLS only" in line
    public = SITE.replace("localhost", "a.example").replace(
        "    routes:", f"    tls: {{cert: a, key: b}}\n{hsts}"
    )
    assert advice(public) == []
    assert "ignore this without max-age" in advice(public.replace("max-age=1", "forever"))[0]


def site(text: str) -> str:
    return SITE.replace("    routes:", f"    {text}\n    routes:")


def test_policies_that_cancel_themselves_wherever_they_are() -> None:
    bad = "headers: {Content-Security-Policy: default-src self}"
    told = "self in default-src needs single quotes: 'self'"
    assert advice(f"{bad}\n{SITE}") == [f"1:11: headers.Content-Security-Policy: {told}"]
    assert advice(site(bad)) == [f"3:15: sites[0].headers.Content-Security-Policy: {told}"]
    route = SITE.replace("path: /,", "path: /, response_headers: {content-security-policy: a b},")
    (line,) = advice(route)
    assert line.startswith("4:38: sites[0].routes[0].response_headers.content-security-policy: ")
    report = f"headers: {{Content-Security-Policy-Report-Only: default-src self}}\n{SITE}"
    assert len(advice(report)) == 1


@pytest.mark.parametrize(
    ("policy", "frames", "differ"),
    [
        ("frame-ancestors 'none'", "DENY", False),
        ("frame-ancestors 'self'", "SAMEORIGIN", False),
        ("frame-ancestors https://a.example", "SAMEORIGIN", False),
        ("frame-ancestors 'none'", "SAMEORIGIN", True),
        ("frame-ancestors 'self'", "DENY", True),
        ("default-src 'self'", "DENY", False),
    ],
)
def test_two_words_on_frames(policy: str, frames: str, *, differ: bool) -> None:
    text = f'headers: {{Content-Security-Policy: "{policy}", X-Frame-Options: {frames}}}\n{SITE}'
    found = advice(text)
    assert bool(found) == differ
    assert all("browsers that know both follow frame-ancestors" in line for line in found)


def test_two_words_on_frames_on_two_levels() -> None:
    text = "headers: {Content-Security-Policy: \"frame-ancestors 'none'\"}"
    (line,) = advice(f"{text}\n{SITE}")
    assert line == (
        "1:11: headers.Content-Security-Policy: X-Frame-Options says SAMEORIGIN and "
        "frame-ancestors 'none': browsers that know both follow frame-ancestors"
    )
    _, line = advice(
        f"headers: {{preset: strict}}\n{site('headers: {X-Frame-Options: SAMEORIGIN}')}"
    )
    assert line.startswith("4:15: sites[0].headers.X-Frame-Options: ")
    public = SITE.replace("localhost", "a.example") + "    tls: {cert: a, key: b}\n"
    assert advice(f"headers: {{preset: strict}}\n{public}") == []


def test_strict_transport_security_that_comes_with_a_preset() -> None:
    (line,) = advice(f"headers: {{preset: strict}}\n{SITE}")
    assert line.startswith("1:11: headers.preset: it sends Strict-Transport-Security, and browsers")
    (line,) = advice(site("headers: {preset: strict}"))
    assert line.startswith("3:15: sites[0].headers.preset: it sends ")
    none = "Strict-Transport-Security: null"
    assert advice(f"headers: {{preset: strict, {none}}}\n{SITE}") == []
    assert advice(f"headers: {{preset: strict}}\n{site(f'headers: {{{none}}}')}") == []
    assert advice(f"headers: {{preset: none}}\n{SITE}") == []
