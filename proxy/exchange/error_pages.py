"""Pages of the configuration's own for errors: which one an error gets, and how it is filled in.

A page is a file with a few placeholders: `{status}`, `{reason}`, `{request_id}` and `{host}`. It is
cut at them when the configuration is loaded, so that other braces, those of a style sheet for one,
are text like any other. What is filled in is escaped for the page's type.
"""

import html
import json
import re
from collections.abc import Mapping

from proxy.message.authority import url_host
from proxy.message.head import RequestHead
from proxy.message.status import reason

HTML = "text/html"
JSON = "application/json"
TEXT = "text/plain"

_placeholders = re.compile(rb"\{(status|reason|request_id|host)\}").split


class ErrorPage:
    """One page, made at load.

    Attributes:
        media_type: Its media type, without parameters.
        content_type: The value of its Content-Type field.
    """

    __slots__ = ("__weakref__", "_pieces", "content_type", "media_type")

    def __init__(self, content: bytes, media_type: str) -> None:
        """Take what is in the file, and HTML, JSON or TEXT.

        A page that is not UTF-8 goes out without a charset, so that what it says of it counts.
        """
        self.media_type = media_type
        self.content_type = media_type
        if media_type != JSON and _is_utf8(content):  # JSON is UTF-8 by itself (RFC 8259, 8.1)
            self.content_type += "; charset=utf-8"
        # Text and names of placeholders take turns: the odd ones are the names.
        self._pieces = tuple(_placeholders(content))

    def render(self, status: int, request_id: str, head: RequestHead | None) -> bytes:
        """Return the page, filled in.

        Args:
            status: Of the answer.
            request_id: As in the log.
            head: The request's, or None where it could not be read: `{host}` is "" then.
        """
        pieces = list(self._pieces)
        if len(pieces) == 1:
            return pieces[0]
        values = {
            b"status": str(status),
            b"reason": reason(status),
            b"request_id": request_id,
            b"host": url_host(head.host) if head is not None else "",
        }
        pieces[1::2] = [self._escaped(values[name]) for name in pieces[1::2]]
        return b"".join(pieces)

    def _escaped(self, value: str) -> bytes:
        if self.media_type == JSON:
            value = json.dumps(value)[1:-1]
        elif self.media_type == HTML:
            value = html.escape(value)
        return value.encode("utf-8", "replace")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


class ErrorPages:
    """The pages that hold at one place: on a route, a site, or where neither is known."""

    __slots__ = ("__weakref__", "_classes", "_exact")

    def __init__(self, pages: Mapping[str, ErrorPage]) -> None:
        """Take pages by status ("404") and by class of statuses ("4xx", "5xx").

        Raises:
            ValueError: A key is neither.
        """
        self._exact: dict[int, ErrorPage] = {}
        self._classes: dict[int, ErrorPage] = {}
        for key, page in pages.items():
            if key in {"4xx", "5xx"}:
                self._classes[int(key[0])] = page
            else:
                self._exact[int(key)] = page

    def find(self, status: int) -> ErrorPage | None:
        """Return the page for a status: its own before that of its class."""
        return self._exact.get(status) or self._classes.get(status // 100)

    def __bool__(self) -> bool:
        return bool(self._exact or self._classes)


NO_PAGES = ErrorPages({})
