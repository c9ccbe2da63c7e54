import mimetypes

import pytest

from proxy.message.content_type import DEFAULT, content_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("app.JS", "text/javascript; charset=utf-8"),
        ("app.mjs", "text/javascript; charset=utf-8"),
        ("base.4f9d2c1b7a30.css", "text/css; charset=utf-8"),
        ("app.js.map", "application/json"),
        ("module.wasm", "application/wasm"),
        ("site.webmanifest", "application/manifest+json"),
        ("photo.avif", "image/avif"),
        ("photo.jpeg", "image/jpeg"),
        ("logo.svg", "image/svg+xml"),
        ("favicon.ico", "image/x-icon"),
        ("font.woff2", "font/woff2"),
        ("film.mp4", "video/mp4"),
        ("feed.xml", "application/xml"),
        ("readme.md", "text/markdown; charset=utf-8"),
        ("archive.tar.gz", "application/gzip"),
        ("archive.tgz", "application/gzip"),
        ("app.js.br", "application/x-brotli"),
        ("a.folder/index.html", "text/html; charset=utf-8"),
        ("of/python.ppm", "image/x-portable-pixmap"),  # from Python's own table
    ],
)
def test_the_extension_tells(name: str, expected: str) -> None:
    assert content_type(name) == expected


@pytest.mark.parametrize(
    "name", ["", "noextension", "a.folder/file", ".json", "folder/.html", "x.", "x.unheard-of"]
)  # fmt: skip
def test_nothing_known_is_bytes(name: str) -> None:
    assert content_type(name) == DEFAULT


def test_what_the_machine_says_makes_no_difference() -> None:
    mimetypes.add_type("text/x-of-this-machine", ".css")
    mimetypes.add_type("text/x-of-this-machine", ".unheard-of")
    try:
        assert content_type("x.css") == "text/css; charset=utf-8"
        assert content_type("x.unheard-of") == DEFAULT
    finally:
        mimetypes.init()
