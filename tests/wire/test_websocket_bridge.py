import base64

import pytest

from proxy.errors import BadResponseError
from proxy.message.fields import field_values
from proxy.message.head import RequestHead, ResponseHead
from proxy.wire.websocket_bridge import opening, upgrading

SENT = (
    b"sec-websocket-version: 13\r\nsec-websocket-protocol: chat\r\norigin: https://a.test\r\n"
    b"sec-websocket-extensions: permessage-deflate\r\n"
)


def asked(more: bytes = b"") -> RequestHead:
    head = RequestHead("GET", "/chat", "HTTP/2.0")
    head.block = SENT + more
    head.chunked = True
    upgrading(head)
    return head


def answered(*fields: bytes) -> ResponseHead:
    head = ResponseHead(101, "Switching Protocols", b"".join(b"%b\r\n" % each for each in fields))
    head.upgrade = "websocket"
    return head


def test_the_head_asks_for_an_upgrade_and_has_no_body() -> None:
    head = asked()
    assert (head.upgrade, head.has_body) == ("websocket", False)
    assert head.block.startswith(SENT)
    (key,) = field_values(head.block, "sec-websocket-key")
    assert len(base64.b64decode(key, validate=True)) == 16  # RFC 6455, 4.1


def test_keys_are_the_proxys_own_and_never_the_same() -> None:
    heads = [asked(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n") for _ in range(4)]
    keys = {key for head in heads for key in field_values(head.block, "sec-websocket-key")}
    assert len(keys) == 4
    assert "dGhlIHNhbXBsZSBub25jZQ==" not in keys


def test_the_upstreams_agreement_is_passed_on() -> None:
    head = asked()
    head.block = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"  # RFC 6455, 1.3
    agreed = opening(
        head,
        answered(
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            b"Sec-WebSocket-Protocol: chat",
            b"Sec-WebSocket-Extensions: permessage-deflate",
        ),
    )
    assert agreed.status == 200
    assert agreed.block == (
        b"Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
    )


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",),
        (b"Sec-WebSocket-Accept: ",),
    ],
    ids=["none", "of another key", "empty"],
)
def test_an_upstream_that_did_not_accept_this_key(fields: tuple[bytes, ...]) -> None:
    with pytest.raises(BadResponseError):
        opening(asked(), answered(*fields))


def test_an_acceptance_that_is_said_twice() -> None:
    head = asked()
    head.block = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    accept = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert opening(head, answered(accept)).status == 200
    with pytest.raises(BadResponseError):
        opening(head, answered(accept, accept))
