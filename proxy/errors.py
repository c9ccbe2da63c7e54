"""Every error the proxy answers for: whose fault, which status, whether a retry may help.

Two texts travel with an error. `detail` is for the log and may name hosts, limits and libraries.
`public` is the one sentence a client may read; where it is empty the page says only what the
status says.
"""

from enum import Enum


class Fault(Enum):
    """Who has to change something so that the error does not come again."""

    CLIENT = "client"
    UPSTREAM = "upstream"
    PROXY = "proxy"


class ProxyError(Exception):
    """A failure with a name: the status to answer with, whose fault, and whether to try elsewhere.

    Attributes:
        status: The HTTP status an answer to it carries, if one can still be sent.
        fault: Who has to act.
        detail: For the log only.
        public: One sentence for the client, or "".
        retry: True where the request was certainly not acted upon, so that any method may be
            sent again, on another connection or server.
        fields: What the answer's head says beside, as a field block: Retry-After and the like.
    """

    def __init__(
        self,
        status: int,
        fault: Fault,
        detail: str,
        *,
        public: str = "",
        retry: bool = False,
        fields: bytes = b"",
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.fault = fault
        self.detail = detail
        self.public = public
        self.retry = retry
        self.fields = fields


class BadRequestError(ProxyError):
    """The client's message breaks a rule of HTTP or a limit of ours. Nothing of it is forwarded."""

    def __init__(
        self, detail: str, *, status: int = 400, public: str = "", fields: bytes = b""
    ) -> None:
        super().__init__(status, Fault.CLIENT, detail, public=public, fields=fields)


class BadResponseError(ProxyError):
    """The upstream's answer breaks a rule of HTTP or was cut short (502)."""

    def __init__(self, detail: str) -> None:
        super().__init__(502, Fault.UPSTREAM, detail)


class UpstreamError(ProxyError):
    """No answer could be had: nobody to ask (503), no connection (502), none in time (504)."""

    def __init__(
        self, status: int, detail: str, *, retry: bool = False, fields: bytes = b""
    ) -> None:
        super().__init__(status, Fault.UPSTREAM, detail, retry=retry, fields=fields)


class InterceptedError(ProxyError):
    """An error answer of the upstream's own, in whose place the client gets a page of ours.

    Nothing failed: the upstream does not count as failing, and no log but that of accesses has
    anything to say of it. So it is nobody's fault but that of whoever asked.
    """

    def __init__(self, status: int, fields: bytes) -> None:
        """Take the answer's status, and those of its fields that stay, as a field block."""
        super().__init__(status, Fault.CLIENT, f"the upstream answered {status}", fields=fields)
