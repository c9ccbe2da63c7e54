r"""Paths as routes are matched on them, whatever way a client spells them.

What is forwarded is the target as it came. What is matched is one spelling for all that a server
behind could take for the same path:

* percent-encoding is decoded once, as UTF-8; bytes that are none stay, as surrogate escapes
  (PEP 383). An encoded slash counts as a slash, so that /admin%2Fx is beneath /admin/ for a server
  that decodes before it splits, as WSGI and ASGI servers do.
* repeated slashes are merged, then dot segments are removed (RFC 3986, 5.2.4). In this order
  /a//../b is /b, as nginx, Go and Python's posixpath have it. Climbing stops at the root.
* an encoded backslash is a character like others, and so are `;` and what follows it: a `..;`
  segment is not a dot segment.

Refused is what is no target of RFC 3986, or what servers are known to read in different ways: a raw
backslash (the URL parser of browsers and Node takes it for a slash), a fragment, a percent sign
without two hexadecimal digits, an encoded NUL.
"""

import re

from proxy.errors import BadRequestError

_CHAR = r"!$&-\-0-9:;=@A-Z_a-z~"
_usual = re.compile(rf"(?=/)(?:/[{_CHAR}][{_CHAR}.]*+)*+/?(?=\?|\Z)").match
"""Matches a path that is its own normalised one, as nearly all are; others get a closer look."""

_refused = re.compile(r"[^!-~]|[\\#]|%(?![0-9A-Fa-f]{2})|%00").search
_escape = re.compile(rb"%([0-9A-Fa-f]{2})")
_dot_segment = re.compile(r"(?:/|%2f)(?:\.|%2e){1,2}(?:/|%2f|[?]|\Z)", re.IGNORECASE).search
_BYTES = [bytes((number,)) for number in range(256)]
_PATH_BYTES = frozenset(
    b"!$&'()*+,-./0123456789:;=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
)
"""What may stand in a path as it is (RFC 3986, 3.3)."""


def normalise_path(target: str) -> str:
    """Return the path that routes are matched on.

    It begins with "/" and holds no dot segment and no repeated slash. It may hold any other
    character but NUL, a lone surrogate for a byte that is not UTF-8 among them: encode it with
    "surrogateescape", and never put it into a message.

    Args:
        target: A request target in origin-form (RFC 9112, 3.2.1), or "*", which is its own path.

    Raises:
        BadRequestError: It is no such target; see the module's docstring.
    """
    found = _usual(target)
    if found is not None:
        return found[0]
    return _normalise(target.partition("?")[0])


def _normalise(path: str) -> str:
    if path == "*":
        return path
    if not path.startswith("/"):
        raise BadRequestError("the request target is not in origin-form")
    wrong = _refused(path)
    if wrong is not None:
        raise BadRequestError(f"the path has {wrong[0]!r} at {wrong.start()}")
    if "%" in path:
        path = _decode(path)
    segments: list[str] = []
    last = ""
    for last in path.split("/"):
        if last == "..":
            del segments[-1:]
        elif last not in {"", "."}:
            segments.append(last)
    if last in {"", ".", ".."}:
        segments.append("")
    return "/" + "/".join(segments) if segments != [""] else "/"


def _decode(path: str) -> str:
    raw = _escape.sub(lambda found: _BYTES[int(found[1], 16)], path.encode("ascii"))
    return raw.decode("utf-8", "surrogateescape")


def strip_prefix(target: str, path: str, prefix: str) -> str:
    """Return `target` without `prefix`, for a route that takes it off before it forwards.

    The rest stays byte for byte as it came wherever the prefix stands in it as written. A target
    that reaches the prefix by dot segments or in another spelling is made anew from its normalised
    path: `/x/../api/a` without `/api` is `/a`.

    Args:
        target: In origin-form, accepted by `normalise_path`.
        path: Its normalised path, which begins with `prefix` and a slash, or is `prefix`.
        prefix: Without its final slash: "/api".
    """
    raw, mark, query = target.partition("?")
    if raw.startswith(prefix + "/") and not raw.startswith("//") and _dot_segment(raw) is None:
        rest = raw[len(prefix) :]
    else:
        rest = _encode(path[len(prefix) :]) or "/"
    if rest.startswith("//"):
        # Some servers would read it as an authority; the slashes were one for the route as well.
        rest = "/" + rest.lstrip("/")
    return rest + mark + query


def _encode(path: str) -> str:
    raw = path.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _PATH_BYTES else f"%{byte:02X}" for byte in raw)
