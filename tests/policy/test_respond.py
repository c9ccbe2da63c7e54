import pytest

from proxy.exchange.answer import Answer
from proxy.policy.respond import respond
from tests.policy.asking import asking, gate_of


def answer(status: int, body: str) -> Answer:
    found = gate_of(respond(status, body, "text/plain; charset=utf-8"))(asking("/"))
    assert isinstance(found, Answer)
    return found


def test_with_body() -> None:
    found = answer(200, "Grüße")
    assert found.body == "Grüße".encode()
    assert found.head.content_length == 7
    assert found.head.block == b"Content-Type: text/plain; charset=utf-8\r\n"
    assert (found.head.status, found.head.reason) == (200, "OK")


@pytest.mark.parametrize(("status", "length"), [(204, None), (304, None), (404, 0), (205, 0)])
def test_without_body(status: int, length: int | None) -> None:
    found = answer(status, "")
    assert (found.head.block, found.head.content_length, found.body) == (b"", length, b"")


def test_answers_are_not_shared() -> None:
    gate = gate_of(respond(200, "", "text/plain"))
    assert gate(asking("/")) is not gate(asking("/"))
