"""Names of the fields that a hop acts on itself: cut out of what it forwards, or written anew.

The rules are the same in every version of HTTP (RFC 9110, 7.6.1); each version's grammar finds the
fields in its own way. All names are in lower case.
"""

FORWARDING = (
    "x-forwarded-*", "x-real-ip", "forwarded", "cf-connecting-ip", "x-request-id", "x-client-ip",
    "true-client-ip", "x-cluster-client-ip", "x-original-url", "x-rewrite-url", "front-end-https",
    "x-url-scheme", "x-scheme", "client-cert", "client-cert-chain",
)  # fmt: skip
"""What proxies tell of the client and what it asked for: believed from trusted peers alone.

A name that ends in "*" stands for all that begin so: applications and their servers know
X-Forwarded-Ssl, -Scheme, -User and many more.
"""

REQUEST_FIELDS = (
    "host", "connection", "content-length", "transfer-encoding", "upgrade", "expect", "te",
    "keep-alive", "proxy-connection", "proxy-authorization", "proxy", "http2-settings",
    *FORWARDING,
)  # fmt: skip
"""Never in a request's field block: whoever reads a head cuts them out."""

RESPONSE_FIELDS = (
    "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection",
    "upgrade", "te", "x-accel-buffering", "x-accel-expires", "x-accel-limit-rate",
    "x-accel-charset", "x-accel-redirect",
)  # fmt: skip
"""Never in an answer's field block; those of nginx are orders to the proxy, not to the client."""

# Fields that mean something before the body is read must not come after it (RFC 9110, 6.5.1), nor
# those that are cut out of heads: a server that merges trailers into the head would believe them.
_NOT_IN_TRAILERS = frozenset(name.encode() for name in (
    *REQUEST_FIELDS, "age", "authorization", "cache-control", "content-encoding", "content-range",
    "content-type", "cookie", "date", "expires", "if-match", "if-modified-since", "if-none-match",
    "if-range", "if-unmodified-since", "location", "max-forwards", "proxy-authenticate", "range",
    "retry-after", "set-cookie", "trailer", "vary", "www-authenticate",
))  # fmt: skip
_FORWARDING_NAMES = frozenset(name.encode() for name in FORWARDING)


def is_forwarding(name: bytes) -> bool:
    """Tell whether a field, its name in lower case, is one of `FORWARDING`."""
    return name in _FORWARDING_NAMES or name.startswith(b"x-forwarded-")


def forwardable_trailers(block: bytes) -> bytes:
    """Return a field block of trailers without the fields that must not come after a body.

    Names with underscores go too, as they do from a request's head: WSGI and CGI applications
    cannot tell them from the same names with hyphens.
    """
    return b"".join(line for line in block.splitlines(keepends=True) if _may_trail(line))


def _may_trail(line: bytes) -> bool:
    name = line.partition(b":")[0].lower()
    return b"_" not in name and name not in _NOT_IN_TRAILERS and not is_forwarding(name)
