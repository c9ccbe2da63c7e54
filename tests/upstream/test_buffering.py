import pytest

from proxy.message.head import RequestHead
from proxy.upstream.buffering import keeps_request


def head(block: bytes = b"", *, te_trailers: bool = False) -> RequestHead:
    made = RequestHead("POST", "/", "HTTP/1.1")
    made.block = block
    made.te_trailers = te_trailers
    return made


GRPC = head(b"Content-Type: application/grpc\r\n", te_trailers=True)


@pytest.mark.parametrize("request_head", [head(), GRPC])
def test_on_and_off_ask_nobody(request_head: RequestHead) -> None:
    assert keeps_request("on", request_head)
    assert not keeps_request("off", request_head)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Content-Type: application/json\r\n",
        b"Content-Type: text/application/grpc\r\n",
        b"X-Content-Type: application/grpc\r\n",
        b"Accept: application/grpc\r\n",
    ],
)
def test_auto_keeps_what_comes(block: bytes) -> None:
    assert keeps_request("auto", head(block))


@pytest.mark.parametrize(
    "block",
    [
        b"Content-Type: application/grpc\r\n",
        b"content-type: Application/GRPC+proto\r\n",
        b"A: b\r\nContent-Type: application/grpc-web\r\n",
    ],
)
def test_auto_streams_where_somebody_talks_both_ways(block: bytes) -> None:
    assert not keeps_request("auto", head(block))


def test_auto_streams_for_who_takes_trailers() -> None:
    assert not keeps_request("auto", head(te_trailers=True))
