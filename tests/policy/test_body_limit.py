import pytest

from proxy.errors import BadRequestError, Fault
from proxy.policy.body_limit import body_limit, spell_size, too_large
from tests.policy.asking import asking, gate_of


@pytest.mark.parametrize("length", [None, 0, 1024])
def test_passes(length: int | None) -> None:
    exchange = asking("/", method="POST")
    exchange.head.content_length = length
    assert gate_of(body_limit(1024, "/upload/"))(exchange) is None


def test_one_byte_too_many() -> None:
    exchange = asking("/", method="POST")
    exchange.head.content_length = 10 * 1024 * 1024 + 1
    with pytest.raises(BadRequestError) as caught:
        gate_of(body_limit(10 * 1024 * 1024, "/upload/"))(exchange)
    assert caught.value.status == 413


def test_error_names_limit_route_and_speaker() -> None:
    error = too_large(10 * 1024 * 1024, "POST /upload/")
    assert (error.status, error.fault) == (413, Fault.CLIENT)
    for part in ("The proxy", "10 MB", "POST /upload/", "limits: body"):
        assert part in error.public


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "1 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KB"),
        (1536, "1.5 KB"),
        (100 * 1024**2, "100 MB"),
        (1000 * 1024**2, "1000 MB"),
        (5 * 1024**4, "5 TB"),
    ],
)
def test_spell_size(count: int, text: str) -> None:
    assert spell_size(count) == text
