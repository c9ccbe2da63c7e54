"""Paths that routes match, and targets of redirects."""

import re
import warnings
from urllib.parse import quote

from proxy.errors import BadRequestError
from proxy.message.target import normalise_path
from proxy.settings.problem import WrongValueError

_LONGEST = 2000
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
PLACEHOLDERS = ("uri", "host")
_TARGET = re.compile(r"(?:https?://[^\s/?#@{}]+|https?://\{host\}|/(?!/)|\{uri\})[!-~]*", re.ASCII)


def _normalised(path: str) -> str:
    """Return a path as requests are matched, "" if it can stand in none."""
    escaped = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", path)
    try:
        plain = normalise_path(quote(escaped, safe="%/"))
    except (BadRequestError, UnicodeEncodeError):
        return ""
    return plain if plain.isprintable() else ""


def route_path(value: object) -> str:
    """Return a path that requests can match.

    Raises:
        WrongValueError: No normalised path is ever spelt like it.
    """
    if not isinstance(value, str) or not value:
        raise WrongValueError("expected a path such as /api/")
    if not value.startswith("/"):
        raise WrongValueError("a path begins with /", f"/{value}")
    if value.endswith(("/*", "/**")):
        raise WrongValueError(
            "a path that ends in / covers everything beneath it: no * is needed", value.rstrip("*")
        )
    if "*" in value:
        raise WrongValueError(
            "a path knows no *: end it in / to cover what is beneath, or use path_regex"
        )
    if re.search(r"[?#\x00-\x1f\x7f]", value):
        raise WrongValueError("a path holds no query, fragment or control character")
    if len(value) > _LONGEST:
        raise WrongValueError(f"longer than {_LONGEST} characters")
    plain = _normalised(value)
    if plain != value:
        raise WrongValueError(
            "requests are matched decoded, without dot segments and double slashes", plain
        )
    return value


def route_regex(value: object) -> str:
    """Return a regular expression that compiles.

    Raises:
        WrongValueError: It does not.
    """
    if not isinstance(value, str) or not value:
        raise WrongValueError(r"expected a regular expression such as ^/u/[0-9]+$")
    if len(value) > _LONGEST:
        raise WrongValueError(f"longer than {_LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a syntax that may change its meaning some day
            re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        where = getattr(error, "pos", None)
        place = f" at character {where + 1}" if isinstance(where, int) else ""
        raise WrongValueError(f"not a regular expression{place}") from None
    return value


def redirect_target(value: object) -> str:
    """Return where a redirect leads.

    Raises:
        WrongValueError: It is neither a path nor an http or https URL.
    """
    if not isinstance(value, str) or not value:
        raise WrongValueError("expected a path such as /new/ or an URL")
    for name in _PLACEHOLDER.findall(value):
        if name not in PLACEHOLDERS:
            raise WrongValueError("the placeholders are {uri} and {host}")
    if not _TARGET.fullmatch(value):
        guess = f"https://{value}" if re.match(r"[\w-]+\.[\w.-]+(/|$|\{)", value) else ""
        raise WrongValueError("expected a path such as /new/ or an http:// or https:// URL", guess)
    return value
