r"""Paths as routes are matched on them, whatever way a client spells them.

What is forwarded is the target as it came, but for repeated slashes at its beginning, which are
made one. What is matched is one spelling for all that a server behind could take for the same path:

* percent-encoding is decoded once, as UTF-8; bytes that are none stay, as surrogate escapes
  (PEP 383). An encoded slash counts as a slash, so that /admin%2Fx is beneath /admin/ for a server
  that decodes before it splits, as WSGI and ASGI servers do.
* repeated slashes are merged.
* an encoded backslash is a character like others, and so are `;` and what follows it: a `..;`
  segment is not a dot segment.

Refused is what is no target of RFC 3986, or what servers are known to read in different ways: a raw
backslash (the URL parser of browsers and Node takes it for a slash), a fragment, a percent sign
without two hexadecimal digits, an encoded NUL, and dot segments in any spelling. Clients remove
those before they send (RFC 3986, 5.2.4), and servers differ: most of Python's take /a/../ for a
path beneath /a/, so that matching it as / would lead past what is said of /a/.

So of two paths that differ for us, no server that splits at slashes, whether it decodes or not and
whether it merges slashes or not, takes one for the other. It is not so for one that leaves out what
follows a `;`, as servlet containers do.
"""

import re

from proxy.errors import BadRequestError

_CHAR = r"!$&-\-0-9:;=@A-Z_a-z~"
_usual = re.compile(rf"(?=/)(?:/[{_CHAR}][{_CHAR}.]*+)*+/?(?=\?|\Z)").match
"""Matches a path that is its own normalised one, as nearly all are; others get a closer look."""

_refused = re.compile(r"[^!-~]|[\\#]|%(?![0-9A-Fa-f]{2})|%00").search
_escape = re.compile(rb"%([0-9A-Fa-f]{2})")
_merge_slashes = re.compile("//+").sub
_BYTES = [bytes((number,)) for number in range(256)]
_PATH_BYTES = frozenset(
    b"!$&'()*+,-./0123456789:;=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
)
"""What may stand in a path as it is (RFC 3986, 3.3)."""
_NO_DOT_SEGMENTS = "The path must not have dot segments."


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
    segments = path.split("/")
    if "." in segments or ".." in segments:
        raise BadRequestError("dot segments in the path", public=_NO_DOT_SEGMENTS)
    return _merge_slashes("/", path)


def _decode(path: str) -> str:
    raw = _escape.sub(lambda found: _BYTES[int(found[1], 16)], path.encode("ascii"))
    return raw.decode("utf-8", "surrogateescape")


def strip_prefix(target: str, path: str, prefix: str) -> str:
    """Return `target` without `prefix`, and with one slash at its beginning, to be forwarded.

    The rest stays byte for byte as it came wherever the prefix stands in it as written. A target
    that has the prefix in another spelling is made anew from its normalised path: `/%61pi/a%20b`
    without `/api` is `/a%20b`.

    Args:
        target: In origin-form, accepted by `normalise_path`.
        path: Its normalised path, which begins with `prefix` and a slash, or is `prefix`.
        prefix: Without its final slash: "/api"; "" for none.
    """
    raw, mark, query = target.partition("?")
    written = raw.startswith(prefix + "/")
    rest = raw[len(prefix) :] if written else _encode(path[len(prefix) :]) or "/"
    if rest.startswith("//"):
        # Some servers read //a/b as /b at an authority, as `new URL(target, base)` does in Node.
        # The slashes were one for the route as well.
        rest = "/" + rest.lstrip("/")
    return rest + mark + query


def _encode(path: str) -> str:
    raw = path.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _PATH_BYTES else f"%{byte:02X}" for byte in raw)
