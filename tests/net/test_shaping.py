from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.net.shaping import shaping
from proxy.policy.part import Encoder, Shape
from tests.fakes.exchanges import looked_at
from tests.fakes.serving import head_of


class Doubling:
    """An encoder that says everything twice, and keeps back what it was given last."""

    def __init__(self) -> None:
        self._kept = b""

    def encode(self, data: bytes) -> bytes:
        out, self._kept = self._kept, data * 2
        return out

    def flush(self) -> bytes:
        return self.encode(b"")

    def finish(self) -> bytes:
        return self.flush() + b"."


def named(name: bytes) -> Shape:
    def shape(_exchange: Exchange, head: ResponseHead) -> ResponseHead:
        return head_of(head.status, head.content_length, head.block + name + b": 1\r\n")

    return shape


def encode(_exchange: Exchange, head: ResponseHead) -> tuple[ResponseHead, Encoder | None]:
    if head.status != 200:
        return head, None
    return head_of(200, None, head.block + b"Content-Encoding: twice\r\n"), Doubling()


def test_nothing_to_do_is_no_shaping() -> None:
    assert shaping((), None) is None


def test_shapes_come_one_after_the_other_and_before_the_encoding() -> None:
    made = shaping((named(b"A"), named(b"B")), encode)
    assert made is not None
    head, encoder = made.begin(looked_at(), head_of(200, 5))
    assert head.block == b"A: 1\r\nB: 1\r\nContent-Encoding: twice\r\n"
    assert head.content_length is None
    assert isinstance(encoder, Doubling)


def test_whole_answers_keep_a_length() -> None:
    made = shaping((), encode)
    assert made is not None
    head, body = made.whole(looked_at(), head_of(200, 5), b"hello")
    assert (head.content_length, body) == (11, b"hellohello.")
    same = head_of(404, 5)
    assert made.whole(looked_at(), same, b"hello") == (same, b"hello")


def test_shapes_alone() -> None:
    made = shaping((named(b"A"),), None)
    assert made is not None
    head, body = made.whole(looked_at(), head_of(404, 5), b"hello")
    assert (head.block, head.content_length, body) == (b"A: 1\r\n", 5, b"hello")
