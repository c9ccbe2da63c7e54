"""The one function that turns an error into an answer: a short page, HTML or JSON as asked for.

What a client reads is the status, the error's public sentence and the request id, by which the log
line can be found. An error's `detail` stays in the log.

A page of the configuration's own stands in for ours. Only a client that would rather have JSON than
HTML gets ours where the configuration's is no JSON: a program cannot read a page for people.
"""

import html
import json
import math
import re
from collections.abc import Iterable
from functools import lru_cache

from proxy.errors import Fault, InterceptedError, ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.error_pages import JSON, NO_PAGES, ErrorPage, ErrorPages
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
    pages: ErrorPages = NO_PAGES,
) -> Answer:
    """Return the answer to a request that failed.

    Anything but a ProxyError is a mistake of ours and becomes 500, of which nothing is told.
    Whatever the page, its answer is not to be stored, nor taken for another type than it names.

    Args:
        head: The request's, or None where it could not be read.
        error: What went wrong.
        request_id: Shown on the page.
        allow: For 405: the methods that the path knows (RFC 9110, 15.5.6).
        retry_after: Seconds after which another try makes sense; 0 where that is not known.
        pages: The configuration's own.
    """
    if not isinstance(error, ProxyError):
        error = ProxyError(500, Fault.PROXY, "")
    status = error.status
    intercepted = isinstance(error, InterceptedError)  # whose fields tell all that is known
    body, fields = _page(head, error, request_id, pages)
    fields += "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
    if status == 405 and not intercepted and b"Allow:" not in error.fields:
        fields += f"Allow: {', '.join(sorted(allow))}\r\n"
    if retry_after > 0:
        fields += f"Retry-After: {math.ceil(retry_after)}\r\n"
    answer_head = ResponseHead(status, reason(status), fields.encode("ascii") + error.fields)
    answer_head.content_length = len(body)
    close = head is None or (status in _UNREAD and not intercepted)
    return Answer(answer_head, body, close=close)


def own_page(head: RequestHead | None, status: int, pages: ErrorPages) -> ErrorPage | None:
    """Return the configuration's page that a client gets for a status, or None where it gets ours.

    Args:
        head: The request's, or None where it could not be read.
        status: Of the answer.
        pages: The configuration's own.
    """
    page = pages.find(status)
    if page is None or page.media_type == JSON or not _json_type(head):
        return page
    return None


def _page(
    head: RequestHead | None, error: ProxyError, request_id: str, pages: ErrorPages
) -> tuple[bytes, str]:
    """Return the body of an answer, and the fields that tell what it is."""
    status, public = error.status, error.public
    page = own_page(head, status, pages)
    if page is not None:
        return page.render(status, request_id, head), f"Content-Type: {page.content_type}\r\n"
    kind = _json_type(head)
    if kind:
        return _json_page(kind, status, public, request_id), f"Content-Type: {kind}\r\n"
    return _html_page(status, public, request_id), _HTML_FIELDS


def _html_page(status: int, public: str, request_id: str) -> bytes:
    before, after = _around_id(status, public)
    if not request_id.isalnum():  # not one of ours
        request_id = html.escape(request_id)
    return before + request_id.encode("utf-8", "replace") + after


@lru_cache(maxsize=256)  # floods of requests are refused in few words
def _around_id(status: int, public: str) -> tuple[bytes, bytes]:
    """Return the page before and after the request's id."""
    sentence = f"<p>{html.escape(public)}</p>\n" if public else ""
    title = html.escape(f"{status} {reason(status)}")
    page = _PAGE.format(title=title, style=_STYLE, sentence=sentence, request_id="\0")
    before, _, after = page.encode("utf-8", "replace").partition(b"\0")
    return before, after


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
    if head is None or b"json" not in head.block.lower():
        return ""  # at once: whoever is refused a thousand times a second asks for none
    accepted = field_values(head.block, "accept")
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
