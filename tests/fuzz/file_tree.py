"""A folder with all that a path may run into, the obvious file server for it, and paths to ask."""

# A name may be any bytes, which pathlib does not take.
# ruff: noqa: PTH103, PTH112, PTH113, PTH118, PTH120, PTH123, PTH211

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from hypothesis import strategies as st

SECRET = b"SECRET"
INDEX = b"index.html"

FILES = (
    b"index.html", b"a.txt", b"b.css", b"sub/index.html", b"sub/deep/c.js", b"sub/deep/index.html",
    b"no/index/here.txt", b"a b", b"50%.txt", b"%2e%2e", b"%61.txt", b"back\\slash", b"semi;colon",
    b"\xc3\xbcn\xc3\xaf.txt", b"\xff\xfe", b"\xed\xa0\x80", b"line\nbreak", b"dots..txt", b"tilde~",
    b"trailing.", b"trailing ", b"*", b"q?mark", b"hash#",
    b".hidden", b".git/config", b"sub/.env", b".well-known/acme", b".well-known/.x", b"..x", b"...",
    b"x" * 255,
)  # fmt: skip
LINKS = {
    b"in": b"a.txt", b"in-folder": b"sub/deep", b"sub/up": b"../a.txt", b"sub/dot": b"./deep/c.js",
    b"twice": b"in-folder/c.js", b"loop": b"loop2", b"loop2": b"loop", b"dangling": b"nothing",
    b"out": b"../secret", b"out-folder": b"../outside", b"sub/out": b"../../outside/secret",
    b"etc": b"/etc/passwd", b"slash": b"/", b"parent": b"..", b"sub/parent": b"..",
    b"near": b"../root-secret/secret", b"to-fifo": b"fifo", b"null": b"/dev/null",
}  # fmt: skip


def make_tree(base: Path) -> bytes:
    """Make the tree, what lies around it, and return its root."""
    root = os.fsencode(base / "root")
    for name in FILES:
        _write(os.path.join(root, name), b"content of " + name)
    for name in (b"secret", b"outside/secret", b"outside/index.html", b"root-secret/secret"):
        _write(os.path.join(os.fsencode(base), name), SECRET + name)
    for name, target in LINKS.items():
        os.symlink(target, os.path.join(root, name))
    os.symlink(os.path.join(root, b"sub"), os.path.join(root, b"absolute"))
    os.symlink(os.fsencode(base / "secret"), os.path.join(root, b"absolute-out"))
    os.mkfifo(os.path.join(root, b"fifo"))
    return root


def _write(path: bytes, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def obvious(root: bytes, target: str) -> bytes | str:
    """What the obvious server answers: a body, "folder" for one without its slash, or "nothing".

    It decodes once, asks the system where that is, and serves it if that is beneath the root.
    """
    path = unquote_to_bytes(target.partition("?")[0])
    names = [name for name in path.split(b"/") if name]
    if b"\0" in path or any(name[:1] == b"." and name != b".well-known" for name in names):
        return "nothing"
    found = os.path.realpath(os.path.join(root, *names))
    as_folder = path.endswith(b"/")
    if os.path.isdir(found):
        found = os.path.realpath(os.path.join(found, INDEX))
        if not as_folder and os.path.isfile(found) and found.startswith(root + b"/"):
            return "folder"
    elif as_folder:
        return "nothing"
    if not found.startswith(root + b"/") or not os.path.isfile(found):
        return "nothing"
    with open(found, "rb") as file:
        return file.read()


def _names() -> list[bytes]:
    names = {part for name in (*FILES, *LINKS) for part in name.split(b"/")}
    return sorted(names | {b"absolute", b"absolute-out", b"fifo", b"nothing", b"x" * 256, b"etc"})


def _spelt(name: bytes, ways: list[int]) -> str:
    """Spell each byte in one of several ways: as it is, encoded, encoded twice."""
    spelt = ""
    for number, byte in enumerate(name):
        way = ways[number % len(ways)]
        char = chr(byte)
        if way == 0 and 0x21 <= byte <= 0x7E and char not in "%?#\\/":
            spelt += char
        elif way == 2:
            spelt += f"%25{byte:02x}"
        else:
            spelt += f"%{byte:02X}" if way == 1 else f"%{byte:02x}"
    return spelt


_ways = st.lists(st.sampled_from([0, 0, 0, 0, 1, 3]), min_size=1, max_size=5)
_wilder_ways = st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=5)
_known = st.builds(_spelt, st.sampled_from(_names()), st.one_of(_ways, _wilder_ways))
_tricks = st.sampled_from([
    "", ".", "..", "...", "%2e%2e", "%2e", ".%2e", "%252e%252e", "..;", "..%00", "%00",
    "%c0%ae%c0%ae", "%c0%af", "%u002e", "%ff", "%ed%b3%bf", "..\\", "..%5c", "%2e%2e%2f",
    "a.txt%00.html", "a.txt;x=1", "a.txt%20", "a.txt.", "index.html%2f", "~root", "%", "%2",
    "%zz", "\\", "C:", "http:", "@", "*",
])  # fmt: skip
# A query is put behind the path below; "#" in it is refused, which is another matter.
_text = st.text(
    st.sampled_from([chr(code) for code in range(0x21, 0x7F) if code != 0x3F]), max_size=6
)
_segment = st.one_of(_known, _known, _known, _tricks, _text)
_slash = st.sampled_from(
    ["/"] * 8 + ["//", "///", "%2f", "%2F", "%5c", "\\", "/./", "/../", "/%2e%2e/"]
)
_paths_there = st.sampled_from([*FILES, *LINKS]).flatmap(
    lambda name: st.builds(_spelt, st.just(name), _ways).map(lambda text: text.replace("%2F", "/"))
)
_built = st.lists(st.tuples(_segment, _slash), max_size=6).map(
    lambda pairs: "".join(part for pair in pairs for part in pair)
)
targets = st.builds(
    "/{}{}{}".format,
    st.one_of(_paths_there, _built),
    st.sampled_from(["", "", "", "/", "//", "%2f", "/.", "/.."]),
    st.sampled_from(["", "", "", "?", "?a=../b", "?/../secret"]),
)
"""Request targets: what is there and what is not, in all kinds of spellings."""
