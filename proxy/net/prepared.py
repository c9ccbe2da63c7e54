"""What is made of an upstream's head for clients, and remembered with it."""

from proxy.message.edit import FieldEdit


class PreparedAnswer:
    """The finished bytes of an answer's head, for one edit; kept in `ResponseHead.prepared`.

    A head is remembered by the upstream's connection, which serves clients of every version and
    routes with different edits, so each version has a place of its own and the edit is compared.

    Attributes:
        edit: Whose fields went in.
        http1: The head for a kept-alive HTTP/1.1 client, b"" while not made.
        http2: The field section for an HTTP/2 client, b"" while not made.
    """

    __slots__ = ("edit", "http1", "http2")

    def __init__(self, edit: FieldEdit, http1: bytes = b"") -> None:
        self.edit = edit
        self.http1 = http1
        self.http2 = b""
