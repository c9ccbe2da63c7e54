"""Header fields in the configuration: legal names and values, and how the levels merge."""

import re
from collections.abc import Mapping

from proxy.settings.nearest import nearest
from proxy.settings.problem import WrongValueError

DEFAULT_HEADERS: dict[str, str] = {
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer-when-downgrade",
}
"""What every site sends unless the file says otherwise (Mozilla's guideline 6.0 for the first)."""

STRICT_HEADERS: dict[str, str] = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
        "magnetometer=(), microphone=(), midi=(), payment=(), usb=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What graders of headers want to see, for sites that load nothing from elsewhere, run no inline
script, stand in no frame, and whose subdomains all have TLS."""

HEADER_PRESETS: dict[str, dict[str, str]] = {
    "default": DEFAULT_HEADERS,
    "strict": STRICT_HEADERS,
    "none": {},
}
"""Sets of headers that have a name."""

PRESET = "preset"
"""The key beside header names that names a set of them."""

FORWARDING = frozenset({
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
    "x-forwarded-server", "x-forwarded-prefix", "x-forwarded-uri", "x-forwarded-method",
    "x-real-ip", "forwarded",
})  # fmt: skip
"""What tells an upstream of the client: the proxy's own to write."""

FRAMING = frozenset({
    "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
"""What belongs to one connection or frames a message (RFC 9110, 7.6.1; RFC 9112, 6)."""

_OWN_IN_ANSWERS = FRAMING | {"host", "date"}
_OWN_IN_REQUESTS = FRAMING | {"x-request-id", "expect", "via"}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", re.ASCII)
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?", re.ASCII)
_LONGEST = 8192
_FAMILIAR = (
    "Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy",
    "Content-Security-Policy", "Content-Security-Policy-Report-Only", "Permissions-Policy",
    "X-XSS-Protection", "Cache-Control",
    "Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy", "Cross-Origin-Resource-Policy",
)  # fmt: skip


def header_name(name: str) -> str:
    """Return `name` if it is a field name (RFC 9110, 5.1).

    Raises:
        WrongValueError: It is none.
    """
    if not _TOKEN.fullmatch(name):
        raise WrongValueError("not a header name: letters, digits and hyphens")
    return name


def header_value(value: object) -> str:
    """Return `value` as a field value: printable ASCII, no line break (RFC 9110, 5.5).

    Raises:
        WrongValueError: It is none.
    """
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int):
        raise WrongValueError("expected the text of a header, or null to remove it")
    text = str(value)
    if len(text) > _LONGEST:
        raise WrongValueError(f"longer than {_LONGEST} bytes")
    if text and not _VALUE.fullmatch(text):
        if "\n" in text or "\r" in text:
            raise WrongValueError("a header is one line: fold a long one with `>-`, not with `|`")
        raise WrongValueError("a header holds printable ASCII without blanks at its ends")
    return text


def in_answers(name: str) -> str:
    """Return the name of a header that may be set on answers.

    Raises:
        WrongValueError: The proxy itself must own it.
    """
    if header_name(name).lower() in _OWN_IN_ANSWERS:
        raise WrongValueError("the proxy itself writes this header")
    if name.lower() == PRESET:
        raise WrongValueError("`preset` has its place in `headers` of the file or of a site")
    return name


def in_requests(name: str) -> str:
    """Return the name of a header that may be set on requests to an upstream.

    Raises:
        WrongValueError: The proxy itself must own it.
    """
    if header_name(name).lower() in _OWN_IN_REQUESTS:
        raise WrongValueError("the proxy itself writes this header")
    return name


def merged(*levels: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the headers of an answer, the later level winning, names compared without case.

    None stands for a header that is removed.
    """
    result: dict[str, tuple[str, str | None]] = {}
    for level in levels:
        for name, value in level.items():
            result[name.lower()] = (name, value)
    return dict(result.values())


def misspelt(name: str) -> str:
    """Return the familiar header that `name` nearly is, or ""."""
    near = nearest(name, _FAMILIAR)
    return near if near and near.lower() != name.lower() else ""
