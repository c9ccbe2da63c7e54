import http

import pytest

from proxy.message.status import reason


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (200, "OK"),
        (413, "Content Too Large"),
        (421, "Misdirected Request"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (499, "Client Closed Request"),
        (299, "Success"),
        (599, "Server Error"),
        (999, "Unknown"),
    ],
)
def test_reason(status: int, phrase: str) -> None:
    assert reason(status) == phrase


RENAMED = {413, 414, 416, 422}
"""Renamed by RFC 9110; the standard library follows in 3.13."""


@pytest.mark.parametrize(
    "status", [200, 206, 301, 308, 400, 404, 408, 500, 502, 503, 504, *RENAMED]
)
def test_agrees_with_the_standard_library(status: int) -> None:
    assert status in RENAMED or reason(status) == http.HTTPStatus(status).phrase
