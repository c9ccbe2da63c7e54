from proxy.exchange.answer import Answer
from proxy.exchange.verdict import Delay, Subrequest, Wait, Work
from proxy.message.head import RequestHead, ResponseHead


def test_what_must_happen_first_is_told_from_an_answer() -> None:
    ask = Subrequest("auth", RequestHead("GET", "/", "HTTP/1.1"), 5.0, 100, lambda *_: None)
    assert all(isinstance(each, Wait) for each in (Delay(1.0), Work(int, lambda _: None), ask))
    assert not isinstance(Answer(ResponseHead(200, "OK")), Wait)
