"""What in a Content-Security-Policy cancels itself or means nothing to a browser (CSP Level 3)."""

import re
from collections.abc import Iterator

from proxy.settings.nearest import nearest

FETCH = (
    "child-src", "connect-src", "default-src", "fenced-frame-src", "font-src", "frame-src",
    "img-src", "manifest-src", "media-src", "object-src", "prefetch-src", "script-src",
    "script-src-attr", "script-src-elem", "style-src", "style-src-attr", "style-src-elem",
    "worker-src",
)  # fmt: skip
SOURCE_LISTS = (*FETCH, "base-uri", "form-action", "frame-ancestors", "navigate-to")
_OTHERS = (
    "block-all-mixed-content", "plugin-types", "referrer", "report-to", "report-uri",
    "require-sri-for", "require-trusted-types-for", "sandbox", "trusted-types",
    "upgrade-insecure-requests",
)  # fmt: skip
DIRECTIVES = (*SOURCE_LISTS, *_OTHERS)
_KEYWORDS = (
    "none", "self", "unsafe-inline", "unsafe-eval", "unsafe-hashes", "strict-dynamic",
    "report-sample", "wasm-unsafe-eval", "inline-speculation-rules",
)  # fmt: skip
_SCRIPTS = ("default-src", "script-src", "script-src-elem")
_STYLES = ("style-src", "style-src-elem")
_QUOTED = re.compile(r"'(?!nonce-|sha)[a-z-]+'", re.ASCII)
_NONCE_OR_HASH = re.compile(r"'(?:nonce|sha256|sha384|sha512)-[^']+'", re.IGNORECASE)


def directives(policy: str) -> list[tuple[str, list[str]]]:
    """Return the directives of a policy, names in lower case, with what follows each."""
    parts = (part.split() for part in policy.split(";"))
    return [(part[0].lower(), part[1:]) for part in parts if part]


def sources(policy: str, name: str) -> list[str] | None:
    """Return what the directive `name` allows, in lower case; None where it is not given."""
    for directive, values in directives(policy):
        if directive == name:
            return [value.lower() for value in values]
    return None


def troubles(policy: str) -> Iterator[str]:
    """Yield what is wrong with a policy, a sentence each."""
    seen: set[str] = set()
    for name, values in directives(policy):
        if name in seen:
            yield f"{name} is given twice: browsers ignore the second"
            continue
        seen.add(name)
        if name not in DIRECTIVES:
            near = nearest(name, DIRECTIVES)
            hint = f"; did you mean {near}?" if near else ""
            yield f"browsers know no directive {name}{hint}"
        elif name in SOURCE_LISTS:
            yield from _in_list(name, values)


def _in_list(name: str, values: list[str]) -> Iterator[str]:
    """Yield what is wrong with the sources of one directive."""
    lower = [value.lower() for value in values]
    for value in lower:
        bare = value.strip("'\"")
        if value in DIRECTIVES:
            yield f"{value} stands among the sources of {name}: a semicolon is missing before it"
        elif bare in _KEYWORDS and value != f"'{bare}'":
            yield f"{value} in {name} needs single quotes: '{bare}'"
        elif _QUOTED.fullmatch(value) and bare not in _KEYWORDS:
            near = nearest(bare, _KEYWORDS)
            hint = f"; did you mean '{near}'?" if near else ""
            yield f"browsers know no keyword {value}{hint}"
    if "'none'" in lower and len(lower) > 1:
        yield f"'none' beside other sources in {name} is ignored"
    if not lower:
        yield f"{name} has no sources, which allows nothing: write 'none' if that is meant"
    if name in _SCRIPTS or name in _STYLES:
        yield from _in_code(name, lower)


def _in_code(name: str, lower: list[str]) -> Iterator[str]:
    """Yield what of a directive over scripts or styles cancels itself."""
    pinned = any(_NONCE_OR_HASH.fullmatch(value) for value in lower)
    if "'strict-dynamic'" in lower:
        return  # The others are there for browsers that do not know it.
    if "'unsafe-inline'" in lower and pinned:
        yield f"'unsafe-inline' in {name} is ignored beside a nonce or a hash"
    elif "'unsafe-inline'" in lower and name in _SCRIPTS:
        yield f"'unsafe-inline' in {name} lets injected scripts run, which is what a policy is for"
    if name not in _SCRIPTS:
        return
    wide = next((value for value in lower if value in {"*", "http:", "https:", "data:"}), "")
    if wide:
        yield f"{wide} in {name} lets scripts come from anywhere"
