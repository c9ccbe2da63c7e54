"""Which file names carry a hash of the content, so that a changed file has another name.

Build tools write such names, each in its own way, and nothing marks them but their look. A name is
taken for one only if it can hardly be anything else, since a file that is taken for one stays in
browsers unchanged. So a hash may go unnoticed: of Vite's eight characters two in five look too much
like words.
"""

import re
from functools import lru_cache

# A hash stands between the "." or "-" that ends the name proper and the extensions; in front of
# code it may stand alone (Nuxt, Next.js). None of the extensions is long enough to be a hash.
_HASH = r"([0-9a-f]{8,64}|[A-Za-z0-9_-]{8})"
_find = re.compile(
    rf"(?:.[.-]{_HASH}(?:\.[A-Za-z][A-Za-z0-9]{{0,4}}){{1,3}}|/{_HASH}\.(?:js|mjs|css)(?:\.map)?)\Z",
    re.ASCII,
).search
_is_hex = re.compile(r"[0-9a-f]{8,64}").fullmatch  # webpack, Parcel, Django, Rails, Hugo
_is_base32 = re.compile(r"[A-Z2-7]{8}").fullmatch  # esbuild, Angular
_is_base64 = re.compile(r"(?=.*[a-z])(?=.*[A-Z]).{8}").fullmatch  # Vite, Rollup, SvelteKit
_has_uuid = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").search
_changes = re.compile(
    r"(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[0-9]|(?<=[0-9])[A-Za-z]"
).findall  # not "Ab", as words begin

_LONGEST = 255


def carries_hash(path: str) -> bool:
    """Tell whether the last segment of a path is a name with a hash of its content in it.

    Words, versions, dates and UUIDs are none: in a hash letters and digits, or small letters and
    capitals, take turns twice at least, and three times where it may hold all of them.
    """
    name = path[path.rfind("/") :]
    return len(name) <= _LONGEST and _judge(name)


@lru_cache(maxsize=1024)  # of short names, so that clients cannot fill the memory with them
def _judge(name: str) -> bool:
    found = _find(name)
    if found is None or _has_uuid(name):
        return False
    text = found[1] or found[2]
    if _is_hex(text) or _is_base32(text):
        return len(_changes(text)) >= 2
    return bool(_is_base64(text)) and len(_changes(text)) >= 3
