"""Which bodies are kept until they are whole: what `buffering` in the configuration means.

nginx keeps every request's body before it gives it to a server, so that a slow upload never
occupies a synchronous worker, and gives it on with a Content-Length, which WSGI applications need.
"auto" does the same, save where somebody talks both ways at once.
"""

from proxy.message.fields import field_values
from proxy.message.head import RequestHead


def keeps_request(mode: str, head: RequestHead) -> bool:
    """Return whether a request's body is kept until it is whole.

    Args:
        mode: "on", "off" or "auto".
        head: The request's.
    """
    if mode != "auto":
        return mode == "on"
    if head.te_trailers:  # gRPC says so, and nobody else does
        return False
    return not any(
        value.lower().startswith("application/grpc")
        for value in field_values(head.block, "content-type")
    )
