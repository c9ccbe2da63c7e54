import pytest

from proxy.policy.response_headers import response_headers

HSTS = "Strict-Transport-Security"
UPSTREAM = (
    b"x-frame-options: DENY\r\nStrict-Transport-Security: max-age=1\r\n"
    b"X-Powered-By: PHP\r\nA: b\r\n"
)


def test_over_tls() -> None:
    edit = response_headers({HSTS: "max-age=2", "X-Frame-Options": "SAMEORIGIN"}).response_edit
    assert edit is not None
    assert edit.apply(UPSTREAM) == (
        b"X-Powered-By: PHP\r\nA: b\r\n"
        b"Strict-Transport-Security: max-age=2\r\nX-Frame-Options: SAMEORIGIN\r\n"
    )


@pytest.mark.parametrize(
    "values", [{HSTS: "max-age=2"}, {HSTS.lower(): "max-age=2"}, {HSTS: None}, {}]
)
def test_hsts_never_goes_out_over_http(values: dict[str, str | None]) -> None:
    edit = response_headers({**values, "X-Powered-By": None, "B": "c"}).response_edit_plain
    assert edit is not None
    assert edit.apply(UPSTREAM) == b"x-frame-options: DENY\r\nA: b\r\nB: c\r\n"


def test_an_applications_own_hsts_stays_over_tls() -> None:
    edit = response_headers({}).response_edit
    assert edit is not None
    assert edit.apply(UPSTREAM) == UPSTREAM


def test_a_line_break_cannot_get_in() -> None:
    with pytest.raises(ValueError, match="not one header field"):
        response_headers({"X-Env": "a\nSet-Cookie: a=b"})
