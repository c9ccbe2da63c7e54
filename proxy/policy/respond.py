"""Fixed answers from the configuration."""

from proxy.exchange.answer import Answer
from proxy.message.head import ResponseHead
from proxy.message.status import reason
from proxy.policy.part import Part, field_line

NAME = "respond"

_WITHOUT_BODY = frozenset({204, 304})


def respond(status: int, body: str, content_type: str) -> Part:
    """Return the part that answers every request alike.

    Args:
        status: 200..599.
        body: Sent as UTF-8; "" for none.
        content_type: Of the body.
    """
    content = body.encode()
    head = ResponseHead(status, reason(status))
    if content:
        head.block = field_line("Content-Type", content_type)
    if status not in _WITHOUT_BODY:  # RFC 9110, 8.6
        head.content_length = len(content)
    return Part(NAME, gate=lambda _exchange: Answer(head, content))
