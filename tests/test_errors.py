import pytest

from proxy.errors import (
    BadRequestError,
    BadResponseError,
    Fault,
    InterceptedError,
    ProxyError,
    UpstreamError,
)


@pytest.mark.parametrize(
    ("error", "status", "fault"),
    [
        (BadRequestError("two lengths"), 400, Fault.CLIENT),
        (BadRequestError("too long", status=414), 414, Fault.CLIENT),
        (BadResponseError("cut short"), 502, Fault.UPSTREAM),
        (UpstreamError(504, "silent"), 504, Fault.UPSTREAM),
        (InterceptedError(503, b""), 503, Fault.CLIENT),
        (ProxyError(500, Fault.PROXY, "a bug"), 500, Fault.PROXY),
    ],
)
def test_an_error_says_whose_fault_and_which_status(
    error: ProxyError, status: int, fault: Fault
) -> None:
    assert (error.status, error.fault) == (status, fault)
    assert str(error) == error.detail
    assert error.public == "", "the detail is not for clients"
    assert not error.retry, "a request that may have been acted upon is not sent again"


def test_what_a_client_may_read_is_said_apart() -> None:
    error = BadRequestError("body of 20 MB on /upload", status=413, public="10 MB at most.")
    assert error.public == "10 MB at most."
    assert UpstreamError(502, "refused", retry=True).retry


def test_what_is_kept_of_an_intercepted_answer_travels_along() -> None:
    assert InterceptedError(401, b"WWW-Authenticate: Basic\r\n").fields == (
        b"WWW-Authenticate: Basic\r\n"
    )


@pytest.mark.parametrize(
    "error",
    [
        ProxyError(503, Fault.PROXY, "busy", fields=b"Retry-After: 2\r\n"),
        BadRequestError("too many", status=429, fields=b"Retry-After: 2\r\n"),
        UpstreamError(503, "busy", fields=b"Retry-After: 2\r\n"),
    ],
)
def test_fields_of_the_answer_travel_along(error: ProxyError) -> None:
    assert error.fields == b"Retry-After: 2\r\n"
    assert ProxyError(500, Fault.PROXY, "a bug").fields == b""
