"""The one function that turns an error into an answer: a short page, HTML or JSON as asked for.

What a client reads is the status, the error's public sentence and the request id, by which the log
line can be found. An error's `detail` stays in the log.
"""

import html
import json
import math
import re
from collections.abc import Iterable

from proxy.errors import ProxyError
from proxy.exchange.answer import Answer
from proxy.message.fields import field_values
from proxy.message.head import RequestHead, ResponseHead
from proxy.message.status import reason

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:12vh auto;padding:0 1rem;"
    "color:#222;background:#fff}h1{font-size:1.4rem}small,code{color:#666}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}small,code{color:#999}}"
)
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{sentence}<p><small>Request <code>{request_id}</code></small></p>
</body>
</html>
"""
_HTML_FIELDS = (
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
)
_PROBLEM = "application/problem+json"
_JSON_RANGE = re.compile(r"application/(?:json|[a-z0-9!#$&^_.-]+\+json)", re.ASCII).fullmatch
_HTML_RANGES = frozenset({"text/html", "application/xhtml+xml"})
_QUALITY = re.compile(r";[ \t]*q=([01](?:\.[0-9]{0,3})?)[ \t]*(?:;|\Z)", re.ASCII | re.IGNORECASE)
_MOST_RANGES = 32
_MOST_TEXT = 4096
"""How much is looked at of Accept; a browser's has ten ranges in 200 bytes."""

_UNREAD = frozenset({400, 408, 413, 414, 431, 501})
"""Statuses that may leave a request half read: the connection cannot be used for another one."""


def error_answer(
    head: RequestHead | None,
    error: Exception,
    request_id: str,
    *,
    allow: Iterable[str] = (),
    retry_after: float = 0.0,
) -> Answer:
    """Return the answer to a request that failed.

    Anything but a ProxyError is a mistake of ours and becomes 500, of which nothing is told.

    Args:
        head: The request's, or None where it could not be read.
        error: What went wrong.
        request_id: Shown on the page.
        allow: For 405: the methods that the path knows (RFC 9110, 15.5.6).
        retry_after: Seconds after which another try makes sense; 0 where that is not known.
    """
    status, public = (error.status, error.public) if isinstance(error, ProxyError) else (500, "")
    json_type = _json_type(head)
    if json_type:
        body = _json_page(json_type, status, public, request_id)
        fields = f"Content-Type: {json_type}\r\n"
    else:
        body = _html_page(status, public, request_id)
        fields = _HTML_FIELDS
    fields += "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
    if status == 405:
        fields += f"Allow: {', '.join(sorted(allow))}\r\n"
    if retry_after > 0:
        fields += f"Retry-After: {math.ceil(retry_after)}\r\n"
    more = error.fields if isinstance(error, ProxyError) else b""
    answer_head = ResponseHead(status, reason(status), fields.encode("ascii") + more)
    answer_head.content_length = len(body)
    return Answer(answer_head, body, close=head is None or status in _UNREAD)


def _html_page(status: int, public: str, request_id: str) -> bytes:
    sentence = f"<p>{html.escape(public)}</p>\n" if public else ""
    page = _PAGE.format(
        title=html.escape(f"{status} {reason(status)}"),
        style=_STYLE,
        sentence=sentence,
        request_id=html.escape(request_id),
    )
    return page.encode("utf-8", "replace")


def _json_page(kind: str, status: int, public: str, request_id: str) -> bytes:
    page: dict[str, str | int] = {"status": status, "title": reason(status)}
    if kind == _PROBLEM:  # RFC 9457, 4.2.1: about:blank says that the status is all there is to it
        page = {"type": "about:blank", **page}
    if public:
        page["detail"] = public
    page["request_id"] = request_id
    return json.dumps(page).encode("ascii") + b"\n"


def _json_type(head: RequestHead | None) -> str:
    """Return the JSON media type that the client would rather have than HTML, or ""."""
    accepted = field_values(head.block, "accept") if head is not None else []
    best: dict[str, float] = {}
    text = ",".join(accepted)[:_MOST_TEXT].lower()
    for media_range in text.split(",", _MOST_RANGES)[:_MOST_RANGES]:
        name = media_range.partition(";")[0].strip(" \t")
        found = _QUALITY.search(media_range)
        quality = float(found[1]) if found else 1.0
        if name in _HTML_RANGES:
            best["html"] = max(quality, best.get("html", 0.0))
        elif _JSON_RANGE(name):
            best["json"] = max(quality, best.get("json", 0.0))
            if name == _PROBLEM and quality > 0:
                best[_PROBLEM] = quality
    if best.get("json", 0.0) <= best.get("html", 0.0):
        return ""
    return _PROBLEM if _PROBLEM in best else "application/json"
