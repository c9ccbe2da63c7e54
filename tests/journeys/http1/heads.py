"""What an upstream saw of a request."""

from tests.journeys.apps.scripted import Conversation


def fields_of(head: bytes) -> dict[str, str]:
    """The fields of a request that the upstream saw; each may be there once."""
    lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:-2]]
    found = {name.lower(): value for name, _, value in lines}
    assert len(found) == len(lines)
    return found


def request_line(head: bytes) -> str:
    return head.partition(b"\r\n")[0].decode()


def echo_target(conversation: Conversation) -> None:
    """Answer with the request line and the body."""
    body = conversation.head.partition(b"\r\n")[0] + b"|" + conversation.body
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
