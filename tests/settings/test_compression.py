import pytest

from proxy.policy.compression import type_matcher
from proxy.settings.compression import DEFAULT_TYPES, Compress
from tests.settings.loading import SITE, only, settings


def site(text: str) -> str:
    return SITE.replace("    routes:", f"    compress: {text}\n    routes:")


@pytest.mark.parametrize("text", ["on", "yes", "true", "{}"])
def test_on_is_the_default(text: str) -> None:
    found = settings(site(text)).sites[0].compress
    assert found == settings(SITE).sites[0].compress == Compress()
    assert found.algorithms == ("zstd", "br", "gzip")
    assert found.min_size == 1024


def test_a_table() -> None:
    found = settings(
        site("{algorithms: gzip, types: [Text/HTML, application/*+json], min_size: 0.5k}")
    )
    assert found.sites[0].compress == Compress(
        algorithms=("gzip",), types=("text/html", "application/*+json"), min_size=512
    )


@pytest.mark.parametrize(
    "kind",
    ["text/html", "text/css", "text/plain", "text/csv", "text/javascript", "application/json",
     "application/ld+json", "application/manifest+json", "application/problem+json",
     "application/javascript", "application/xml", "application/rss+xml", "application/atom+xml",
     "application/wasm", "image/svg+xml", "font/ttf", "font/otf",
     "application/vnd.ms-fontobject"],
)  # fmt: skip
def test_what_shrinks(kind: str) -> None:
    assert type_matcher(DEFAULT_TYPES)(kind.encode())


@pytest.mark.parametrize(
    "kind",
    ["image/png", "image/jpeg", "image/webp", "image/avif", "font/woff", "font/woff2",
     "application/zip", "application/gzip", "application/pdf", "application/octet-stream",
     "video/mp4", "audio/mpeg", "text/event-stream", "application/grpc"],
)  # fmt: skip
def test_what_does_not(kind: str) -> None:
    assert not type_matcher(DEFAULT_TYPES)(kind.encode())


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{algorithms: [brotli]}", 'zstd or br or gzip, found "brotli"; did you mean "br"?'),
        ("{algorithms: [gz]}", 'did you mean "gzip"?'),
        ("{algorithms: [deflate]}", "expected zstd or br or gzip"),
        ("{algorithms: []}", "the list is empty"),
        ("{types: [html]}", "expected a media type such as application/json, text/* or"),
        ("{types: ['text/html; charset=utf-8']}", 'did you mean "text/html"?'),
        ("{types: ['*/*']}", "expected a media type"),
        ("{min_size: 0}", "a size of nothing"),
        ("gzip", "expected on, off or a table of keys"),
    ],
)  # fmt: skip
def test_mistakes(text: str, part: str) -> None:
    assert part in only(site(text))
