import base64

import pytest

from proxy.errors import BadResponseError
from proxy.message.fields import field_values
from proxy.message.head import RequestHead, ResponseHead
from proxy.wire.websocket_bridge import key_field, opening, upgrading

SENT = (
    b"sec-websocket-version: 13\r\nsec-websocket-protocol: chat\r\norigin: https://a.test\r\n"
    b"sec-websocket-extensions: permessage-deflate\r\n"
)
SAMPLE = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"  # RFC 6455, 1.3
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def answered(*fields: bytes) -> ResponseHead:
    head = ResponseHead(101, "Switching Protocols", b"".join(b"%b\r\n" % each for each in fields))
    head.upgrade = "websocket"
    return head


def test_the_head_asks_for_an_upgrade_without_a_key_of_the_clients() -> None:
    head = RequestHead("GET", "/chat", "HTTP/2.0")
    head.block = SENT + SAMPLE
    upgrading(head)
    assert (head.upgrade, head.has_body, head.block) == ("websocket", False, SENT)


def test_keys_are_never_the_same() -> None:
    keys = {field_values(key_field(), "sec-websocket-key")[0] for _ in range(4)}
    assert len(keys) == 4
    assert {len(base64.b64decode(key, validate=True)) for key in keys} == {16}  # RFC 6455, 4.1


def test_the_upstreams_agreement_is_passed_on() -> None:
    agreed = b"Sec-WebSocket-Protocol: chat", b"Sec-WebSocket-Extensions: permessage-deflate"
    opened = opening(b"X-User: a\r\n" + SAMPLE, answered(ACCEPT, *agreed))
    assert opened.status == 200
    assert opened.block == b"".join(b"%b\r\n" % each for each in agreed)


@pytest.mark.parametrize(
    "fields",
    [(), (ACCEPT[:-3] + b"aB=",), (b"Sec-WebSocket-Accept: ",), (ACCEPT, ACCEPT)],
    ids=["none", "of another key", "empty", "twice"],
)
def test_an_upstream_that_did_not_accept_this_key(fields: tuple[bytes, ...]) -> None:
    with pytest.raises(BadResponseError):
        opening(SAMPLE, answered(*fields))


def test_nobody_sent_a_key() -> None:
    with pytest.raises(BadResponseError):
        opening(b"", answered(ACCEPT))
