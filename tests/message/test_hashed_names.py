import random
import string
import time

import pytest
from hypothesis import given, strategies as st

from proxy.message.hashed_names import carries_hash

HASHED = """
    index-BxY12abc.js              Vite
    index-B-Y1_a2c.js              Vite, with what else may stand in it
    logo-D7kx0ZqT.svg              Vite
    app.C8vK2x3Z.js                SvelteKit
    DlA9qK2U.js                    Nuxt
    main.3f2a1b9c.js               webpack
    main.3f2a1b9c.chunk.js         webpack
    main.3f2a1b9c.js.map           webpack
    2.3f2a1b9c.chunk.css           webpack
    vendors~main.3f2a1b9c4d5e6f708192.js  webpack
    user-settings.a3f2b1c9.js      webpack, after a word as long as a hash
    index.3f2a1b9c.js              Parcel
    base.27e20196a850.css          Django
    jquery.min.27e20196a850.js     Django
    photo.27e20196a850.jpg         Django
    inter-v12-latin.27e20196a850.woff2    Django
    application-908e25f4bf641868d8683022a5b62f54908e25f4bf641868d8683022a5b62f54.css  Rails
    app-908e25f4bf641868d8683022a5b62f54.js.gz  Phoenix
    main.min.908e25f4bf641868d8683022a5b62f54908e25f4bf641868d8683022a5b62f54.css  Hugo
    component---src-pages-index-js-8ac7e18b4c2d1f05a9b6.js  Gatsby
    1234-3f2a1b9c4d5e6f70.js       Next.js
    3f2a1b9c4d5e6f70.css           Next.js
    main-5XK7Q2AB.js               Angular
    chunk-FQ3JXZ2A.js              esbuild
"""
PLAIN = """
    jquery-3.7.1.min.js            a version
    bootstrap-5.3.0-alpha1.min.css a version
    bootstrap.bundle.min.js
    lodash-4.17.21.js
    es5-shim.js
    style.css
    settings.js
    user-settings.js               a word of eight letters
    get-DateTime.js
    use-MediaKey.js
    my-MyUrlMap.js
    how-to-be-me.html              eight characters, hyphens among them
    README-ENGLISHX.md
    photo-20240101.jpg             a date
    photo-20240101a.jpg
    report-2024-01-31.pdf
    report-Sept2024.pdf
    report-2024June.pdf
    guide-Chapter1.html
    backup-1699999999.tar.gz       a time
    deadbeef-cafe-guide.html
    the-deadbeef.html              hexadecimal, and a word
    accessed-facade.css
    call-5551234567.html
    IMG-20240101.jpg
    IMG-1234ABCD.jpg
    sku-A1B2C3D4.html              a number of some article
    api-sha256v2.js
    es2015v1.js
    base64js.js
    utf8mb4x.css
    avatar-550e8400-e29b-41d4-a716-a46655440b3c.png   a UUID
    550e8400-e29b-41d4-a716-a46655440b3c.js
    5d41402abc4b2a76b9719d911017c592.png  on its own, and no code: an upload
    5d41402abc4b2a76b9719d911017c592
    main.3f2a1b9c                  no extension
    main3f2a1b9c.js
    main.3f2a1b9.js                too short
    main.3F2A1B9C.js
    index-BxY12abcd.js             too long
    .
    ..
"""


def names(table: str) -> list[str]:
    return [line.split()[0] for line in table.strip().splitlines()]


@pytest.mark.parametrize("name", names(HASHED))
def test_hashed(name: str) -> None:
    assert carries_hash(f"/static/assets/{name}")
    assert carries_hash(f"/{name}")


@pytest.mark.parametrize("name", names(PLAIN))
def test_not_hashed(name: str) -> None:
    assert not carries_hash(f"/static/{name}")
    assert not carries_hash(f"/{name}")


@pytest.mark.parametrize(
    "path",
    ["/", "", "*", "/static/", "/main.3f2a1b9c.js/", "/main.3f2a1b9c.js/edit", "/a.3f2a1b9c/b.js"],
)
def test_only_the_last_segment_counts(path: str) -> None:
    assert not carries_hash(path)


@pytest.mark.parametrize(
    ("alphabet", "length", "least"),
    [
        ("0123456789abcdef", 8, 0.9),
        ("0123456789abcdef", 12, 0.98),
        ("0123456789abcdef", 32, 0.999),
        (string.ascii_letters + string.digits + "-_", 8, 0.6),
        (string.ascii_uppercase + "234567", 8, 0.55),
    ],
)
def test_how_many_of_the_hashes_there_are_it_sees(alphabet: str, length: int, least: float) -> None:
    chosen = random.Random(length)
    found = sum(
        carries_hash(f"/index-{''.join(chosen.choices(alphabet, k=length))}.js")
        for _ in range(5000)
    )
    assert found / 5000 >= least


@given(st.text())
def test_any_path(path: str) -> None:
    assert carries_hash(path) in {True, False}


@pytest.mark.parametrize("piece", ["-a1B2c3D4", ".a", "a1", "3f2a1b9c-", "-", "é"])
def test_long_names_cost_no_more_than_others(piece: str) -> None:
    paths = [f"/{piece * 5000}", f"/{piece * (250 // len(piece))}"]
    begin = time.process_time()
    for path in paths:
        for _ in range(20):
            carries_hash(path)
    assert time.process_time() - begin < 0.1
