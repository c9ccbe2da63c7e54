from proxy.exchange.answer import Answer
from proxy.message.head import ResponseHead


def test_an_answer_keeps_the_connection_unless_told() -> None:
    head = ResponseHead(204, "No Content")
    assert (Answer(head).body, Answer(head).close) == (b"", False)
    assert Answer(head, b"x", close=True).close
    assert Answer(head).head is head
